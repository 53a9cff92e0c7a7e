// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Scores of a block into weights: softmax with a running maximum, so that no pass over all
 * positions is needed. Method: Dao et al., FlashAttention, arXiv:2205.14135. Scores come in units
 * of 1 / ln 2 (attention.ts puts log2 e into the queries): weights are powers of two.
 */
import {
  Call,
  first_seen,
  SCORE_ROW_BYTES,
  STATE_CORRECTION,
  STATE_MAX,
  state_of,
  STATE_SUM,
} from "./attention_call";
import { exp_f32x4, LOG2_E } from "./exp";
import { madd, opaque, sum_lanes, TWO_POW_112, TWO_POW_56 } from "./simd";

/** Below it a power of two counts as 2^-126, which is nothing beside the largest weight, 1. */
const LOWEST: f32 = -126;
/** 1.5 · 2^23: adding it rounds to an integer in the low bits of the sum. */
const ROUND: f32 = 12582912.0;
/** 2^r on |r| ≤ 1/2 by a polynomial, fitted to the smallest largest relative error, 1.9e-9. */
const C6: f32 = 1.5345812e-4;
const C5: f32 = 1.3399931e-3;
const C4: f32 = 9.618489e-3;
const C3: f32 = 5.5503287e-2;
const C2: f32 = 2.4022646e-1;
const C1: f32 = 6.9314718e-1;
const C0: f32 = 1.0;

/**
 * Turns scores into weights relative to the largest score so far, per query; updates the largest,
 * the sum, and by how much what was mixed before must shrink. `begin` is the block's first
 * position; a tile's first query is number `first` of the group.
 */
export function soften_tile<T>(call: Call, tile: usize, first: u32, begin: u32): void {
  const lanes = min(call.width, call.n * call.groupHeads - first);
  const states = state_of(call, tile);
  for (let lane: u32 = 0; lane < lanes; lane++) {
    const row = call.scores + lane * SCORE_ROW_BYTES;
    const t = (first + lane) / call.groupHeads;
    const start = first_seen(call, t), end = call.p0 + t + 1;
    const from: u32 = start > begin ? min(start - begin, 32) : 0;
    const to: u32 = end > begin ? min(end - begin, 32) : 0;
    if (call.softCap > 0) cap_row<T>(row, call.softCap);
    for (let p: u32 = 0; p < from; p++) store<f32>(row + (p << 2), -Infinity);
    for (let p = to; p < 32; p++) store<f32>(row + (p << 2), -Infinity);
    find_top<T>(row, states + (lane << 2));
  }
  soften_rows<T>(call.scores, states, lanes);
}

/** What f16 scores lack: the other 2^56 is in the queries. */
@inline
function owed<T>(): f32 {
  return isFloat<T>() ? 1 : TWO_POW_56;
}

/** score = cap · tanh(score / cap), tanh(x) = 1 − 2 / (exp(2x) + 1). */
function cap_row<T>(row: usize, cap: f32): void {
  const two = f32x4.splat(2), one = f32x4.splat(1);
  const inner = f32x4.splat(owed<T>() / LOG2_E * 2 / cap);
  const outer = f32x4.splat(cap * LOG2_E / owed<T>());
  for (let i: u32 = 0; i < SCORE_ROW_BYTES; i += 16) {
    const e = exp_f32x4(f32x4.mul(v128.load(row + i), inner));
    const tanh = f32x4.sub(one, f32x4.div(two, f32x4.add(e, one)));
    v128.store(row + i, f32x4.mul(tanh, outer));
  }
}

/**
 * Updates a query's largest score; leaves the difference in the correction. A query that has seen
 * no position keeps −infinity, and differences stay finite.
 */
function find_top<T>(row: usize, state: usize): void {
  let top = f32x4.pmax(v128.load(row), v128.load(row, 16));
  top = f32x4.pmax(top, f32x4.pmax(v128.load(row, 32), v128.load(row, 48)));
  top = f32x4.pmax(top, f32x4.pmax(v128.load(row, 64), v128.load(row, 80)));
  top = f32x4.pmax(top, f32x4.pmax(v128.load(row, 96), v128.load(row, 112)));
  top = f32x4.pmax(top, i32x4.shuffle(top, top, 2, 3, 0, 1));
  top = f32x4.pmax(top, i32x4.shuffle(top, top, 1, 0, 3, 2));
  const before = load<f32>(state, STATE_MAX);
  const largest = max<f32>(f32x4.extract_lane(top, 0) * owed<T>(), before);
  store<f32>(state, largest, STATE_MAX);
  store<f32>(state, largest == before ? 0 : before - largest, STATE_CORRECTION);
}

/** weight = 2^(score − largest), times 2^112 for f16 values, which come as value · 2^-112. */
function soften_rows<T>(row: usize, state: usize, lanes: u32): void {
  const low = splat(LOWEST, lanes), round = splat(ROUND, lanes), scale = splat(owed<T>(), lanes);
  const c6 = splat(C6, lanes), c5 = splat(C5, lanes), c4 = splat(C4, lanes);
  const c3 = splat(C3, lanes), c2 = splat(C2, lanes), c1 = splat(C1, lanes);
  const c0 = splat(C0, lanes);
  const weightScale = splat(isFloat<T>() ? 1 : TWO_POW_112, lanes);
  for (; lanes != 0; lanes--, state += 4) {
    const largest = load<f32>(state, STATE_MAX);
    const top = f32x4.splat(largest == -Infinity ? 0 : largest);
    let sum0 = f32x4.splat(0), sum1 = sum0;
    const end = row + SCORE_ROW_BYTES;
    for (; row != end; row += 32) {
      const x0 = f32x4.pmax(f32x4.sub(f32x4.mul(v128.load(row), scale), top), low);
      const x1 = f32x4.pmax(f32x4.sub(f32x4.mul(v128.load(row, 16), scale), top), low);
      const n0 = f32x4.add(x0, round), n1 = f32x4.add(x1, round);
      const r0 = f32x4.sub(x0, f32x4.sub(n0, round)), r1 = f32x4.sub(x1, f32x4.sub(n1, round));
      let p0 = madd(c6, r0, c5), p1 = madd(c6, r1, c5);
      p0 = madd(p0, r0, c4);
      p1 = madd(p1, r1, c4);
      p0 = madd(p0, r0, c3);
      p1 = madd(p1, r1, c3);
      p0 = madd(p0, r0, c2);
      p1 = madd(p1, r1, c2);
      p0 = madd(p0, r0, c1);
      p1 = madd(p1, r1, c1);
      p0 = madd(p0, r0, c0);
      p1 = madd(p1, r1, c0);
      const e0 = i32x4.add(p0, i32x4.shl(n0, 23)), e1 = i32x4.add(p1, i32x4.shl(n1, 23));
      v128.store(row, f32x4.mul(e0, weightScale));
      v128.store(row, f32x4.mul(e1, weightScale), 16);
      sum0 = f32x4.add(sum0, e0);
      sum1 = f32x4.add(sum1, e1);
    }
    const correction = power_of_two(load<f32>(state, STATE_CORRECTION));
    const sum = sum_lanes(f32x4.add(sum0, sum1));
    store<f32>(state, load<f32>(state, STATE_SUM) * correction + sum, STATE_SUM);
    store<f32>(state, correction, STATE_CORRECTION);
  }
}

/** 2^x for x ≤ 0, which is mostly 0. */
@inline
function power_of_two(x: f32): f32 {
  if (x == 0) return 1;
  const natural = f32x4.splat(max<f32>(x, -1000) * (1 / LOG2_E));
  return f32x4.extract_lane(exp_f32x4(natural), 0);
}

/** `value` in all lanes, unknown to V8: a constant would be built anew at every use. */
@inline
function splat(value: f32, lanes: u32): v128 {
  return i32x4.splat(opaque(reinterpret<i32>(value), lanes));
}
