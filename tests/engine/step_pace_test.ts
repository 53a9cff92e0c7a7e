/** How many rows a step with prompts may have. */
import { assertEquals } from "@std/assert";
import { StepPace } from "../../src/engine/step_pace.ts";
import { StepTimes } from "../../src/engine/step_times.ts";

/** Of a machine whose steps take so long for each row, after steps of these sizes. */
function rowsOf(rowMs: number, sizes: readonly number[], chunkTokens = 64): number {
  const times = new StepTimes(chunkTokens);
  for (let i = 0; i < 4; i++) for (const rows of sizes) times.add(rows, rows * rowMs);
  return new StepPace(chunkTokens, times).rows();
}

Deno.test("StepPace.rows() are all that there is room for, as long as a step takes no 400 ms", () => {
  assertEquals(rowsOf(6.2, [64]), 64);
  assertEquals(rowsOf(1, [1, 64]), 64);
  assertEquals(new StepPace(64, new StepTimes(64)).rows(), 64, "nothing is known");
});

Deno.test("StepPace.rows() are fewer where a step takes longer, but no less than half", () => {
  assertEquals(rowsOf(8, [1, 64]), 48);
  assertEquals(rowsOf(10, [1, 64]), 40);
  assertEquals(rowsOf(100, [1, 64]), 32);
  assertEquals(rowsOf(10, [64]), 32, "until smaller steps were measured");
  assertEquals(rowsOf(100, [1, 5], 5), 3);
  assertEquals([1, 2, 3].map((chunk) => rowsOf(1000, [1], chunk)), [1, 2, 2]);
});

Deno.test("StepPace.rows() tries a few more once in a while", () => {
  const times = new StepTimes(64);
  for (let i = 0; i < 4; i++) for (const rows of [1, 32, 64]) times.add(rows, rows * 20);
  const pace = new StepPace(64, times);
  const tried = Array.from({ length: 64 }, () => pace.rows());
  assertEquals(tried.filter((rows) => rows !== 32), [36, 36]);
  // The machine was busy only.
  for (let i = 0; i < 40; i++) for (const rows of [32, 36, 64]) times.add(rows, rows * 2);
  assertEquals(pace.rows(), 64);
});
