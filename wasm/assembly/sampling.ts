/** What choosing a token needs of a row of logits, f32 [n]. */
import { check_bytes } from "./bounds";
import { exp_f32x4 } from "./exp";
import { sum_lanes } from "./simd";

/** Index of the largest value; the first among equals; NaN never wins (0 when all are NaN). */
export function argmax_f32(x: usize, n: u32): u32 {
  check_bytes(x, <u64> n << 2);
  const largest = largest_of(x, n);
  for (let i: u32 = 0; i < n; i++) {
    if (load<f32>(x + (i << 2)) == largest) return i;
  }
  return 0;
}

/** In place: x = exp((x − max) · invTemperature) / Σ. */
export function softmax_f32(x: usize, n: u32, invTemperature: f32): void {
  check_bytes(x, <u64> n << 2);
  const largest = largest_of(x, n);
  const shift = f32x4.splat(largest);
  const factor = f32x4.splat(invTemperature);
  const whole = (<usize> n & ~3) << 2;
  const end = <usize> n << 2;
  // f64 would be wasted on the terms but not on the sum: a vocabulary has 150,000 of them.
  let sum: f64 = 0;
  for (let i: usize = 0; i < whole; i += 16) {
    const e = exp_f32x4(f32x4.mul(f32x4.sub(v128.load(x + i), shift), factor));
    v128.store(x + i, e);
    sum += <f64> sum_lanes(e);
  }
  for (let i = whole; i < end; i += 4) {
    const e = exp_f32x4(f32x4.mul(f32x4.sub(v128.load32_zero(x + i), shift), factor));
    v128.store_lane<u32>(x + i, e, 0);
    sum += <f64> f32x4.extract_lane(e, 0);
  }
  const inverse: f32 = <f32> (1 / sum);
  const inverses = f32x4.splat(inverse);
  for (let i: usize = 0; i < whole; i += 16) {
    v128.store(x + i, f32x4.mul(v128.load(x + i), inverses));
  }
  for (let i = whole; i < end; i += 4) store<f32>(x + i, load<f32>(x + i) * inverse);
}

/** The largest value that is a number; -Infinity when there is none. */
function largest_of(x: usize, n: u32): f32 {
  const whole = (<usize> n & ~15) << 2;
  const end = <usize> n << 2;
  let m0 = f32x4.splat(-Infinity), m1 = m0, m2 = m0, m3 = m0;
  // pmax(a, b) is a < b ? b : a: a NaN in b never replaces a.
  for (let i: usize = 0; i < whole; i += 64) {
    m0 = f32x4.pmax(m0, v128.load(x + i));
    m1 = f32x4.pmax(m1, v128.load(x + i, 16));
    m2 = f32x4.pmax(m2, v128.load(x + i, 32));
    m3 = f32x4.pmax(m3, v128.load(x + i, 48));
  }
  m0 = f32x4.pmax(f32x4.pmax(m0, m1), f32x4.pmax(m2, m3));
  m0 = f32x4.pmax(m0, i32x4.shuffle(m0, m0, 2, 3, 0, 1));
  m0 = f32x4.pmax(m0, i32x4.shuffle(m0, m0, 1, 0, 3, 2));
  let largest = f32x4.extract_lane(m0, 0);
  for (let i = whole; i < end; i += 4) {
    const value = load<f32>(x + i);
    if (value > largest) largest = value;
  }
  return largest;
}
