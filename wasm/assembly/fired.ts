// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** Which neurons fire, as a list, which of a list, and back from a list to all neurons. */
import { check_bytes, check_f32_rows } from "./bounds";

/**
 * list = all i with !(x[i] ≤ threshold), ascending; values[j] = x[list[j]]. values may be x.
 * Returns their count.
 */
export function fired_f32(x: usize, n: u32, threshold: f32, list: usize, values: usize): u32 {
  return list_above(false, x, n, threshold, list, values);
}

/** The same with |x[i]| in place of x[i]; values keep their signs. */
export function loud_f32(x: usize, n: u32, threshold: f32, list: usize, values: usize): u32 {
  return list_above(true, x, n, threshold, list, values);
}

/** isLoud is only ever a constant: the choice is made when this is compiled. */
@inline
function list_above(
  isLoud: bool,
  x: usize,
  n: u32,
  threshold: f32,
  list: usize,
  values: usize,
): u32 {
  check_bytes(x, <u64>n << 2);
  check_bytes(list, <u64>n << 2);
  check_bytes(values, <u64>n << 2);
  const thresholds = f32x4.splat(threshold);
  let count: u32 = 0;
  let i: u32 = 0;
  for (; i + 4 <= n; i += 4) {
    let four = v128.load(x + (i << 2));
    if (isLoud) four = f32x4.abs(four);
    let fires = ~i32x4.bitmask(f32x4.le(four, thresholds)) & 15;
    for (; fires != 0; fires &= fires - 1) {
      const index = i + ctz(fires);
      store<u32>(list + (count << 2), index);
      store<f32>(values + (count << 2), load<f32>(x + (index << 2)));
      count++;
    }
  }
  for (; i < n; i++) {
    const value = load<f32>(x + (i << 2));
    if ((isLoud ? abs(value) : value) <= threshold) continue;
    store<u32>(list + (count << 2), i);
    store<f32>(values + (count << 2), value);
    count++;
  }
  return count;
}

/** x[t, i] = 0 where |x[t, i]| ≤ threshold. */
export function hush_f32(x: usize, xStride: u32, n: u32, d: u32, threshold: f32): void {
  check_f32_rows(x, n, xStride, d);
  const thresholds = f32x4.splat(threshold);
  for (let t: u32 = 0; t < n; t++) {
    let at = x + ((t * xStride) << 2);
    const end = at + (<usize>d << 2);
    const wide = at + ((<usize>d & ~3) << 2);
    for (; at < wide; at += 16) {
      const four = v128.load(at);
      v128.store(at, v128.andnot(four, f32x4.le(f32x4.abs(four), thresholds)));
    }
    for (; at < end; at += 4) if (abs(load<f32>(at)) <= threshold) store<f32>(at, 0);
  }
}

/** out = 0, then out[list[j]] = values[j]; out f32 [n]. */
export function scatter_f32(values: usize, list: usize, count: u32, out: usize, n: u32): void {
  check_bytes(values, <u64>count << 2);
  check_bytes(list, <u64>count << 2);
  check_bytes(out, <u64>n << 2);
  if (n == 0 && count != 0) unreachable();
  memory.fill(out, 0, <usize>n << 2);
  for (let j: u32 = 0; j < count; j++) {
    const index = min(load<u32>(list + (j << 2)), n - 1);
    store<f32>(out + (index << 2), load<f32>(values + (j << 2)));
  }
}

/** list[j] = list[picks[j]], j in 0..count; picks u32 [count], ascending. list u32 [n]. */
export function pick_listed(list: usize, n: u32, picks: usize, count: u32): void {
  check_bytes(list, <u64>n << 2);
  check_bytes(picks, <u64>count << 2);
  if (count > n) unreachable();
  for (let j: u32 = 0; j < count; j++) {
    const index = min(load<u32>(picks + (j << 2)), n - 1);
    store<u32>(list + (j << 2), load<u32>(list + (index << 2)));
  }
}
