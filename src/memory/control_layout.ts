/**
 * The control block: one shared Int32Array through which the threads of an engine steer each
 * other. Data never travels here, only words. Words that different threads write during a step are
 * on cache lines (16 words) of their own.
 *
 *   word 0            16            32            48           64              80
 *   ├─ step, abort ───┼─ arrived ───┼─ generation ┼─ cancel ───┼─ output ──────┼─ ids ─ …
 */

/** Counts steps; ranks wait for it to change. */
export const STEP_SEQUENCE_WORD = 0;
/** What the step is: a STEP_KIND_*. */
export const STEP_KIND_WORD = 1;
/** How many tokens the step carries, n. */
export const STEP_TOKEN_COUNT_WORD = 2;
/** Position of the first of them. */
export const STEP_POSITION_WORD = 3;
/** For how many of the last tokens logits are wanted, 0..n. */
export const STEP_LOGITS_COUNT_WORD = 4;
/**
 * Two words, for joins of even and odd number: the number of a join at which all ranks leave their
 * step. Two, because a slow rank may still look at one while the leader is a join further.
 */
export const ABORT_AT_WORDS = 7;
/** How many threads sleep on the step word. */
export const STEP_SLEEPERS_WORD = 6;

/** How many ranks have arrived at the current join. */
export const BARRIER_ARRIVED_WORD = 16;
/** Counts completed joins. */
export const BARRIER_GENERATION_WORD = 32;
/** How many ranks sleep on the generation. */
export const BARRIER_SLEEPERS_WORD = 33;

/** Not 0: the running request is to stop. Written by the main thread. */
export const CANCEL_WORD = 48;
/** Not 0: a rank has failed (its index + 1); everybody leaves. */
export const FAILED_WORD = 49;

/** Counts changes of the output: tokens, and the end of the request. */
export const OUTPUT_VERSION_WORD = 64;
/** How many ids of the running request are in the output list. */
export const OUTPUT_COUNT_WORD = 65;
/** Counts joins, for whoever wants to know whether anything is done. */
export const HEARTBEAT_WORD = 66;

/** Ids of the step [chunkTokens], then ids of the answer [contextLength]. */
export const IDS_WORD = 80;

export const STEP_KIND_FORWARD = 1;
export const STEP_KIND_READ = 2;
export const STEP_KIND_EXIT = 3;
/** A forward step that compares predictors with the neurons that fire. */
export const STEP_KIND_REHEARSE = 4;

/** Words of a control block for steps of at most `chunkTokens` and answers of `contextLength`. */
export function controlWords(chunkTokens: number, contextLength: number): number {
  return IDS_WORD + chunkTokens + contextLength;
}
