// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * States that are corrected instead of added to: what a key brings back is taken out before its
 * value goes in. Four rows of a head's state at a time, which stay in the core's first cache for
 * all tokens. Contract: wasm/state_kernels.ts; formulas: src/reference/delta_scan.ts.
 */
import { check_bytes, check_f32_rows } from "./bounds";
import { exp_f32x4 } from "./exp";
import { madd, splat_lane, sum_lanes, sum_lanes_4 } from "./simd";

export function scan_deltas_f32(
  q: usize,
  k: usize,
  v: usize,
  stride: u32,
  dt: usize,
  dtStride: u32,
  a: usize,
  beta: usize,
  betaStride: u32,
  from: usize,
  to: usize,
  out: usize,
  outStride: u32,
  n: u32,
  heads: u32,
  headDim: u32,
  states: u32,
  groups: u32,
  inTurns: u32,
  epsilon: f32,
): void {
  if (heads == 0 || headDim == 0 || states == 0) unreachable();
  if (((headDim | states) & 3) != 0) unreachable();
  if (heads >> 16 != 0 || headDim >> 12 != 0 || states >> 12 != 0) unreachable();
  if (groups == 0 || heads % groups != 0) unreachable();
  const channels = <u64>heads * headDim;
  check_bytes(from, (channels * states) << 2);
  check_bytes(to, (channels * states) << 2);
  check_f32_rows(q, n, stride, <u64>groups * states);
  check_f32_rows(k, n, stride, <u64>groups * states);
  check_f32_rows(v, n, stride, channels);
  check_f32_rows(dt, n, dtStride, heads);
  check_f32_rows(beta, n, betaStride, heads);
  check_f32_rows(out, n, outStride, channels);
  check_bytes(a, <u64>heads << 2);
  const rowBytes = states << 2;
  const reads = <f32>(1 / Math.sqrt(<f64>states));
  for (let t: u32 = 0; t < n; t++) {
    const at: usize = (t * stride) << 2;
    for (let group: u32 = 0; group < groups; group++) {
      normalize_row(k + at + group * rowBytes, rowBytes, epsilon, 1);
      normalize_row(q + at + group * rowBytes, rowBytes, epsilon, reads);
    }
  }
  const size = heads / groups;
  for (let head: u32 = 0; head < heads; head++) {
    const group = (inTurns != 0 ? head % groups : head / size) * rowBytes;
    const decay = load<f32>(a + (head << 2));
    for (let first: u32 = 0; first < headDim; first += 4) {
      const channel = head * headDim + first;
      const state = to + channel * rowBytes;
      if (from == 0) memory.fill(state, 0, 4 * rowBytes);
      else if (from != to) memory.copy(state, from + channel * rowBytes, 4 * rowBytes);
      for (let t: u32 = 0; t < n; t++) {
        const at: usize = (t * stride) << 2;
        const stays = exp_f32x4(f32x4.splat(load<f32>(dt + ((t * dtStride + head) << 2)) * decay));
        const rate = sigmoid(load<f32>(beta + ((t * betaStride + head) << 2)));
        const value = v128.load(v + at + (channel << 2));
        const y = correct_four(state, stays, rate, k + at + group, q + at + group, value, rowBytes);
        v128.store(out + ((t * outStride + channel) << 2), y);
      }
    }
  }
}

/** row · factor / √(row · row + epsilon), in place. */
@inline
export function normalize_row(row: usize, bytes: u32, epsilon: f32, factor: f32): void {
  let squares = f32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 16) {
    const x = v128.load(row + i);
    squares = madd(x, x, squares);
  }
  const scale = f32x4.splat(factor / Mathf.sqrt(sum_lanes(squares) + epsilon));
  for (let i: usize = 0; i < bytes; i += 16) {
    v128.store(row + i, f32x4.mul(v128.load(row + i), scale));
  }
}

@inline
function sigmoid(x: f32): v128 {
  const one = f32x4.splat(1);
  return f32x4.div(one, f32x4.add(one, exp_f32x4(f32x4.splat(-x))));
}

/** Four rows of a state and one token; gives state · q of each. */
@inline
function correct_four(
  state: usize,
  stays: v128,
  rate: v128,
  k: usize,
  q: usize,
  values: v128,
  rowBytes: u32,
): v128 {
  const s1 = state + rowBytes, s2 = s1 + rowBytes, s3 = s2 + rowBytes;
  let x0 = f32x4.splat(0), x1 = f32x4.splat(0), x2 = f32x4.splat(0), x3 = f32x4.splat(0);
  for (let i: usize = 0; i < rowBytes; i += 16) {
    const key = v128.load(k + i);
    x0 = madd(v128.load(state + i), key, x0);
    x1 = madd(v128.load(s1 + i), key, x1);
    x2 = madd(v128.load(s2 + i), key, x2);
    x3 = madd(v128.load(s3 + i), key, x3);
  }
  const known = f32x4.mul(sum_lanes_4(x0, x1, x2, x3), stays);
  const delta = f32x4.mul(f32x4.sub(values, known), rate);
  const d0 = splat_lane(delta, 0), d1 = splat_lane(delta, 1);
  const d2 = splat_lane(delta, 2), d3 = splat_lane(delta, 3);
  let y0 = f32x4.splat(0), y1 = f32x4.splat(0), y2 = f32x4.splat(0), y3 = f32x4.splat(0);
  for (let i: usize = 0; i < rowBytes; i += 16) {
    const key = v128.load(k + i), query = v128.load(q + i);
    const n0 = madd(v128.load(state + i), stays, f32x4.mul(key, d0));
    const n1 = madd(v128.load(s1 + i), stays, f32x4.mul(key, d1));
    const n2 = madd(v128.load(s2 + i), stays, f32x4.mul(key, d2));
    const n3 = madd(v128.load(s3 + i), stays, f32x4.mul(key, d3));
    v128.store(state + i, n0);
    v128.store(s1 + i, n1);
    v128.store(s2 + i, n2);
    v128.store(s3 + i, n3);
    y0 = madd(n0, query, y0);
    y1 = madd(n1, query, y1);
    y2 = madd(n2, query, y2);
    y3 = madd(n3, query, y3);
  }
  return sum_lanes_4(y0, y1, y2, y3);
}
