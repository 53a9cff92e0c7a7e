/** The few vector idioms that several kernels share. All are inlined; none knows a row format. */

/**
 * The f16 bit trick: sign-extended half bits, shifted left by 13 and masked, are the f32 pattern
 * of value · 2^-112, exactly, subnormals included (infinities and NaN become large numbers).
 * Whoever uses it multiplies by 2^112 somewhere cheap.
 */
export const F16_SHIFT: i32 = 13;
export const F16_MASK: i32 = 0x8fffffff;
/** 2^112 and its halves, for factors that must not overflow on the way. */
export const TWO_POW_112: f32 = 5192296858534827628530496329220096.0;
export const TWO_POW_56: f32 = 72057594037927936.0;

/** a · b + c, rounded once where the machine has FMA. */

export function madd(a: v128, b: v128, c: v128): v128 {
  return f32x4.relaxed_madd(a, b, c);
}

/** Eight products of int8 `a` and 0..127 `b`, added in neighbouring pairs: i16x8. */

export function dot_i8(a: v128, b: v128): v128 {
  return i16x8.relaxed_dot_i8x16_i7x16_s(a, b);
}

/** Four f16, given as sign-extended bits (v128.load_ext<i16>), to f32 times 2^-112. */

export function f16_bits_to_f32x4(bits: v128): v128 {
  return v128.and(i32x4.shl(bits, F16_SHIFT), i32x4.splat(F16_MASK));
}

/** [Σa, Σb, Σc, Σd]. */

export function sum_lanes_4(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(i32x4.shuffle(a, b, 0, 4, 1, 5), i32x4.shuffle(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(i32x4.shuffle(c, d, 0, 4, 1, 5), i32x4.shuffle(c, d, 2, 6, 3, 7));
  return f32x4.add(i32x4.shuffle(ab, cd, 0, 1, 4, 5), i32x4.shuffle(ab, cd, 2, 3, 6, 7));
}

/** Σa, in the order of sum_lanes_4. */

export function sum_lanes(a: v128): f32 {
  const pair = f32x4.add(a, i32x4.shuffle(a, a, 2, 3, 0, 1));
  return f32x4.extract_lane(pair, 0) + f32x4.extract_lane(pair, 1);
}
