// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Ways to add up the products of a superblock, the same integers: products of several tokens
 * (gemm_q8.ts, gemm_few_q8.ts) are compiled for two of them. Fours are one operation where V8 has
 * AVX-VNNI (or ARM's dot product), and four of them elsewhere, where pairs are faster: which is
 * taken is measured (src/rank/load/tune.ts). A way is a class without instances, as a format is.
 *
 * add(sums, x, w, lanes): `lanes` are the integer scales of the halves, for ways that widen at
 * once (`widens`); to the others add_blocks() has them.
 */
import { has_parts, is_wide, k1_of } from "./format";
import { dot_add_i8, dot_i8, madd } from "./simd";
import { add_blocks } from "./widen";

/** i16x8: lane 2j and 2j + 1 are the halves of block j. Every format can be summed so. */
@unmanaged
export class Pairs {
  @inline add(sums: v128, x: v128, w: v128, lanes: v128): v128 {
    return i16x8.add(sums, dot_i8(x, w));
  }
  @inline plus(a: v128, b: v128): v128 { return i16x8.add(a, b); }
  /** A multiple of 16-bit sums of halves, in the lanes of this way. */
  @inline times(halves: v128, factor: v128): v128 { return i16x8.mul(halves, factor); }
  /** p + factors · the sums of four blocks; `lanes`: integer scales of the halves. */
  @inline add_blocks(p: v128, sums: v128, lanes: v128, factors: v128): v128 {
    return add_blocks(p, sums, lanes, factors);
  }
}

/**
 * i32x4: lane j is block j. For formats whose halves have one scale. Wide ones are bytes here, not
 * two nibbles: 0..255, where a dot product says what it does with 0..127 only.
 */
@unmanaged
export class Fours {
  @inline get takesBytes(): bool { return true; }
  @inline add(sums: v128, x: v128, w: v128, lanes: v128): v128 { return dot_add_i8(x, w, sums); }
  @inline plus(a: v128, b: v128): v128 { return i32x4.add(a, b); }
  @inline times(halves: v128, factor: v128): v128 { return i32x4.dot_i16x8_s(halves, factor); }
  @inline add_blocks(p: v128, sums: v128, lanes: v128, factors: v128): v128 {
    return madd(f32x4.convert_i32x4_s(sums), factors, p);
  }
}

/**
 * i32x4: lane j is block j. For wide formats of bytes 0..127 (`isSevenBits`): a pair's sum fills 16
 * bits, so it is widened at once, by its half's scale. Three operations, where two nibbles are
 * four.
 */
@unmanaged
export class Sevens {
  @inline get takesBytes(): bool { return true; }
  @inline get widens(): bool { return true; }
  @inline add(sums: v128, x: v128, w: v128, lanes: v128): v128 {
    return i32x4.add(sums, i32x4.dot_i16x8_s(dot_i8(x, w), lanes));
  }
  @inline plus(a: v128, b: v128): v128 { return i32x4.add(a, b); }
  @inline times(halves: v128, factor: v128): v128 { return i32x4.dot_i16x8_s(halves, factor); }
  @inline add_blocks(p: v128, sums: v128, lanes: v128, factors: v128): v128 {
    return madd(f32x4.convert_i32x4_s(sums), factors, p);
  }
}

/**
 * i32x4: lane j is block j. For formats of 8 bits: sizes, 0..127, by activations that take the
 * weights' signs. A sign is XORed in, which makes −x − 1 of x; what that takes away, the sizes of
 * all negative weights, is a form's C, and added in the end. Four operations, as two nibbles are,
 * and half of what those take behind them.
 */
@unmanaged
export class Signs {
  @inline get takesBytes(): bool { return true; }
  @inline get hasSigns(): bool { return true; }
  @inline add(sums: v128, x: v128, w: v128, lanes: v128): v128 {
    return i32x4.add(sums, i32x4.dot_i16x8_s(dot_i8(x, w), lanes));
  }
  @inline plus(a: v128, b: v128): v128 { return i32x4.add(a, b); }
  @inline times(halves: v128, factor: v128): v128 { return i32x4.dot_i16x8_s(halves, factor); }
  @inline add_blocks(p: v128, sums: v128, lanes: v128, factors: v128): v128 {
    return madd(f32x4.convert_i32x4_s(sums), factors, p);
  }
}

/** The same with sizes up to 128, which only odd files have: slower, exact on any machine. */
@unmanaged
export class SignsOf128 {
  @inline get takesBytes(): bool { return true; }
  @inline get hasSigns(): bool { return true; }
  @inline add(sums: v128, x: v128, w: v128, lanes: v128): v128 {
    const p = i16x8.mul(i16x8.extend_low_i8x16_s(x), i16x8.extend_low_i8x16_u(w));
    const q = i16x8.mul(i16x8.extend_high_i8x16_s(x), i16x8.extend_high_i8x16_u(w));
    const a = i32x4.dot_i16x8_s(p, lanes), b = i32x4.dot_i16x8_s(q, lanes);
    const fours = i32x4.add(i32x4.shuffle(a, b, 0, 2, 4, 6), i32x4.shuffle(a, b, 1, 3, 5, 7));
    return i32x4.add(sums, fours);
  }
  @inline plus(a: v128, b: v128): v128 { return i32x4.add(a, b); }
  @inline times(halves: v128, factor: v128): v128 { return i32x4.dot_i16x8_s(halves, factor); }
  @inline add_blocks(p: v128, sums: v128, lanes: v128, factors: v128): v128 {
    return madd(f32x4.convert_i32x4_s(sums), factors, p);
  }
}

/** Does S multiply sizes and signs? A constant. */
@inline
export function has_signs<S>(): bool {
  return isDefined(changetype<S>(0).hasSigns);
}

/** Does S widen by scales that halves of F's blocks have? A constant. */
@inline
export function widens_by_lanes<F, S>(): bool {
  return isDefined(changetype<F>(0).l) && isDefined(changetype<S>(0).widens);
}

/** Are the weights of a wide format multiplied as bytes? A constant. */
@inline
export function takes_bytes<F, S>(): bool {
  return is_wide<F>() && isDefined(changetype<S>(0).takesBytes);
}

/** Are they two nibbles, multiplied apart? A constant. */
@inline
export function has_nibbles<F, S>(): bool {
  return is_wide<F>() && !takes_bytes<F, S>();
}

/** k1 for these: what bytes are looked up in, where they are, and S takes them. */
@inline
export function quant_table<F, S>(zero: v128): v128 {
  const f = changetype<F>(0);
  return takes_bytes<F, S>() && isDefined(f.table) ? f.table(zero) : k1_of<F>(zero);
}

/** The quants of a lower or an upper place, as format.ts has them, or whole bytes. */
@inline
export function lower_of<F, S>(x: v128, y: v128, k0: v128, k1: v128): v128 {
  const f = changetype<F>(0);
  if (!takes_bytes<F, S>() || isDefined(f.table)) return f.lower(x, y, k0, k1);
  if (isDefined(f.isBytes)) return x;
  return i8x16.add(f.lower(x, y, k0, k1), i16x8.shl(f.lower_high(x, y, k0, k1), 4));
}
@inline
export function upper_of<F, S>(x: v128, y: v128, k0: v128, k1: v128): v128 {
  const f = changetype<F>(0);
  if (!takes_bytes<F, S>() || isDefined(f.table)) return f.upper(x, y, k0, k1);
  if (isDefined(f.isBytes)) return x;
  return i8x16.add(f.upper(x, y, k0, k1), i16x8.shl(f.upper_high(x, y, k0, k1), 4));
}

/** What is subtracted from the quants of a pass, but for a wide format's low nibbles. */
@inline
export function offset_of<F, S>(): i32 {
  const f = changetype<F>(0);
  if (!takes_bytes<F, S>()) return f.offset;
  return (isDefined(f.lowOffset) ? f.lowOffset : 0) + 16 * f.offset;
}

/** A constant: quarters exist, and halves have scales of their own, for 16-bit sums' sake. */
@inline
export function can_sum_fours<F>(): bool {
  const f = changetype<F>(0);
  return !isDefined(f.l) && !isDefined(f.quarters);
}

/** The same of one token, whose quants may be in parts; those of forms are bytes. */
@inline
export function can_sum_fours_of_one<F>(): bool {
  return can_sum_fours<F>() && !has_parts<F>();
}

/** Are products of several tokens summed by fours? Of the instance: load.ts. */
@external("env", "sums_by_fours")
declare const sumsByFours: i32;

/** The same, where F's weights can be. */
@inline
export function sums_by_fours<F>(): bool {
  return sumsByFours != 0 && (!is_wide<F>() || bytes_are_unsigned());
}

/**
 * What this machine's dot product makes of 128..255: AVX-VNNI has them exact, other ways cut their
 * sums or take them for negative numbers. Whatever it does, it does always: the specification of
 * relaxed SIMD promises that.
 */
function bytes_are_unsigned(): bool {
  const most = dot_add_i8(i8x16.splat(127), i8x16.splat(-1), i32x4.splat(0));
  const least = dot_add_i8(i8x16.splat(-128), i8x16.splat(-1), i32x4.splat(0));
  return i32x4.extract_lane(most, 0) == 4 * 127 * 255 &&
    i32x4.extract_lane(least, 0) == 4 * -128 * 255;
}
