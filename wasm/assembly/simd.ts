// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** The few vector idioms that several kernels share. All are inlined; none knows a row format. */

/**
 * The f16 bit trick: sign-extended half bits, shifted left by 13 and masked, are the f32 pattern
 * of value · 2^-112, exactly, subnormals included (infinities and NaN become large numbers).
 * Whoever uses it multiplies by 2^112 somewhere cheap.
 */
export const F16_SHIFT: i32 = 13;
export const F16_MASK: i32 = 0x8fffffff;
export const TWO_POW_112_BITS: i32 = 0x77800000;
export const TWO_POW_112: f32 = 5192296858534827628530496329220096.0;

/** a · b + c, rounded once where the machine has FMA. */
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  return f32x4.relaxed_madd(a, b, c);
}

/**
 * acc + a · b: of floats, rounded once where the machine has FMA; of 16-bit integers (T = i16) the
 * products of eight pairs, added two by two: i32x4.
 */
@inline
export function multiply_add<T>(a: v128, b: v128, acc: v128): v128 {
  if (isFloat<T>()) return madd(a, b, acc);
  return i32x4.add(acc, i32x4.dot_i16x8_s(a, b));
}

/** Sixteen products of int8 `a` and 0..127 `b`, added in neighbouring pairs: i16x8. */
@inline
export function dot_i8(a: v128, b: v128): v128 {
  return i16x8.relaxed_dot_i8x16_i7x16_s(a, b);
}

/**
 * acc + the same products, added in neighbouring fours: i32x4. What becomes of `b` from 128 to 255
 * is the machine's business (product_sums.ts).
 */
@inline
export function dot_add_i8(a: v128, b: v128, acc: v128): v128 {
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(a, b, acc);
}

/**
 * `bits`, such that no compiler knows it: the count's top bits, which are zero, are ORed in. V8
 * builds a constant vector anew at every use (three instructions); a splat of this stays in its
 * register through the loop.
 */
@inline
export function opaque(bits: i32, count: u32): i32 {
  return bits | (count >> 28);
}

/**
 * Four f16, given as sign-extended bits (v128.load_ext<i16>), to f32 times 2^-112; `mask` is
 * F16_MASK in every lane.
 */
@inline
export function f16_bits_to_f32x4(bits: v128, mask: v128): v128 {
  return v128.and(i32x4.shl(bits, F16_SHIFT), mask);
}

/** The f16 number at ptr. */
@inline
export function f16_at(ptr: usize): f32 {
  const bits = <i32>load<i16>(ptr) << F16_SHIFT;
  return reinterpret<f32>(bits & F16_MASK) * TWO_POW_112;
}

/**
 * scale · (a + b). V8 pairs 128-bit operations only behind stores and integer reductions, so one
 * is added here: `zero` is a zero vector that no compiler knows, and the sum of the masked bits
 * changes nothing, but makes a and b, and all they were computed from, halves of 256-bit values.
 * The multiplication stands between them and their loop, lest V8 takes the halves apart inside.
 */
@inline
export function join_pair(a: v128, b: v128, scale: f32, zero: v128): v128 {
  const x = f32x4.mul(a, f32x4.splat(scale)), y = f32x4.mul(b, f32x4.splat(scale));
  const nothing = i64x2.add(v128.and(x, zero), v128.and(y, zero));
  return f32x4.add(f32x4.add(x, y), nothing);
}

/** Stores the first `valid` lanes, at most 4, `step` bytes apart. */
@inline
export function store_lanes(out: usize, step: u32, valid: u32, lanes: v128): void {
  v128.store_lane<u32>(out, lanes, 0);
  if (valid > 1) v128.store_lane<u32>(out + step, lanes, 1);
  if (valid > 2) v128.store_lane<u32>(out + 2 * step, lanes, 2);
  if (valid > 3) v128.store_lane<u32>(out + 3 * step, lanes, 3);
}

/** [Σa, Σb, Σc, Σd]. */
@inline
export function sum_lanes_4(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(i32x4.shuffle(a, b, 0, 4, 1, 5), i32x4.shuffle(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(i32x4.shuffle(c, d, 0, 4, 1, 5), i32x4.shuffle(c, d, 2, 6, 3, 7));
  return f32x4.add(i32x4.shuffle(ab, cd, 0, 1, 4, 5), i32x4.shuffle(ab, cd, 2, 3, 6, 7));
}

/** Σa, in the order of sum_lanes_4. */
@inline
export function sum_lanes(a: v128): f32 {
  const pair = f32x4.add(a, i32x4.shuffle(a, a, 2, 3, 0, 1));
  return f32x4.extract_lane(pair, 0) + f32x4.extract_lane(pair, 1);
}

/** Lane i, a constant, in all four. */
@inline
export function splat_lane(x: v128, i: i32): v128 {
  if (i == 0) return i32x4.shuffle(x, x, 0, 0, 0, 0);
  if (i == 1) return i32x4.shuffle(x, x, 1, 1, 1, 1);
  if (i == 2) return i32x4.shuffle(x, x, 2, 2, 2, 2);
  return i32x4.shuffle(x, x, 3, 3, 3, 3);
}
