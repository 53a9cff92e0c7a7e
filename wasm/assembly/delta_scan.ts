// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * States that are corrected instead of added to: what a key brings back is taken out before its
 * value goes in. Four rows of a head's state at a time, which stay in the core's first cache for
 * all tokens. Contract: wasm/state_kernels.ts; formulas: src/reference/delta_scan.ts.
 */
import { check_bytes, check_f32_rows } from "./bounds";
import { exp_f32x4 } from "./exp";
import { join_pair, madd, opaque, sum_lanes, sum_lanes_4 } from "./simd";
import { step_four } from "./state_step";

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
  const rowBytes = states << 2, zero = i32x4.splat(opaque(0, states));
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
        const step = load<f32>(dt + ((t * dtStride + head) << 2));
        const stay = f32x4.extract_lane(exp_f32x4(f32x4.splat(step * decay)), 0);
        const rate = sigmoid(load<f32>(beta + ((t * betaStride + head) << 2)));
        const value = v128.load(v + at + (channel << 2));
        const key = k + at + group, query = q + at + group;
        const y = correct_four(state, stay, rate, key, query, value, rowBytes, zero);
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
  stay: f32,
  rate: v128,
  k: usize,
  q: usize,
  values: v128,
  rowBytes: u32,
  zero: v128,
): v128 {
  const known = f32x4.mul(rows_by(state, k, rowBytes, zero), f32x4.splat(stay));
  const delta = f32x4.mul(f32x4.sub(values, known), rate);
  return step_four(state, stay, k, q, delta, rowBytes, zero);
}

/** Four rows, rowBytes apart, by x. */
@inline
function rows_by(row: usize, x: usize, rowBytes: u32, zero: v128): v128 {
  let r1 = row + rowBytes, r2 = r1 + rowBytes, r3 = r2 + rowBytes;
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  const end = x + (rowBytes & ~31);
  for (; x != end; x += 32, row += 32, r1 += 32, r2 += 32, r3 += 32) {
    const x0 = v128.load(x), x1 = v128.load(x, 16);
    a0 = madd(v128.load(row), x0, a0), b0 = madd(v128.load(row, 16), x1, b0);
    a1 = madd(v128.load(r1), x0, a1), b1 = madd(v128.load(r1, 16), x1, b1);
    a2 = madd(v128.load(r2), x0, a2), b2 = madd(v128.load(r2, 16), x1, b2);
    a3 = madd(v128.load(r3), x0, a3), b3 = madd(v128.load(r3, 16), x1, b3);
  }
  a0 = join_pair(a0, b0, 1, zero), a1 = join_pair(a1, b1, 1, zero);
  a2 = join_pair(a2, b2, 1, zero), a3 = join_pair(a3, b3, 1, zero);
  if ((rowBytes & 16) != 0) {
    const last = v128.load(x);
    a0 = madd(v128.load(row), last, a0), a1 = madd(v128.load(r1), last, a1);
    a2 = madd(v128.load(r2), last, a2), a3 = madd(v128.load(r3), last, a3);
  }
  return sum_lanes_4(a0, a1, a2, a3);
}
