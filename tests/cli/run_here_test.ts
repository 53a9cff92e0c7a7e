import { assertEquals } from "@std/assert";
import { runHere } from "./run_here.ts";

Deno.test("runHere() hears what a command line writes, the console too, and puts back what was", async () => {
  const name = "GANGLION_RUN_HERE";
  const streams = [Deno.stdin, Deno.stdout, Deno.stderr];
  const own = () => [{ ...console }, Deno.env.get(name), ...streams.map(Object.keys)];
  const before = own();
  const { log, warn } = console;
  const heard = runHere({ args: ["help", "run"], stdin: "", env: { [name]: "1" } });
  for (let turn = 0; turn < 100 && console.log === log; turn++) await Promise.resolve();
  assertEquals(Deno.env.get(name), "1");
  if (console.log !== log) console.log("left", 1);
  if (console.warn !== warn) console.warn("behind");
  const { code, stdout, stderr } = await heard;
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assertEquals([code, err, out.startsWith("left 1\nUsage: ganglion run")], [0, "behind\n", true]);
  assertEquals(own(), before);
  const wrong = await runHere({ args: ["show", "/none.gguf"], stdin: "", env: {} });
  assertEquals([wrong.code, wrong.stdout.length], [1, 0]);
});
