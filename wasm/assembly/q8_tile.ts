// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Activations for quantised rows: int8 per 32 with a scale, laid out so that the matrix kernels
 * read them with constant offsets and 256-bit loads.
 *
 * n tokens are cut into groups (one token when n = 1, else four, the last group padded with
 * zeros). A group is a run of superblocks; each holds, token after token, this record:
 *
 *   byte 0                       256                 272          288                  320
 *   ├─ 16 vectors of int8 ───────┼─ i16 [8] −8·Σa ───┼─ 16 × 0 ───┼─ f32 [8] scale·2^56 ─┤
 *
 * Vector at place v holds weight pair PAIR_OF_PLACE[v] of the eight blocks: bytes 2j, 2j+1 are
 * activations 2p, 2p+1 of block j. The order 0 1 8 9 2 3 10 11 … puts what meets the low and the
 * high nibbles of two neighbouring Q4_0 vectors side by side; Q8_0 rows use the same order.
 *
 * −8·Σa starts the i16 sums of a block: Σ a·(q − 8) over nibbles q never leaves i16 (32·127·8 =
 * 32512), so wrapping additions on the way do no harm. The zeros beside it start the second half
 * of a 256-bit accumulator. 2^56 is half of what the f16 bit trick of the weight scales owes
 * (simd.ts); the kernels multiply their final sums by the other half, so neither overflows.
 */

export const RECORD_SUMS = 256;
export const RECORD_SCALES = 288;
export const RECORD_BYTES = 320;
/** Tokens of a group when n > 1. */
export const GROUP_TOKENS = 4;

/** Rows whose weights stay in the L2 cache while all token groups pass over them. */
export const PANEL_ROWS: u32 = 64;

/** Superblocks that cover k weights. */
@inline
export function superblocks_of(k: u32): u32 {
  return (k >> 8) + u32((k & 255) != 0);
}

/** Tokens that a group of the tile for n tokens holds. */
@inline
export function group_tokens(n: u32): u32 {
  return n == 1 ? 1 : GROUP_TOKENS;
}

/** Bytes of the tile for [n, k]. */
@inline
export function tile_bytes(n: u32, k: u32): u64 {
  const padded = n == 1 ? 1 : (<u64>n + GROUP_TOKENS - 1) & ~<u64>(GROUP_TOKENS - 1);
  return padded * superblocks_of(k) * RECORD_BYTES;
}
