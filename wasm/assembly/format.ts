// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * What a format of quantised rows has to say. A format is a class without instances, for which the
 * generic kernels (gemv_q8.ts, gemm_q8.ts, repack.ts, dequantize.ts) are compiled: its methods are
 * inlined, its constants folded, so every format has its own machine code and none its own kernel.
 * Members marked "if" are left out where they do not apply; the kernels ask with isDefined(). (A
 * base class would make them virtual, and virtual methods are not inlined.)
 *
 *   the file
 *     blockBytes            bytes of a block
 *     superblockBlocks      blocks that make a superblock: 8 or 1
 *     natural(src, i)       quants i .. i+15 of the superblock whose first block is at src, as u8
 *     emptyQuant            quant of padding: zero weight with the factors that pack_factors leaves
 *     pack(from, to)        sixteen vectors of quants in packed order to the packed quants
 *     pack_factors(src, blocks, to)   the factor record of `blocks` blocks, into zeros
 *   the packed row
 *     quantBytes, factorBytes         per superblock: quants come first in a row, then all records
 *     offset                what is subtracted from quants; |q − offset| · 16 · 127 fits in 16 bits
 *     quarters              if: that holds for eight quants, not for sixteen
 *     k0, k1, k2(zero)      if: constants for quants(), zero (unknown to compilers) ORed in
 *     quants(w, v, k0, k1, k2)        the quants of place v = 0..15; low nibbles of a wide format
 *     high(w, v, k0, k1, k2)          if wide: the high nibbles
 *     lanes(f)              if: what the factors of both halves have in common
 *     scale(f), least(f)    if: f32 factors of the whole superblock
 *     d(f, half, lanes, scale, mask)  if: D of four blocks; else `scale` for all
 *     c(f, half, lanes, least, mask)  if: C of four blocks
 *     l(f, half, lanes), m(f, half)   if: L, M of four blocks
 *
 * D, C, L, M: superblock_form.ts. `half` 0 stands for blocks 0..3, 1 for 4..7: what is asked for
 * both halves must be the same operations on neighbouring addresses, or low and high ends of the
 * same vector, because V8 makes 256-bit operations of such pairs. A factor record begins at
 * f + SHORT, because V8 pairs extending loads only where neither offset is 0.
 */
export const SHORT: usize = 16;

/** k1, k2, or nothing. */
@inline
export function k1_of<F>(zero: v128): v128 {
  if (isDefined(changetype<F>(0).k1)) return changetype<F>(0).k1(zero);
  return zero;
}
@inline
export function k2_of<F>(zero: v128): v128 {
  if (isDefined(changetype<F>(0).k2)) return changetype<F>(0).k2(zero);
  return zero;
}

/** lanes, scale, least, or nothing. */
@inline
export function lanes_of<F>(f: usize): v128 {
  if (isDefined(changetype<F>(0).lanes)) return changetype<F>(0).lanes(f);
  return i32x4.splat(0);
}
@inline
export function scale_of<F>(f: usize): f32 {
  if (isDefined(changetype<F>(0).scale)) return changetype<F>(0).scale(f);
  return 0;
}
@inline
export function least_of<F>(f: usize): f32 {
  if (isDefined(changetype<F>(0).least)) return changetype<F>(0).least(f);
  return 0;
}

/** D of one half. */
@inline
export function d_of<F>(f: usize, half: u32, lanes: v128, scale: f32, mask: v128): v128 {
  if (isDefined(changetype<F>(0).d)) return changetype<F>(0).d(f, half, lanes, scale, mask);
  return f32x4.splat(scale);
}

/** M of one half, or nothing. */
@inline
export function m_of<F>(f: usize, half: u32): v128 {
  if (isDefined(changetype<F>(0).m)) return changetype<F>(0).m(f, half);
  return i32x4.splat(0);
}
