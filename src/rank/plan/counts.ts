/**
 * What a rank counts while it computes, f64 [1 + layers, COUNT_FIELDS] in its first arena: all of
 * it, then what was counted for each layer (layer_tally.ts). All only grow.
 */

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
/**
 * Neurons that were up for computing, each once a token: those of dense blocks, and of the experts
 * that a token chose. And those of them that are hot: a GPU's, or found in the hot region's slots.
 */
export const NEURONS = 9;
export const HOT_NEURONS = 10;
export const COUNT_FIELDS = 11;

/** Bytes of the counts of so many layers, and of all together. */
export function countsBytes(layerCount: number): number {
  return (1 + layerCount) * COUNT_FIELDS * 8;
}
