// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** exp for four lanes: what softmax and SiLU are made of. */
import { madd } from "./simd";

export const LOG2_E: f32 = 1.4426950408889634;
/** ln 2 in two parts: the first has 9 trailing zero bits, so that n · LN2_HIGH is exact. */
const LN2_HIGH: f32 = 0.693359375;
const LN2_LOW: f32 = -2.12194440e-4;
const LOWEST: f32 = -87.0;
const HIGHEST: f32 = 88.0;
/** 1.5 · 2^23: adding it rounds to an integer in the low bits of the sum. */
const ROUND: f32 = 12582912.0;

/**
 * exp(x), relative error below 2e-7 for x in [-87, 88]; smaller x give 0, larger ones exp(88);
 * NaN stays NaN. Method: x = n·ln 2 + r; exp(r) on |r| ≤ ln 2 / 2 by 1 + r + r²·(degree 4),
 * fitted to the smallest largest relative error (3.2e-9 before rounding).
 */
@inline
export function exp_f32x4(x: v128): v128 {
  const tooSmall = f32x4.lt(x, f32x4.splat(LOWEST));
  const bounded = f32x4.pmin(f32x4.pmax(x, f32x4.splat(LOWEST)), f32x4.splat(HIGHEST));
  const shifted = madd(bounded, f32x4.splat(LOG2_E), f32x4.splat(ROUND));
  const n = f32x4.sub(shifted, f32x4.splat(ROUND));
  let r = madd(n, f32x4.splat(-LN2_HIGH), bounded);
  r = madd(n, f32x4.splat(-LN2_LOW), r);
  let p = madd(f32x4.splat(1.381388049e-3), r, f32x4.splat(8.369063462e-3));
  p = madd(p, r, f32x4.splat(4.166842182e-2));
  p = madd(p, r, f32x4.splat(1.666651776e-1));
  p = madd(p, r, f32x4.splat(0.4999999325));
  p = madd(p, r, f32x4.splat(1.0));
  p = madd(p, r, f32x4.splat(1.0));
  // The low bits of `shifted` are n: adding n to the exponent field multiplies by 2^n.
  const scaled = i32x4.add(p, i32x4.shl(shifted, 23));
  return v128.andnot(scaled, tooSmall);
}
