import { assert, assertEquals } from "@std/assert";
import { listParts, readSummary, testsIn } from "./run.ts";

Deno.test("listParts() has every test file once, and every task of tests", () => {
  const parts = listParts();
  const paths = parts.flatMap(([task, ...args]) => task === "test:files" ? args : []);
  const files = paths.flatMap((path) => path.endsWith(".ts") ? [path] : testsIn(path));
  assertEquals(files.toSorted(), testsIn("tests"));
  assert(files.includes("tests/run_test.ts") && files.includes("tests/gguf/parse_test.ts"));
  const { tasks } = JSON.parse(Deno.readTextFileSync(new URL("../deno.json", import.meta.url)));
  // These call the runner, are what it calls, or take a program that few machines have.
  const others = ["test:files", "test:replicas"];
  const own = Object.keys(tasks).filter((name) => /^test:/.test(name) && !others.includes(name));
  const run = parts.map(([task]) => task).filter((task) => task !== "test:files");
  assertEquals(run.toSorted(), own.toSorted());
});

Deno.test("readSummary() reads the last line of deno test, in colours or not", () => {
  const text = "ok | 1 passed | 9 failed\nx ... ok (3ms)\n\n";
  assertEquals(readSummary(`${text}ok | 12 passed (3 steps) | 0 failed | 4 ignored (2s)\n`), {
    ...{ passed: 12, failed: 0, ignored: 4 },
  });
  assertEquals(readSummary(`${text}\x1b[31mFAILED\x1b[0m | 2 passed | 7 failed (1m2s)\n`), {
    ...{ passed: 2, failed: 7, ignored: 0 },
  });
  assertEquals(readSummary("error: Module not found"), null);
});
