/**
 * How many rows a step with prompts may have: who comes while it runs waits for its end, so it is
 * not to take long where several requests may be answered. Knows nothing of requests.
 */
import type { StepTimes } from "./step_times.ts";

/** What a step with prompts is to take at most, ms: several fit into a patient second. */
const STEP_MS_MAX = 400;
/** More than one part of so many is not given up for it: rows together are computed faster. */
const PARTS_MAX = 2;
/** One for those that generate, one for prompts. */
const ROWS_MIN = 2;
/** Kernels compute so many rows as fast as fewer. */
const ROWS_STEP = 4;
/** Once in so many times a few rows more are tried: what was measured may be over. */
const PROBE_STEPS = 32;

export class StepPace {
  readonly #chunkTokens: number;
  readonly #times: StepTimes;
  #count = 0;

  /** chunkTokens: what a step has room for. */
  constructor(chunkTokens: number, times: StepTimes) {
    this.#chunkTokens = chunkTokens;
    this.#times = times;
  }

  /** Most rows of the next step, as far as times are known. */
  rows(): number {
    const most = this.#chunkTokens;
    const least = Math.min(most, Math.max(ROWS_MIN, Math.ceil(most / PARTS_MAX)));
    let rows = most;
    while (rows > least && this.#times.estimate(rows) > STEP_MS_MAX) rows -= ROWS_STEP;
    if (++this.#count % PROBE_STEPS === 0) rows += ROWS_STEP;
    return Math.min(most, Math.max(least, rows));
  }
}
