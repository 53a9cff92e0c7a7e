import { assertEquals, assertRejects } from "@std/assert";
import { runJson } from "./run_json.ts";

/** Runs JavaScript in a Deno of its own. */
function runCode(code: string, options: Parameters<typeof runJson>[2] = {}): Promise<unknown> {
  return runJson(Deno.execPath(), ["run", "--no-prompt", "--allow-env", "-"], {
    stdin: code,
    ...options,
  });
}

Deno.test("runJson() changes the environment that a program inherits", async () => {
  const code = `console.log(JSON.stringify([
    Deno.env.get("BENCH_NEW") ?? null, Deno.env.get("DENO_V8_FLAGS") ?? null, Deno.env.has("PATH"),
  ]))`;
  const env = { BENCH_NEW: "x", DENO_V8_FLAGS: undefined };
  assertEquals(await runCode(code, { env }), ["x", null, true]);
});

Deno.test("runJson() says what a failing program wrote, and its code", async () => {
  const failing = runCode(`console.error("out of\\nluck"); Deno.exit(3)`);
  await assertRejects(() => failing, Error, `ended with code 3: out of\nluck`);
});

Deno.test("runJson() refuses what is no JSON, and programs that hang or are not there", async () => {
  await assertRejects(() => runCode(`console.log("hello")`), Error, `but "hello\n"`);
  const hanging = runCode("setInterval(() => {}, 1000)", { timeoutMs: 300 });
  await assertRejects(() => hanging, Error, "ended with code");
  await assertRejects(() => runJson("/no/such/program", []), Error);
});
