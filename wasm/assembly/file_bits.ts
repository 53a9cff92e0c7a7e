// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Pieces of ggml's blocks in the order of the weights, sixteen quants at a time: for packing by
 * columns, which takes rows apart again. Packing by rows: file_blocks.ts.
 */

/** Quants i..i+15 of blocks whose 16 bytes of nibbles lie `step` bytes apart, from `nibbles` on. */
@inline
export function block_nibbles(nibbles: usize, step: u32, i: u32): v128 {
  const both = v128.load(nibbles + (i >> 5) * step);
  return v128.and(i16x8.shr_u(both, (i & 16) >> 2), i8x16.splat(15));
}

/** The same where the bytes lie as E0M4 has them. */
@inline
export function word_nibbles(nibbles: usize, step: u32, i: u32): v128 {
  const both = across(v128.load(nibbles + (i >> 5) * step));
  return v128.and(i16x8.shr_u(both, (i & 16) >> 2), i8x16.splat(15));
}

/** Sixteen bytes as four by four, rows and columns exchanged: E0M4's order to ggml's. */
@inline
export function across(x: v128): v128 {
  return i8x16.shuffle(x, x, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
}

/** 16 in every byte whose bit is set among bits i..i+15 of masks of 32 bits `step` bytes apart. */
@inline
export function block_fifths(masks: usize, step: u32, i: u32): v128 {
  const word = i16x8.splat(load<i16>(masks + (i >> 5) * step + ((i & 16) >> 3)));
  const bytes = i8x16.shuffle(word, word, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
  const each = i8x16(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
  return v128.and(i8x16.eq(v128.and(bytes, each), each), i8x16.splat(16));
}

/** Quants i..i+15 of nibbles in which 32 bytes serve 64 weights (Q4_K, Q5_K). */
@inline
export function nibbles_by_64(nibbles: usize, i: u32): v128 {
  const both = v128.load(nibbles + ((i & 192) >> 1) + (i & 16));
  return v128.and(i16x8.shr_u(both, (i & 32) >> 3), i8x16.splat(15));
}

/** Quants i..i+15 of nibbles in which 64 bytes serve 128 weights (Q6_K). */
@inline
export function nibbles_by_128(nibbles: usize, i: u32): v128 {
  const both = v128.load(nibbles + ((i & 128) >> 1) + (i & 48));
  return v128.and(i16x8.shr_u(both, (i & 64) >> 4), i8x16.splat(15));
}

/** Bit pairs i..i+15 of 64 bytes in which 32 serve 128 weights (Q2_K, Q3_K, Q6_K). */
@inline
export function pairs_by_128(pairs: usize, i: u32): v128 {
  const all = v128.load(pairs + ((i & 128) >> 2) + (i & 16));
  return v128.and(i16x8.shr_u(all, (i & 96) >> 4), i8x16.splat(3));
}

/** Bits i..i+15 of 32 bytes in which bit b of byte l is weight 32·b + l's (Q3_K, Q5_K). */
@inline
export function bits_by_256(bits: usize, i: u32): v128 {
  return v128.and(i16x8.shr_u(v128.load(bits + (i & 16)), i >> 5), i8x16.splat(1));
}

/** Scale of block j among the 12 bytes of Q4_K and Q5_K. */
@inline
export function scale_k(packed: usize, j: u32): u32 {
  if (j < 4) return load<u8>(packed + j) & 63;
  return (load<u8>(packed + j + 4) & 15) | ((load<u8>(packed + j - 4) >> 6) << 4);
}

/** Minimum of block j among the same. */
@inline
export function minimum_k(packed: usize, j: u32): u32 {
  if (j < 4) return load<u8>(packed + j + 4) & 63;
  return (load<u8>(packed + j + 4) >> 4) | ((load<u8>(packed + j) >> 6) << 4);
}
