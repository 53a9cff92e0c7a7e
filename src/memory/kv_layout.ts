/**
 * How a layer's keys and values lie in an arena. Integer constants only: read by TypeScript and by
 * AssemblyScript alike.
 *
 * Positions come in blocks of 32. A block holds the local key/value heads one after another, each
 * one contiguous piece: keys transposed, so that a query scores 32 positions with plain loads;
 * values row by row, so that a weight mixes one row in. New positions are written into their
 * places; nothing is ever moved. All sequences share one pool of blocks: which of them hold a
 * sequence's positions 0 .. 31, 32 .. 63, … is in its table, and kernels look there.
 *
 *   keys:    block 0                                       block 1
 *            ├─ head 0 ────────────────┬─ head 1: … ─ … ──┼─ head 0 …
 *     f32:   │  [headDim, 32]
 *     i16:   │  [headDim / 2, 32, 2], then f32 [32]: the positions' scales
 *   values:  ├─ head 0 ────────────────┬─ head 1: … ─ … ──┼─ head 0 …
 *     f32:   │  [32, padded]
 *     i16:   │  [16, padded, 2], then f32 [32]: the positions' scales
 *
 * i16 is one head of one position as integers of at most KV_LEVEL_MAX by one f32 scale. The two
 * that a pairwise product of 16-bit integers adds lie side by side: two dimensions of a key,
 * positions p and p + 16 of a value, because a softmax makes their weights in two vectors.
 * `padded` is headDim rounded up to 16.
 */

/** Positions of a block. */
export const KV_BLOCK_POSITIONS = 32;
/** Value rows are padded to a multiple of this many elements. */
export const VALUE_PAD_ELEMENTS = 16;
/** Bytes of a piece's scales, where its elements are integers. */
export const KV_SCALES_BYTES = 128;
/**
 * The largest integer of the cache. 32 products of two such numbers, what a block's values add up
 * to, stay below 2^31.
 */
export const KV_LEVEL_MAX = 8191;
