// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * States that decay key by key (RWKV, Kimi Linear), and what they are made of. Four rows of a
 * head's state at a time, which stay in the core's first cache for all tokens. Contract:
 * wasm/keyed_kernels.ts; formulas: src/reference/keyed_scan.ts, key_delta_scan.ts.
 */
import { softplus_x4 } from "./activations";
import { check_bytes, check_f32_rows } from "./bounds";
import { exp_f32x4 } from "./exp";
import { normalize_row } from "./delta_scan";
import { madd, splat_lane, sum_lanes, sum_lanes_4 } from "./simd";

/** What a decay's exponent is at most, and the least length of what brings back. */
const DECAY_MOST: f32 = 0.606531;
const LENGTH_MIN: f32 = 1e-12;

export function approach_f32(
  x: usize,
  xStride: u32,
  to: usize,
  toStride: u32,
  share: usize,
  shareStride: u32,
  n: u32,
  d: u32,
): void {
  if ((d & 3) != 0) unreachable();
  check_f32_rows(x, n, xStride, d);
  check_f32_rows(to, n, toStride, d);
  check_f32_rows(share, n, shareStride, d);
  const rowBytes: usize = d << 2;
  for (let t: u32 = 0; t < n; t++) {
    const row = x + ((t * xStride) << 2);
    const goal = to + ((t * toStride) << 2);
    const by = share + ((t * shareStride) << 2);
    for (let i: usize = 0; i < rowBytes; i += 16) {
      const own = v128.load(row + i);
      const way = f32x4.sub(v128.load(goal + i), own);
      v128.store(row + i, madd(sigmoid_x4(v128.load(by + i)), way, own));
    }
  }
}

export function prepare_keyed_f32(
  k: usize,
  w: usize,
  rate: usize,
  back: usize,
  stride: u32,
  keyScale: usize,
  keyRate: usize,
  n: u32,
  heads: u32,
  states: u32,
): void {
  if ((states & 3) != 0 || heads >> 16 != 0 || states >> 12 != 0) unreachable();
  const width = <u64>heads * states;
  check_f32_rows(k, n, stride, width);
  check_f32_rows(w, n, stride, width);
  check_f32_rows(rate, n, stride, width);
  check_f32_rows(back, n, stride, width);
  check_bytes(keyScale, width << 2);
  check_bytes(keyRate, width << 2);
  const headBytes = states << 2;
  for (let t: u32 = 0; t < n; t++) {
    for (let head: u32 = 0; head < heads; head++) {
      const first = head * headBytes;
      const at = ((t * stride) << 2) + first;
      prepare_head(k + at, w + at, rate + at, back + at, keyScale + first, keyRate + first,
        headBytes);
    }
  }
}

@inline
function prepare_head(
  k: usize,
  w: usize,
  rate: usize,
  back: usize,
  keyScale: usize,
  keyRate: usize,
  bytes: u32,
): void {
  let squares = f32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 16) {
    const x = f32x4.mul(v128.load(k + i), v128.load(keyScale + i));
    v128.store(back + i, x);
    squares = madd(x, x, squares);
  }
  const factor = f32x4.splat(1 / max(Mathf.sqrt(sum_lanes(squares)), LENGTH_MIN));
  const one = f32x4.splat(1), most = f32x4.splat(-DECAY_MOST);
  for (let i: usize = 0; i < bytes; i += 16) {
    const a = f32x4.mul(v128.load(back + i), factor);
    const rates = sigmoid_x4(v128.load(rate + i));
    const key = v128.load(k + i);
    const less = f32x4.mul(v128.load(keyRate + i), f32x4.sub(rates, one));
    v128.store(back + i, a);
    v128.store(rate + i, f32x4.mul(a, rates));
    v128.store(k + i, madd(key, less, key));
    v128.store(w + i, exp_f32x4(f32x4.mul(most, sigmoid_x4(v128.load(w + i)))));
  }
}

export function prepare_key_deltas_f32(
  q: usize,
  k: usize,
  v: usize,
  stride: u32,
  w: usize,
  back: usize,
  goes: usize,
  beta: usize,
  partStride: u32,
  a: usize,
  n: u32,
  heads: u32,
  headDim: u32,
  states: u32,
  epsilon: f32,
  decayFloor: f32,
): void {
  if (((headDim | states) & 3) != 0) unreachable();
  if (heads >> 16 != 0 || headDim >> 12 != 0 || states >> 12 != 0) unreachable();
  const channels = <u64>heads * headDim, keys = <u64>heads * states;
  check_f32_rows(q, n, stride, keys);
  check_f32_rows(k, n, stride, keys);
  check_f32_rows(v, n, stride, channels);
  check_f32_rows(w, n, partStride, keys);
  check_f32_rows(back, n, partStride, keys);
  check_f32_rows(goes, n, partStride, keys);
  check_f32_rows(beta, n, partStride, heads);
  check_bytes(a, <u64>heads << 2);
  const rowBytes = states << 2, headBytes = headDim << 2;
  const reads = <f32>(1 / Math.sqrt(<f64>states));
  const least = f32x4.splat(decayFloor);
  for (let t: u32 = 0; t < n; t++) {
    for (let head: u32 = 0; head < heads; head++) {
      const at: usize = ((t * stride) << 2) + head * rowBytes;
      const part: usize = ((t * partStride) << 2) + head * rowBytes;
      normalize_row(q + at, rowBytes, epsilon, reads);
      normalize_row(k + at, rowBytes, epsilon, 1);
      const rate = sigmoid_x4(f32x4.splat(load<f32>(beta + ((t * partStride + head) << 2))));
      const decay = f32x4.splat(load<f32>(a + (head << 2)));
      for (let i: usize = 0; i < rowBytes; i += 16) {
        const key = v128.load(k + at + i);
        const step = v128.load(w + part + i);
        const stays = exp_f32x4(
          decayFloor == 0
            ? f32x4.mul(softplus_x4(step), decay)
            : f32x4.mul(sigmoid_x4(f32x4.mul(step, f32x4.abs(decay))), least),
        );
        v128.store(w + part + i, stays);
        v128.store(back + part + i, f32x4.mul(stays, key));
        v128.store(goes + part + i, f32x4.mul(rate, key));
      }
      const value = v + ((t * stride) << 2) + head * headBytes;
      for (let i: usize = 0; i < headBytes; i += 16) {
        v128.store(value + i, f32x4.mul(v128.load(value + i), rate));
      }
    }
  }
}

export function scan_keyed_f32(
  r: usize,
  k: usize,
  stride: u32,
  w: usize,
  a: usize,
  b: usize,
  partStride: u32,
  v: usize,
  vStride: u32,
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
  check_f32_rows(k, n, stride, keys);
  check_f32_rows(w, n, partStride, keys);
  check_f32_rows(a, n, partStride, keys);
  check_f32_rows(b, n, partStride, keys);
  check_f32_rows(v, n, vStride, channels);
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
        const part: usize = ((t * partStride) << 2) + head * rowBytes;
        const value = v128.load(v + ((t * vStride + channel) << 2));
        const y = step_four(state, r + at, w + part, k + at, a + part, b + part, value, rowBytes);
        v128.store(out + ((t * outStride + channel) << 2), y);
      }
    }
  }
}

/** Four rows of a state and one token; gives state · r of each. */
@inline
function step_four(
  state: usize,
  r: usize,
  w: usize,
  k: usize,
  a: usize,
  b: usize,
  values: v128,
  rowBytes: u32,
): v128 {
  const s1 = state + rowBytes, s2 = s1 + rowBytes, s3 = s2 + rowBytes;
  let x0 = f32x4.splat(0), x1 = f32x4.splat(0), x2 = f32x4.splat(0), x3 = f32x4.splat(0);
  for (let i: usize = 0; i < rowBytes; i += 16) {
    const back = v128.load(a + i);
    x0 = madd(v128.load(state + i), back, x0);
    x1 = madd(v128.load(s1 + i), back, x1);
    x2 = madd(v128.load(s2 + i), back, x2);
    x3 = madd(v128.load(s3 + i), back, x3);
  }
  const known = f32x4.neg(sum_lanes_4(x0, x1, x2, x3));
  const g0 = splat_lane(known, 0), g1 = splat_lane(known, 1);
  const g2 = splat_lane(known, 2), g3 = splat_lane(known, 3);
  const v0 = splat_lane(values, 0), v1 = splat_lane(values, 1);
  const v2 = splat_lane(values, 2), v3 = splat_lane(values, 3);
  let y0 = f32x4.splat(0), y1 = f32x4.splat(0), y2 = f32x4.splat(0), y3 = f32x4.splat(0);
  for (let i: usize = 0; i < rowBytes; i += 16) {
    const stays = v128.load(w + i), key = v128.load(k + i), goes = v128.load(b + i);
    const n0 = madd(v128.load(state + i), stays, madd(key, v0, f32x4.mul(goes, g0)));
    const n1 = madd(v128.load(s1 + i), stays, madd(key, v1, f32x4.mul(goes, g1)));
    const n2 = madd(v128.load(s2 + i), stays, madd(key, v2, f32x4.mul(goes, g2)));
    const n3 = madd(v128.load(s3 + i), stays, madd(key, v3, f32x4.mul(goes, g3)));
    v128.store(state + i, n0);
    v128.store(s1 + i, n1);
    v128.store(s2 + i, n2);
    v128.store(s3 + i, n3);
    const reads = v128.load(r + i);
    y0 = madd(n0, reads, y0);
    y1 = madd(n1, reads, y1);
    y2 = madd(n2, reads, y2);
    y3 = madd(n3, reads, y3);
  }
  return sum_lanes_4(y0, y1, y2, y3);
}

export function add_bonus_f32(
  r: usize,
  k: usize,
  stride: u32,
  bonus: usize,
  v: usize,
  vStride: u32,
  out: usize,
  outStride: u32,
  n: u32,
  heads: u32,
  headDim: u32,
  states: u32,
): void {
  if (((headDim | states) & 3) != 0) unreachable();
  if (heads >> 16 != 0 || headDim >> 12 != 0 || states >> 12 != 0) unreachable();
  const channels = <u64>heads * headDim, keys = <u64>heads * states;
  check_f32_rows(r, n, stride, keys);
  check_f32_rows(k, n, stride, keys);
  check_f32_rows(v, n, vStride, channels);
  check_f32_rows(out, n, outStride, channels);
  check_bytes(bonus, keys << 2);
  const rowBytes = states << 2, headBytes = headDim << 2;
  for (let t: u32 = 0; t < n; t++) {
    for (let head: u32 = 0; head < heads; head++) {
      const at: usize = ((t * stride) << 2) + head * rowBytes;
      const weights = bonus + head * rowBytes;
      let sum = f32x4.splat(0);
      for (let i: usize = 0; i < rowBytes; i += 16) {
        const weighed = f32x4.mul(v128.load(k + at + i), v128.load(weights + i));
        sum = madd(v128.load(r + at + i), weighed, sum);
      }
      const factor = f32x4.splat(sum_lanes(sum));
      const value = v + ((t * vStride) << 2) + head * headBytes;
      const to = out + ((t * outStride) << 2) + head * headBytes;
      for (let i: usize = 0; i < headBytes; i += 16) {
        v128.store(to + i, madd(v128.load(value + i), factor, v128.load(to + i)));
      }
    }
  }
}

@inline
function sigmoid_x4(x: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.div(one, f32x4.add(one, exp_f32x4(f32x4.neg(x))));
}
