// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** xIELU, the activation of Apertus, whose four numbers each layer has learned. */
import { check_bytes, check_f32_rows } from "./bounds";
import { exp_f32x4 } from "./exp";
import { madd } from "./simd";

/** From here down exp(x) − 1 has its digits; above it a series has more. */
const SERIES_FROM: f32 = -0.5;

/**
 * out[t, i] = p·x² + b·x where x > 0, else n·(exp(min(x, e)) − 1 − x) + b·x; zero for i in
 * d..outStride. curve: n, p, b, e.
 */
export function xielu_f32(
  x: usize,
  inStride: u32,
  out: usize,
  outStride: u32,
  n: u32,
  d: u32,
  curve: usize,
): void {
  check_f32_rows(x, n, inStride, d);
  check_f32_rows(out, n, outStride, max(d, outStride));
  check_bytes(curve, 16);
  const negative = v128.load32_splat(curve);
  const positive = v128.load32_splat(curve, 4);
  const linear = v128.load32_splat(curve, 8);
  const least = v128.load32_splat(curve, 12);
  for (let t: u32 = 0; t < n; t++) {
    let from = x + ((t * inStride) << 2);
    let to = out + ((t * outStride) << 2);
    const end = to + (<usize>d << 2);
    const wide = to + ((<usize>d & ~3) << 2);
    for (; to < wide; to += 16, from += 16) {
      v128.store(to, xielu_x4(v128.load(from), negative, positive, linear, least));
    }
    for (; to < end; to += 4, from += 4) {
      const value = xielu_x4(v128.load32_zero(from), negative, positive, linear, least);
      v128.store_lane<u32>(to, value, 0);
    }
    if (outStride > d) memory.fill(end, 0, <usize>(outStride - d) << 2);
  }
}

@inline
function xielu_x4(x: v128, negative: v128, positive: v128, linear: v128, least: v128): v128 {
  const above = f32x4.mul(positive, f32x4.mul(x, x));
  const curved = f32x4.mul(negative, below_x4(x, f32x4.min(x, least)));
  const isAbove = f32x4.gt(x, f32x4.splat(0));
  return madd(linear, x, v128.bitselect(above, curved, isAbove));
}

/** exp(m) − 1 − x: near 0 by (m − x) + m²·(1/2 + m/6 + m²/24 + …), to 4e-8. */
@inline
function below_x4(x: v128, m: v128): v128 {
  const far = f32x4.sub(f32x4.sub(exp_f32x4(m), f32x4.splat(1)), x);
  let p = madd(f32x4.splat(2.48015873e-5), m, f32x4.splat(1.98412698e-4));
  p = madd(p, m, f32x4.splat(1.38888889e-3));
  p = madd(p, m, f32x4.splat(8.33333333e-3));
  p = madd(p, m, f32x4.splat(4.16666667e-2));
  p = madd(p, m, f32x4.splat(0.166666667));
  p = madd(p, m, f32x4.splat(0.5));
  const near = madd(f32x4.mul(m, m), p, f32x4.sub(m, x));
  return v128.bitselect(near, far, f32x4.gt(m, f32x4.splat(SERIES_FROM)));
}
