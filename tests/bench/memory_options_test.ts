import { assertEquals, assertThrows } from "@std/assert";
import { CommanderError } from "commander";
import { parseMemoryBenchArgs } from "./memory_options.ts";
import { silently } from "./silently.ts";

Deno.test("parseMemoryBenchArgs() runs one command once when no more is said", () => {
  const options = parseMemoryBenchArgs(["--limit", "1.5GiB", "--", "/bin/x", "-m", "--limit", "7"]);
  assertEquals(options, {
    limitBytes: 1.5 * 2 ** 30,
    commands: [{ name: "x", args: ["/bin/x", "-m", "--limit", "7"] }],
    rounds: 1,
    evict: [],
    dropCaches: false,
    timeoutMs: 600_000,
    json: undefined,
    outputs: undefined,
  });
});

Deno.test("parseMemoryBenchArgs() names commands for a shell, in their order", () => {
  const options = parseMemoryBenchArgs([
    ...["--limit", "2560MiB", "--run", "ours=A=1 deno run x", "--run", "llama.cpp = bench -t 2"],
    ...["--rounds", "3", "--evict", "a.gguf", "--evict", "b, c.gguf", "--drop-caches"],
    ...["--timeout", "2.5", "--json", "o.json", "--outputs", "out"],
  ]);
  assertEquals(options.commands, [
    { name: "ours", args: ["sh", "-c", "A=1 deno run x"] },
    { name: "llama.cpp", args: ["sh", "-c", "bench -t 2"] },
  ]);
  assertEquals([options.rounds, options.timeoutMs, options.dropCaches], [3, 2500, true]);
  assertEquals(options.evict, ["a.gguf", "b, c.gguf"]);
  assertEquals([options.json, options.outputs], ["o.json", "out"]);
});

Deno.test("parseMemoryBenchArgs() refuses what it does not know, with commander's exit code", () => {
  const limit = ["--limit", "1GiB"];
  for (
    const args of [
      ["--", "x"],
      limit,
      ["--limit", "much", "--", "x"],
      [...limit, "--rounds", "0", "--", "x"],
      [...limit, "--timeout", "0", "--", "x"],
      [...limit, "--run", "no command"],
      [...limit, "--run", "empty= "],
      [...limit, "--run", "../up=x"],
      [...limit, "--run", "a=x", "--run", "a=y"],
      [...limit, "--run", "a=x", "--", "y"],
      [...limit, "--swap", "--", "x"],
    ]
  ) {
    const error = assertThrows(() => silently(() => parseMemoryBenchArgs(args)), CommanderError);
    assertEquals(error.exitCode, 1, args.join(" "));
  }
});
