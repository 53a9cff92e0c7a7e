// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** tanh for four lanes: what soft caps are made of. */
import { exp_f32x4 } from "./exp";
import { madd } from "./simd";

/** Below this the polynomial is used; above it the exponential loses no digits any more. */
const SMALL: f32 = 0.65;

/**
 * tanh(x), relative error below 3e-7; NaN stays NaN. Method: for |x| < 0.65 by x + x³·(degree 5 in
 * x²), fitted to the smallest largest relative error (2.5e-10 before rounding); else
 * 1 − 2 / (exp(2|x|) + 1) with the sign of x.
 */
@inline
export function tanh_f32x4(x: v128): v128 {
  const sign = v128.and(x, i32x4.splat(0x80000000));
  const size = v128.xor(x, sign);
  const z = f32x4.mul(x, x);
  let p = madd(f32x4.splat(2.064665300e-3), z, f32x4.splat(-8.091968544e-3));
  p = madd(p, z, f32x4.splat(2.166634703e-2));
  p = madd(p, z, f32x4.splat(-5.394056321e-2));
  p = madd(p, z, f32x4.splat(1.333315790e-1));
  p = madd(p, z, f32x4.splat(-3.333332961e-1));
  const near = madd(f32x4.mul(p, z), x, x);
  const one = f32x4.splat(1);
  const grown = f32x4.add(exp_f32x4(f32x4.add(size, size)), one);
  const far = v128.or(f32x4.sub(one, f32x4.div(f32x4.splat(2), grown)), sign);
  return v128.bitselect(near, far, f32x4.lt(size, f32x4.splat(SMALL)));
}
