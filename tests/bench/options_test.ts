import { assertEquals, assertThrows } from "@std/assert";
import { CommanderError } from "commander";
import { parseBenchArgs } from "./options.ts";
import { silently } from "./silently.ts";

Deno.test("parseBenchArgs() measures one thread beside node-llama-cpp when nothing is said", () => {
  const options = parseBenchArgs([]);
  assertEquals(options.models, []);
  assertEquals(options.threads, [1]);
  assertEquals([options.promptTokens, options.genTokens, options.repeat], [512, 128, 5]);
  assertEquals(options.peers, [{ name: "node-llama-cpp", path: null }]);
  assertEquals(options.variants, ["flags"]);
  assertEquals(options.context, []);
  assertEquals([options.load, options.markdown], [false, false]);
  assertEquals([options.json, options.svg, options.from], [undefined, undefined, []]);
});

Deno.test("parseBenchArgs() reads lists, files and several models", () => {
  const options = parseBenchArgs([
    ...["a.gguf", "b.gguf", "--threads", "1,2,2", "--context", "100, 4000"],
    ...["--variants", "plain,flags", "--json", "x.json", "--svg", "x.svg", "--markdown", "--load"],
  ]);
  assertEquals(options.models, ["a.gguf", "b.gguf"]);
  assertEquals(options.threads, [1, 2]);
  assertEquals(options.context, [100, 4000]);
  assertEquals(options.variants, ["plain", "flags"]);
  assertEquals([options.json, options.svg], ["x.json", "x.svg"]);
  assertEquals([options.load, options.markdown], [true, true]);
  assertEquals(parseBenchArgs(["--from", "a.json,b.json"]).from, ["a.json", "b.json"]);
});

Deno.test("parseBenchArgs() gives peers their paths", () => {
  const { peers } = parseBenchArgs(["--peers", "llama-bench=/a=b/x,wllama,transformers"]);
  assertEquals(peers, [
    { name: "llama-bench", path: "/a=b/x" },
    { name: "wllama", path: null },
    { name: "transformers", path: null },
  ]);
  assertEquals(parseBenchArgs(["--peers", "none"]).peers, []);
  const sparse = parseBenchArgs(["--peers", "powerinfer=/p", "--dense-twin", "dense.gguf"]);
  assertEquals(sparse.peers, [{ name: "powerinfer", path: "/p" }]);
  assertEquals([sparse.denseTwin, parseBenchArgs([]).denseTwin], ["dense.gguf", undefined]);
});

Deno.test("parseBenchArgs() refuses what it does not know, with commander's exit code", () => {
  for (
    const args of [
      ["--threads", "0"],
      ["--threads", ","],
      ["--threads", "1.5"],
      ["--peers", "ollama"],
      ["--peers", "llama-bench"],
      ["--peers", "powerinfer"],
      ["--peers", "wllama="],
      ["--peers", "wllama,wllama=/x"],
      ["--variants", "fast"],
      ["--variants", ""],
      ["--context", "-1"],
      ["--rounds", "3"],
      ["--repeat", "0"],
    ]
  ) {
    const error = assertThrows(() => silently(() => parseBenchArgs(args)), CommanderError);
    assertEquals(error.exitCode, 1, args.join(" "));
  }
});
