/** What a rank counts while it computes, f64 [COUNT_FIELDS] in its first arena; all only grow. */
import { floats64 } from "./arena_views.ts";
import type { RankPlan } from "./plan_types.ts";

/** Neurons whose down was not read, and bytes that a dense step would have read besides. */
export const SKIPPED_NEURONS = 0;
export const SKIPPED_BYTES = 1;
/** Neurons that a token needed: found in a slot, and not. */
export const CACHE_HITS = 2;
export const CACHE_MISSES = 3;
/** Bytes that were asked of the disk. */
export const DISK_BYTES = 4;
/** Milliseconds that the rank waited for them. */
export const DISK_WAIT_MS = 5;
/** Reads that bring them, and units that are brought as a whole. */
export const DISK_READS = 6;
/** Neurons that were asked for ahead of their layer, by guesses; and those of them it needed. */
export const ASKED_AHEAD = 7;
export const NEEDED_AHEAD = 8;
export const COUNT_FIELDS = 9;

/** memory: the rank's first arena. */
export function countsView(plan: RankPlan, memory: WebAssembly.Memory): Float64Array {
  return floats64(memory, plan.workspaces[0].counts, COUNT_FIELDS);
}
