/** Layer normalisation, and norms of single heads. Formulas: src/reference/activation_ops.ts. */
import { check_bytes, check_f32_rows } from "./bounds";
import { add_row } from "./elementwise";
import { scale_row, sum_of_squares } from "./rms_norm";
import { sum_lanes } from "./simd";

/**
 * out[t, i] = (x[t, i] − mean) / sqrt(variance + epsilon) · weight[i] + bias[i], mean and variance
 * of x[t]; zero for i in d..outStride. bias 0: none.
 */
export function layer_norm_f32(
  x: usize,
  xStride: u32,
  weight: usize,
  bias: usize,
  out: usize,
  outStride: u32,
  n: u32,
  d: u32,
  epsilon: f32,
): void {
  check_f32_rows(x, n, xStride, d);
  check_bytes(weight, <u64> d << 2);
  check_bytes(bias, <u64> d << 2);
  check_f32_rows(out, n, outStride, max(d, outStride));
  for (let t: u32 = 0; t < n; t++) {
    const to = out + ((t * outStride) << 2);
    centre_row(x + ((t * xStride) << 2), to, d);
    const factor: f32 = 1 / sqrt<f32>(sum_of_squares(to, d) / <f32> d + epsilon);
    scale_row(to, weight, to, d, factor);
    if (bias != 0) add_row(to, bias, d);
    if (outStride > d) memory.fill(to + (<usize> d << 2), 0, <usize> (outStride - d) << 2);
  }
}

/**
 * Normalises each of `heads` heads of headDim by itself, in place: by its root mean square, or
 * where `centred` is not 0 as layer_norm_f32 does. Head h is multiplied by the headDim weights
 * that begin h · weightStep floats into weight.
 */
export function head_norm_f32(
  x: usize,
  stride: u32,
  n: u32,
  heads: u32,
  headDim: u32,
  weight: usize,
  weightStep: u32,
  epsilon: f32,
  centred: u32,
): void {
  check_f32_rows(x, n, stride, <u64> heads * headDim);
  check_f32_rows(weight, heads, weightStep, headDim);
  for (let t: u32 = 0; t < n; t++) {
    let head = x + ((t * stride) << 2);
    let w = weight;
    for (let h: u32 = 0; h < heads; h++) {
      if (centred != 0) centre_row(head, head, headDim);
      const mean = sum_of_squares(head, headDim) / <f32> headDim;
      scale_row(head, w, head, headDim, 1 / sqrt<f32>(mean + epsilon));
      head += <usize> headDim << 2;
      w += <usize> weightStep << 2;
    }
  }
}

/** out[t] = Σ_i x[t, i]². */
export function row_squares_f32(x: usize, xStride: u32, n: u32, d: u32, out: usize): void {
  check_f32_rows(x, n, xStride, d);
  check_bytes(out, <u64> n << 2);
  for (let t: u32 = 0; t < n; t++) {
    store<f32>(out + (t << 2), sum_of_squares(x + ((t * xStride) << 2), d));
  }
}

/** out = x − mean(x). */
function centre_row(x: usize, out: usize, d: u32): void {
  const mean: f32 = sum(x, d) / <f32> d;
  const means = f32x4.splat(mean);
  const end = x + (<usize> d << 2);
  const wide = x + ((<usize> d & ~7) << 2);
  for (; x < wide; x += 32, out += 32) {
    const low = f32x4.sub(v128.load(x), means);
    const high = f32x4.sub(v128.load(x, 16), means);
    v128.store(out, low);
    v128.store(out, high, 16);
  }
  for (; x < end; x += 4, out += 4) store<f32>(out, load<f32>(x) - mean);
}

function sum(x: usize, d: u32): f32 {
  const end = x + (<usize> d << 2);
  const wide = x + ((<usize> d & ~15) << 2);
  let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
  for (; x < wide; x += 64) {
    s0 = f32x4.add(s0, v128.load(x));
    s1 = f32x4.add(s1, v128.load(x, 16));
    s2 = f32x4.add(s2, v128.load(x, 32));
    s3 = f32x4.add(s3, v128.load(x, 48));
  }
  let all = sum_lanes(f32x4.add(f32x4.add(s0, s2), f32x4.add(s1, s3)));
  for (; x < end; x += 4) all += load<f32>(x);
  return all;
}
