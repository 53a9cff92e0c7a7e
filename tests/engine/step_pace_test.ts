/** How many rows a step with prompts may have. */
import { assertEquals } from "@std/assert";
import { pacedRows } from "../../src/engine/step_pace.ts";
import { StepTimes } from "../../src/engine/step_times.ts";

/** Of a machine whose steps take so long for each row, after steps of these sizes. */
function rowsOf(rowMs: number, sizes: readonly number[], chunkTokens = 64): number {
  const times = new StepTimes(chunkTokens);
  for (let i = 0; i < 4; i++) for (const rows of sizes) times.add(rows, rows * rowMs);
  return pacedRows(chunkTokens, times);
}

Deno.test("pacedRows() are all that there is room for, as long as a step takes no 400 ms", () => {
  assertEquals(rowsOf(6.2, [64]), 64);
  assertEquals(rowsOf(1, [1, 64]), 64);
  assertEquals(pacedRows(64, new StepTimes(64)), 64, "nothing is known");
});

Deno.test("pacedRows() are fewer where a step takes longer, but no less than half", () => {
  assertEquals(rowsOf(8, [1, 64]), 48);
  assertEquals(rowsOf(10, [1, 64]), 40);
  assertEquals(rowsOf(100, [1, 64]), 32);
  assertEquals(rowsOf(10, [64]), 32, "until smaller steps were measured");
  assertEquals(rowsOf(100, [1, 5], 5), 3);
});
