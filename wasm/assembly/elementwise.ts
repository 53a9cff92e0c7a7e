// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** Element by element: sums, biases, scales, soft caps. Rows are f32, strides in floats. */
import { check_bytes, check_f32_rows } from "./bounds";
import { tanh_f32x4 } from "./tanh";

/** x[t, i] += y[t, i]. */
export function add_f32(x: usize, xStride: u32, y: usize, yStride: u32, n: u32, d: u32): void {
  check_f32_rows(x, n, xStride, d);
  check_f32_rows(y, n, yStride, d);
  for (let t: u32 = 0; t < n; t++) add_row(x + ((t * xStride) << 2), y + ((t * yStride) << 2), d);
}

/** x[t, i] += bias[i]. */
export function add_bias_f32(x: usize, xStride: u32, bias: usize, n: u32, d: u32): void {
  check_f32_rows(x, n, xStride, d);
  check_bytes(bias, <u64>d << 2);
  for (let t: u32 = 0; t < n; t++) add_row(x + ((t * xStride) << 2), bias, d);
}

/** x += y, one row. */
export function add_row(x: usize, y: usize, d: u32): void {
  const end = x + (<usize>d << 2);
  const wide = x + ((<usize>d & ~7) << 2);
  for (; x < wide; x += 32, y += 32) {
    const low = f32x4.add(v128.load(x), v128.load(y));
    const high = f32x4.add(v128.load(x, 16), v128.load(y, 16));
    v128.store(x, low);
    v128.store(x, high, 16);
  }
  for (; x < end; x += 4, y += 4) store<f32>(x, load<f32>(x) + load<f32>(y));
}

/** x += factor · y, one row. */
export function add_scaled_row(x: usize, y: usize, factor: f32, d: u32): void {
  const end = x + (<usize>d << 2);
  const wide = x + ((<usize>d & ~3) << 2);
  const factors = f32x4.splat(factor);
  for (; x < wide; x += 16, y += 16) {
    v128.store(x, f32x4.add(v128.load(x), f32x4.mul(v128.load(y), factors)));
  }
  for (; x < end; x += 4, y += 4) store<f32>(x, load<f32>(x) + load<f32>(y) * factor);
}

/** x[t, i] *= factor. */
export function scale_f32(x: usize, xStride: u32, n: u32, d: u32, factor: f32): void {
  check_f32_rows(x, n, xStride, d);
  for (let t: u32 = 0; t < n; t++) scale_row(x + ((t * xStride) << 2), d, factor);
}

/** x[t, i] *= factors[t]. */
export function scale_rows_f32(x: usize, xStride: u32, factors: usize, n: u32, d: u32): void {
  check_f32_rows(x, n, xStride, d);
  check_bytes(factors, <u64>n << 2);
  for (let t: u32 = 0; t < n; t++) {
    scale_row(x + ((t * xStride) << 2), d, load<f32>(factors + (t << 2)));
  }
}

function scale_row(x: usize, d: u32, factor: f32): void {
  const factors = f32x4.splat(factor);
  const end = x + (<usize>d << 2);
  const wide = x + ((<usize>d & ~7) << 2);
  for (; x < wide; x += 32) {
    const low = f32x4.mul(v128.load(x), factors);
    const high = f32x4.mul(v128.load(x, 16), factors);
    v128.store(x, low);
    v128.store(x, high, 16);
  }
  for (; x < end; x += 4) store<f32>(x, load<f32>(x) * factor);
}

/** x[t, i] = 0 where x[t, i] < threshold. */
export function cut_below_f32(x: usize, xStride: u32, n: u32, d: u32, threshold: f32): void {
  check_f32_rows(x, n, xStride, d);
  const thresholds = f32x4.splat(threshold);
  for (let t: u32 = 0; t < n; t++) {
    let at = x + ((t * xStride) << 2);
    const end = at + (<usize>d << 2);
    const whole = at + ((<usize>d & ~3) << 2);
    for (; at < whole; at += 16) {
      const values = v128.load(at);
      v128.store(at, v128.andnot(values, f32x4.lt(values, thresholds)));
    }
    for (; at < end; at += 4) if (load<f32>(at) < threshold) store<f32>(at, 0);
  }
}

/** x[t, i] = x[t, i] within −limit .. limit. */
export function clamp_f32(x: usize, xStride: u32, n: u32, d: u32, limit: f32): void {
  check_f32_rows(x, n, xStride, d);
  const most = f32x4.splat(limit), least = f32x4.splat(-limit);
  for (let t: u32 = 0; t < n; t++) {
    let at = x + ((t * xStride) << 2);
    const end = at + (<usize>d << 2);
    const whole = at + ((<usize>d & ~3) << 2);
    for (; at < whole; at += 16) {
      v128.store(at, f32x4.min(f32x4.max(v128.load(at), least), most));
    }
    for (; at < end; at += 4) {
      store<f32>(at, min<f32>(max<f32>(load<f32>(at), -limit), limit));
    }
  }
}

/**
 * to[t, i] = x[t, i] within [least] .. [most], addresses of one number each (0: there is none); and
 * zero for i in d .. toStride unless `to` is x.
 */
export function clamp_between_f32(
  x: usize,
  xStride: u32,
  n: u32,
  d: u32,
  least: usize,
  most: usize,
  to: usize,
  toStride: u32,
): void {
  check_f32_rows(x, n, xStride, d);
  check_f32_rows(to, n, toStride, d);
  if (least != 0) check_bytes(least, 4);
  if (most != 0) check_bytes(most, 4);
  const low: f32 = least == 0 ? -f32.MAX_VALUE : load<f32>(least);
  const high: f32 = most == 0 ? f32.MAX_VALUE : load<f32>(most);
  const lows = f32x4.splat(low), highs = f32x4.splat(high);
  const whole = <usize>d & ~3;
  for (let t: u32 = 0; t < n; t++) {
    const from = x + ((t * xStride) << 2), row = to + ((t * toStride) << 2);
    let i: usize = 0;
    for (; i < whole; i += 4) {
      v128.store(row + (i << 2), f32x4.min(f32x4.max(v128.load(from + (i << 2)), lows), highs));
    }
    for (; i < <usize>d; i++) {
      store<f32>(row + (i << 2), min<f32>(max<f32>(load<f32>(from + (i << 2)), low), high));
    }
    if (to != x) memory.fill(row + (<usize>d << 2), 0, (<usize>toStride - d) << 2);
  }
}

/** x[t, i] *= weight[i]. */
export function mul_weight_f32(x: usize, xStride: u32, weight: usize, n: u32, d: u32): void {
  check_f32_rows(x, n, xStride, d);
  check_bytes(weight, <u64>d << 2);
  for (let t: u32 = 0; t < n; t++) mul_row(x + ((t * xStride) << 2), weight, d);
}

function mul_row(x: usize, y: usize, d: u32): void {
  const end = x + (<usize>d << 2);
  const wide = x + ((<usize>d & ~7) << 2);
  for (; x < wide; x += 32, y += 32) {
    const low = f32x4.mul(v128.load(x), v128.load(y));
    const high = f32x4.mul(v128.load(x, 16), v128.load(y, 16));
    v128.store(x, low);
    v128.store(x, high, 16);
  }
  for (; x < end; x += 4, y += 4) store<f32>(x, load<f32>(x) * load<f32>(y));
}

/** x[i] = cap · tanh(x[i] / cap), i in 0..n. */
export function soft_cap_f32(x: usize, n: u32, cap: f32): void {
  check_bytes(x, <u64>n << 2);
  const caps = f32x4.splat(cap), inverse = f32x4.splat(1 / cap);
  const end = x + (<usize>n << 2);
  const wide = x + ((<usize>n & ~3) << 2);
  for (; x < wide; x += 16) {
    v128.store(x, f32x4.mul(tanh_f32x4(f32x4.mul(v128.load(x), inverse)), caps));
  }
  for (; x < end; x += 4) {
    const value = f32x4.mul(tanh_f32x4(f32x4.mul(v128.load32_zero(x), inverse)), caps);
    v128.store_lane<u32>(x, value, 0);
  }
}
