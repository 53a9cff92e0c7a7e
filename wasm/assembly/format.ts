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
 *     superblockBlocks      blocks that make a superblock: 8, 4, 2 or 1
 *     pack(src, to)         the quants of the superblock whose first block is at src; of blocks of
 *                           zeros they must be weights that are zero
 *     pack_factors(src, to) its factor record
 *     natural(src, i)       if it can lie by columns: quants i..i+15 in the order of the weights
 *     small_float(src, i), whole(src)     if, by columns: the packed scale of the i-th 16 weights,
 *                           and what all scales of the superblock are multiplied by
 *     levels()              if: these are codes, and their quants are looked up; the first is 0
 *   the packed row
 *     quantBytes, factorBytes         per superblock; where they lie in a row: row_layout.ts
 *     offset                what is subtracted from quants; |q − offset| · 16 · 127 fits in 16 bits
 *     lowOffset             if: of a wide format, what is subtracted from its low nibbles
 *     quarters              if: that holds for eight quants, not for sixteen
 *     k0, k1(zero)          k1 if: constants for quants, zero (unknown to compilers) ORed in
 *     lower, upper(x, y, k0, k1)      the quants of places g and g + 4, g = 0..3, out of x, the
 *                           vector of main bits, and y, that of the plane; low nibbles if wide
 *     lower_high, upper_high          if wide: the high nibbles
 *     isWide                if wide, and natural.ts has its quants
 *     table(zero)           if wide, without a plane: bytes low + 16 · high, which decoding looks
 *                           up by nibbles of main vectors (k0: 15), the low ones for places g
 *     isBytes               if wide, and main vectors are the bytes low + 16 · high themselves
 *     isSevenBits           if wide or in parts, and bytes are 127 at most
 *     highPart              if quants are sums of two parts: lower() and upper() are one of them,
 *     partShift             lower_high(), upper_high() times highPart the other, and the quants are
 *                           their sum >> partShift; sums of each part fit in 16 bits
 *     whole(low, high)      the quants as bytes, out of both parts
 *     upperAt               if: from place g's main vector to that of g + 4, in bytes; else both
 *                           are in one
 *     mainStep              if: main vectors serve all g, shifted right by this each time; else
 *                           each g has its own, 32 bytes apart
 *     planeAt, planeStep    if there is a plane: its offset, and what it is shifted by
 *     planeUpperAt          if: where the plane of the upper places is; else in the same
 *     h0, h1(zero)          if: constants for the factors, likewise
 *     h2(zero)              if: a constant for lanes, likewise
 *     lanes(f, h0, h1, h2)  if: what the factors of both halves have in common
 *     halvesAt              if: where in a record 4 bytes are that have f16s of the superblock
 *     scale, least(halves)  if: factors of the whole superblock, out of these as f32
 *     d(f, half, lanes, scale, h0, h1)    if: D of four blocks; else `scale` for all
 *     c(f, half, lanes, least, h0, h1, d) if: C of four blocks, whose D is d
 *     l(f, half, lanes, h0), m(f, half)   if: L, M of four blocks
 *
 * D, C, L, M: superblock_form.ts. `half` 0 stands for blocks 0..3, 1 for 4..7: what is asked for
 * both halves must be the same operations on neighbouring addresses, or low and high ends of the
 * same vector, because V8 makes 256-bit operations of such pairs. A factor record begins at
 * f + SHORT, because V8 pairs extending loads only where neither offset is 0.
 */
import { four_f16 } from "./weight_bits";

/** See above. */
export const SHORT: usize = 16;

/**
 * Superblocks that are taken apart, or looked up, before these are computed with: what was stored
 * in halves of a vector cannot be loaded whole before it has left the processor's store queue.
 */
export const SUPERBLOCKS_AT_ONCE: u32 = 8;

/** Does a weight of format F have two nibbles that are multiplied apart? A constant. */
@inline
export function is_wide<F>(): bool {
  const f = changetype<F>(0);
  return isDefined(f.lower_high) && !has_parts<F>() || isDefined(f.isWide);
}

/** Are F's quants sums of two parts? A constant. */
@inline
export function has_parts<F>(): bool {
  return isDefined(changetype<F>(0).highPart);
}

/** Are F's quants looked up by codes of four bits? A constant. */
@inline
export function has_levels<F>(): bool {
  return isDefined(changetype<F>(0).levels);
}

/** From place g's main vector to that of g + 4. A constant. */
@inline
export function upper_at<F>(): usize {
  return isDefined(changetype<F>(0).upperAt) ? changetype<F>(0).upperAt : 0;
}

/** The main vector of place 4, where it is not that of place 0. */
@inline
export function upper_main_of<F>(w: usize, half: u32, main: v128): v128 {
  if (isDefined(changetype<F>(0).upperAt)) return v128.load(w + upper_at<F>() + 16 * half);
  return main;
}

/** The planes of the lower and the upper places, or nothing. */
@inline
export function plane_of<F>(w: usize, half: u32): v128 {
  const f = changetype<F>(0);
  if (isDefined(f.planeAt)) return v128.load(w + f.planeAt + 16 * half);
  return i32x4.splat(0);
}
@inline
export function upper_plane_of<F>(w: usize, half: u32, plane: v128): v128 {
  const f = changetype<F>(0);
  if (isDefined(f.planeUpperAt)) return v128.load(w + f.planeUpperAt + 16 * half);
  return plane;
}

/** k1, or nothing. */
@inline
export function k1_of<F>(zero: v128): v128 {
  if (isDefined(changetype<F>(0).k1)) return changetype<F>(0).k1(zero);
  return zero;
}

/** h0, h1, or nothing. */
@inline
export function h0_of<F>(zero: v128): v128 {
  if (isDefined(changetype<F>(0).h0)) return changetype<F>(0).h0(zero);
  return zero;
}
@inline
export function h1_of<F>(zero: v128): v128 {
  if (isDefined(changetype<F>(0).h1)) return changetype<F>(0).h1(zero);
  return zero;
}

@inline
export function h2_of<F>(zero: v128): v128 {
  if (isDefined(changetype<F>(0).h2)) return changetype<F>(0).h2(zero);
  return zero;
}

/** lanes, the two f16, scale, least, or nothing. */
@inline
export function lanes_of<F>(f: usize, h0: v128, h1: v128, h2: v128): v128 {
  if (isDefined(changetype<F>(0).lanes)) return changetype<F>(0).lanes(f, h0, h1, h2);
  return i32x4.splat(0);
}
@inline
export function halves_of<F>(
  f: usize,
  size: v128,
  rebias: v128,
  smallest: v128,
  sign: v128,
): v128 {
  return halves_of_both<F>(f, f, size, rebias, smallest, sign);
}
/** The same of two records, side by side; those of the second one. */
@inline
export function halves_of_both<F>(
  f: usize,
  g: usize,
  size: v128,
  rebias: v128,
  smallest: v128,
  sign: v128,
): v128 {
  const format = changetype<F>(0);
  if (!isDefined(format.halvesAt)) return i32x4.splat(0);
  const bits = v128.load32_zero(f + SHORT + format.halvesAt);
  const both = v128.load_lane<u32>(g + SHORT + format.halvesAt, bits, 1);
  return four_f16(both, size, rebias, smallest, sign);
}
@inline
export function second_halves<F>(both: v128): v128 {
  return isDefined(changetype<F>(0).halvesAt) ? i32x4.shuffle(both, both, 2, 3, 2, 3) : both;
}
@inline
export function scale_of<F>(halves: v128): f32 {
  if (isDefined(changetype<F>(0).scale)) return changetype<F>(0).scale(halves);
  return 0;
}
@inline
export function least_of<F>(halves: v128): f32 {
  if (isDefined(changetype<F>(0).least)) return changetype<F>(0).least(halves);
  return 0;
}

/** D of one half. */
@inline
export function d_of<F>(
  f: usize,
  half: u32,
  lanes: v128,
  scale: f32,
  h0: v128,
  h1: v128,
): v128 {
  if (isDefined(changetype<F>(0).d)) return changetype<F>(0).d(f, half, lanes, scale, h0, h1);
  return f32x4.splat(scale);
}

/** M of one half, or nothing. */
@inline
export function m_of<F>(f: usize, half: u32): v128 {
  if (isDefined(changetype<F>(0).m)) return changetype<F>(0).m(f, half);
  return i32x4.splat(0);
}
