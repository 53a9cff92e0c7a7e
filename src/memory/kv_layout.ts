/**
 * How a layer's keys and values lie in an arena. Integer constants only: read by TypeScript and by
 * AssemblyScript alike.
 *
 * Positions come in blocks of 32. A block holds the local key/value heads one after another, each
 * one contiguous piece: keys transposed, so that a query scores 32 positions with plain loads;
 * values row by row, so that a weight mixes one row in. New positions are written into their
 * places; nothing is ever moved.
 *
 *   keys:    block 0                                       block 1
 *            ├─ head 0: [headDim, 32] ─┬─ head 1: … ─ … ──┼─ head 0 …
 *   values:  ├─ head 0: [32, padded] ──┬─ head 1: … ─ … ──┼─ head 0 …
 *
 * Elements are f16 or f32; `padded` is headDim rounded up to a vector of 16.
 */

/** Positions of a block. */
export const KV_BLOCK_POSITIONS = 32;
/** Value rows are padded to a multiple of this many elements. */
export const VALUE_PAD_ELEMENTS = 16;
