/** src/rank/plan/place_matrix.ts: what of a matrix a rank has. */
import { assertEquals } from "@std/assert";
import { matrixBytes } from "../../src/rank/plan/place_matrix.ts";
import type { MatrixPlan } from "../../src/rank/plan/plan_types.ts";

Deno.test("matrixBytes() counts a rank's own rows, each with what is behind it", () => {
  const plan = { rows: { start: 3, end: 8 }, rowStrideBytes: 80 } as MatrixPlan;
  assertEquals(matrixBytes(plan), 400);
});
