/** No MODEL on the command line: the built-in one answers, from whatever folder. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runCli } from "./run_cli.ts";

const ASK = "What is Ganglion?";

Deno.test("run takes one argument of several words as the prompt of the built-in model", async () => {
  const { code, stdout, stderr } = await runCli(["run", ASK, "--temperature", "0"]);
  assertEquals(code, 0, stderr);
  assertStringIncludes(stdout, "runs large language models in Deno");
});

Deno.test("run without arguments chats with the built-in model", async () => {
  const { code, stdout } = await runCli(["run", "--temperature", "0"], { stdin: "hello\n/bye\n" });
  assertEquals(code, 0);
  assertMatch(stdout, /^Hello!/);
});

Deno.test("run takes one word as a MODEL, and says that it is no file", async () => {
  const { code, stderr } = await runCli(["run", "hello"]);
  assertEquals(code, 2);
  assertMatch(stderr, /hello/);
});

Deno.test("the built-in model can be named as servers name it", async () => {
  const { code, stdout, stderr } = await runCli(["run", "built-in", "hello", "--temperature", "0"]);
  assertEquals(code, 0, stderr);
  assertMatch(stdout, /^Hello!/);
  const removed = await runCli(["rm", "built-in"]);
  assertEquals(removed.code, 1);
  assertMatch(removed.stderr, /Cannot remove "built-in": it is a part of Ganglion/);
});

Deno.test("show without a MODEL describes the built-in one", async () => {
  const { code, stdout } = await runCli(["show", "--json"]);
  assertEquals(code, 0);
  const { arch, sparse, quant } = JSON.parse(stdout);
  assertEquals([arch, sparse, quant], ["bamboo", true, "Q8_0"]);
});
