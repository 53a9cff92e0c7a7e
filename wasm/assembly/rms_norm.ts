/** Root mean square normalisation. Formula: src/reference/ops.ts rmsNorm. */
import { check_bytes, check_f32_rows } from "./bounds";
import { madd, sum_lanes } from "./simd";

/** out[t, i] = x[t, i] · weight[i] / sqrt(mean(x[t]²) + epsilon); zero for i in d..outStride. */
export function rms_norm_f32(
  x: usize,
  xStride: u32,
  weight: usize,
  out: usize,
  outStride: u32,
  n: u32,
  d: u32,
  epsilon: f32,
): void {
  check_f32_rows(x, n, xStride, d);
  check_bytes(weight, <u64> d << 2);
  check_f32_rows(out, n, outStride, max(d, outStride));
  for (let t: u32 = 0; t < n; t++) {
    const from = x + ((t * xStride) << 2);
    const to = out + ((t * outStride) << 2);
    const factor: f32 = 1 / sqrt<f32>(sum_of_squares(from, d) / <f32> d + epsilon);
    scale_row(from, weight, to, d, factor);
    if (outStride > d) memory.fill(to + (<usize> d << 2), 0, <usize> (outStride - d) << 2);
  }
}

/** Σ_i x[i]². */
export function sum_of_squares(x: usize, d: u32): f32 {
  const end = x + (<usize> d << 2);
  const wide = x + ((<usize> d & ~15) << 2);
  let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
  for (; x < wide; x += 64) {
    s0 = madd(v128.load(x), v128.load(x), s0);
    s1 = madd(v128.load(x, 16), v128.load(x, 16), s1);
    s2 = madd(v128.load(x, 32), v128.load(x, 32), s2);
    s3 = madd(v128.load(x, 48), v128.load(x, 48), s3);
  }
  let sum = sum_lanes(f32x4.add(f32x4.add(s0, s2), f32x4.add(s1, s3)));
  for (; x < end; x += 4) sum += load<f32>(x) * load<f32>(x);
  return sum;
}

/** out = x · factor · weight, one row; out may be x. */
export function scale_row(x: usize, weight: usize, out: usize, d: u32, factor: f32): void {
  const factors = f32x4.splat(factor);
  const end = x + (<usize> d << 2);
  const wide = x + ((<usize> d & ~7) << 2);
  for (; x < wide; x += 32, weight += 32, out += 32) {
    const low = f32x4.mul(f32x4.mul(v128.load(x), factors), v128.load(weight));
    const high = f32x4.mul(f32x4.mul(v128.load(x, 16), factors), v128.load(weight, 16));
    v128.store(out, low);
    v128.store(out, high, 16);
  }
  for (; x < end; x += 4, weight += 4, out += 4) {
    store<f32>(out, load<f32>(x) * factor * load<f32>(weight));
  }
}
