// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Activations for quantised rows: int8 per 32 with a scale, laid out so that the matrix kernels
 * read them with constant offsets and 256-bit loads.
 *
 * n tokens are cut into groups (one token when n = 1, else four, the last group padded with
 * zeros). A group is a run of superblocks; each holds, token after token, this record:
 *
 *   byte 0                256           288            320              384            416
 *   ├─ 8 × 32 bytes int8 ─┼─ i16 −Σh ───┼─ f32 scale ──┼─ i16 −Σq ×2 ───┼─ f32 scale·Σ ─┤
 *
 * The int8 lie as the weights do (row_layout.ts): dword j of the 32 bytes at 32·i holds
 * activations 2i, 2i+1, 16+2i, 16+2i+1 of block j. −Σh are the negative sums of the blocks' halves
 * (16 activations each): lane 2j of the first, 2j+1 of the second half of block j. −Σq are the
 * same over the first eight activations of each half, then over its last eight. scale·Σ is the
 * block's sum in real units. A kernel reads only the parts that its format needs.
 */

export const RECORD_SUMS = 256;
export const RECORD_SCALES = 288;
export const RECORD_QUARTERS = 320;
export const RECORD_REAL_SUMS = 384;
export const RECORD_BYTES = 416;
/** Tokens of a group when n > 1. */
export const GROUP_TOKENS = 4;

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

/** Bytes of the records for [n, k]. */
@inline
export function records_bytes(n: u32, k: u32): u64 {
  const padded = n == 1 ? 1 : (<u64>n + GROUP_TOKENS - 1) & ~<u64>(GROUP_TOKENS - 1);
  return padded * superblocks_of(k) * RECORD_BYTES;
}
