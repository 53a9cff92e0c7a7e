/**
 * How many rows a step with prompts may have: who comes while it runs waits for its end, so it is
 * not to take long where several requests are answered. Knows nothing of requests.
 */
import type { StepTimes } from "./step_times.ts";

/** What a step with prompts is to take at most, ms: several fit into a patient second. */
const STEP_MS_MAX = 400;
/** More than one part of so many is not given up for it: rows together are computed faster. */
const PARTS_MAX = 2;
/** Kernels compute so many rows as fast as fewer. */
const ROWS_STEP = 4;

/** Most rows, of `chunkTokens` that there is room for, as far as times are known. */
export function pacedRows(chunkTokens: number, times: StepTimes): number {
  const least = Math.ceil(chunkTokens / PARTS_MAX);
  let rows = chunkTokens;
  while (rows > least && times.estimate(rows) > STEP_MS_MAX) rows -= ROWS_STEP;
  return Math.max(least, rows);
}
