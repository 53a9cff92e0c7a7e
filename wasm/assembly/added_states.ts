// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * States that decay key by key and are only added to (RWKV-6), and rows mixed with those before
 * them. Four rows of a head's state at a time, which stay in the core's first cache for all tokens.
 * Contract: wasm/keyed_kernels.ts; formulas: src/reference/keyed_scan.ts.
 */
import { check_bytes, check_f32_rows } from "./bounds";
import { exp_f32x4 } from "./exp";
import { madd, splat_lane, sum_lanes_4 } from "./simd";

export function shift_rows_f32(
  x: usize,
  stride: u32,
  from: usize,
  to: usize,
  weights: usize,
  weightsStride: u32,
  out: usize,
  outStride: u32,
  n: u32,
  width: u32,
): void {
  if ((width & 3) != 0 || width >> 20 != 0) unreachable();
  if (to != 0 && to == from) unreachable();
  const rowBytes: usize = width << 2;
  check_f32_rows(x, n, stride, width);
  check_f32_rows(out, n, outStride, max(width, outStride));
  check_f32_rows(weights, n, weightsStride, width);
  check_bytes(from, rowBytes);
  check_bytes(to, rowBytes);
  if (n == 0) return;
  if (to != 0) memory.copy(to, x + (((n - 1) * stride) << 2), rowBytes);
  // From the last one on: the row before it is still what it was, also where out is x.
  for (let t = n; t-- > 0;) {
    const row = x + ((t * stride) << 2);
    const before = t > 0 ? row - (stride << 2) : from;
    const mixed = out + ((t * outStride) << 2);
    const shares = weights + ((t * weightsStride) << 2);
    for (let i: usize = 0; i < rowBytes; i += 16) {
      const own = v128.load(row + i);
      const old = before == 0 ? f32x4.splat(0) : v128.load(before + i);
      v128.store(mixed + i, madd(v128.load(shares + i), f32x4.sub(old, own), own));
    }
    if (outStride > width) {
      memory.fill(mixed + rowBytes, 0, <usize>(outStride - width) << 2);
    }
  }
}

export function prepare_added_f32(
  w: usize,
  k: usize,
  stride: u32,
  dampens: u32,
  n: u32,
  d: u32,
): void {
  if ((d & 3) != 0) unreachable();
  check_f32_rows(w, n, stride, d);
  check_f32_rows(k, n, stride, d);
  const one = f32x4.splat(1);
  for (let t: u32 = 0; t < n; t++) {
    const at: usize = (t * stride) << 2;
    for (let i: usize = at; i < at + (d << 2); i += 16) {
      const stays = exp_f32x4(f32x4.neg(exp_f32x4(v128.load(w + i))));
      v128.store(w + i, stays);
      if (dampens != 0) {
        v128.store(k + i, f32x4.mul(v128.load(k + i), f32x4.sub(one, stays)));
      }
    }
  }
}

export function scan_added_f32(
  r: usize,
  w: usize,
  k: usize,
  v: usize,
  stride: u32,
  readsBefore: u32,
  from: usize,
  to: usize,
  out: usize,
  outStride: u32,
  n: u32,
  heads: u32,
  headDim: u32,
  states: u32,
): void {
  if (heads == 0 || headDim == 0 || states == 0) unreachable();
  if (((headDim | states) & 3) != 0) unreachable();
  if (heads >> 16 != 0 || headDim >> 12 != 0 || states >> 12 != 0) unreachable();
  const channels = <u64>heads * headDim, keys = <u64>heads * states;
  check_bytes(from, (channels * states) << 2);
  check_bytes(to, (channels * states) << 2);
  check_f32_rows(r, n, stride, keys);
  check_f32_rows(w, n, stride, keys);
  check_f32_rows(k, n, stride, keys);
  check_f32_rows(v, n, stride, channels);
  check_f32_rows(out, n, outStride, channels);
  const rowBytes = states << 2;
  for (let head: u32 = 0; head < heads; head++) {
    for (let first: u32 = 0; first < headDim; first += 4) {
      const channel = head * headDim + first;
      const state = to + channel * rowBytes;
      if (from == 0) memory.fill(state, 0, 4 * rowBytes);
      else if (from != to) memory.copy(state, from + channel * rowBytes, 4 * rowBytes);
      for (let t: u32 = 0; t < n; t++) {
        const at: usize = ((t * stride) << 2) + head * rowBytes;
        const value = v128.load(v + ((t * stride + channel) << 2));
        const y = add_four(state, r + at, w + at, k + at, value, rowBytes, readsBefore);
        v128.store(out + ((t * outStride + channel) << 2), y);
      }
    }
  }
}

/** Four rows of a state and one token; gives state · r of each, before the token or behind it. */
@inline
function add_four(
  state: usize,
  r: usize,
  w: usize,
  k: usize,
  values: v128,
  rowBytes: u32,
  readsBefore: u32,
): v128 {
  const s1 = state + rowBytes, s2 = s1 + rowBytes, s3 = s2 + rowBytes;
  const v0 = splat_lane(values, 0), v1 = splat_lane(values, 1);
  const v2 = splat_lane(values, 2), v3 = splat_lane(values, 3);
  let y0 = f32x4.splat(0), y1 = f32x4.splat(0), y2 = f32x4.splat(0), y3 = f32x4.splat(0);
  for (let i: usize = 0; i < rowBytes; i += 16) {
    const stays = v128.load(w + i), key = v128.load(k + i), reads = v128.load(r + i);
    const o0 = v128.load(state + i), o1 = v128.load(s1 + i);
    const o2 = v128.load(s2 + i), o3 = v128.load(s3 + i);
    const n0 = madd(o0, stays, f32x4.mul(key, v0)), n1 = madd(o1, stays, f32x4.mul(key, v1));
    const n2 = madd(o2, stays, f32x4.mul(key, v2)), n3 = madd(o3, stays, f32x4.mul(key, v3));
    v128.store(state + i, n0);
    v128.store(s1 + i, n1);
    v128.store(s2 + i, n2);
    v128.store(s3 + i, n3);
    if (readsBefore != 0) {
      y0 = madd(o0, reads, y0);
      y1 = madd(o1, reads, y1);
      y2 = madd(o2, reads, y2);
      y3 = madd(o3, reads, y3);
    } else {
      y0 = madd(n0, reads, y0);
      y1 = madd(n1, reads, y1);
      y2 = madd(n2, reads, y2);
      y3 = madd(n3, reads, y3);
    }
  }
  return sum_lanes_4(y0, y1, y2, y3);
}
