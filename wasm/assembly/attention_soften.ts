// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Scores of a block into weights: softmax with a running maximum, so that no pass over all
 * positions is needed. Method: Dao et al., FlashAttention, arXiv:2205.14135. Scores come in units
 * of 1 / ln 2 (attention.ts puts log2 e into the queries), so weights are powers of two; maxima are
 * rounded up to integers, so what was mixed before shrinks by exact powers of two.
 *
 * Over integers a block's weights are taken relative to the block's own maximum, multiplied by the
 * scales of the positions' values, and rounded: fixed point of 13 bits.
 */
import { KV_LEVEL_MAX } from "../../src/memory/kv_layout";
import {
  Call,
  first_seen,
  scales_of,
  SCORE_ROW_BYTES,
  STATE_CORRECTION,
  STATE_MAX,
  state_of,
  STATE_REFERENCE,
  STATE_SHARE,
  STATE_SUM,
  STATE_WEIGHT_SCALE,
} from "./attention_call";
import { exp_f32x4, LOG2_E } from "./exp";
import { madd, opaque, sum_lanes } from "./simd";

/**
 * Below it a power of two counts as 2^-90: nothing beside the largest weight, and its products are
 * no subnormals, which are slow.
 */
const LOWEST: f32 = -90;
/** 1.5 · 2^23, and its bits: adding it rounds to an integer in the low bits of the sum. */
const ROUND: f32 = 12582912.0;
const ROUND_BITS: i32 = 0x4b400000;
/** 2^r on |r| ≤ 1/2 by a polynomial, fitted to the smallest largest relative error, 9e-8. */
const C5: f32 = 1.32647e-3;
const C4: f32 = 9.67151e-3;
const C3: f32 = 5.550734e-2;
const C2: f32 = 2.4022242e-1;
const C1: f32 = 6.9314698e-1;
const C0: f32 = 1.0;

/**
 * Turns scores into weights, per query; updates the largest, the sum, and by how much what was
 * mixed before must shrink. `values` is the block's piece, `begin` its first position; a tile's
 * first query is number `first` of the group.
 */
export function soften_tile<T>(
  call: Call,
  tile: usize,
  values: usize,
  first: u32,
  begin: u32,
): void {
  const lanes = min(call.width, call.n * call.groupHeads - first);
  const states = state_of(call, tile);
  const oldest = first / call.groupHeads, newest = (first + lanes - 1) / call.groupHeads;
  const isCut = first_seen(call, newest) > begin || call.p0 + oldest + 1 < begin + 32;
  for (let lane: u32 = 0; lane < lanes; lane++) {
    const row = call.scores + lane * SCORE_ROW_BYTES;
    if (call.softCap > 0) cap_row(row, call.softCap);
    if (isCut) {
      const t = (first + lane) / call.groupHeads;
      soften_cut_row<T>(call, row, states + (lane << 2), values, t, begin);
    } else {
      find_top<T>(row, states + (lane << 2), call.valueUnit);
    }
  }
  if (!isCut) soften_rows<T>(call.scores, call.valueWeights, states, lanes);
}

/**
 * The row of a token that does not see the whole block. What it does not see must not matter, not
 * even by the largest scale of the values: tokens get the same bits alone and in a chunk.
 */
function soften_cut_row<T>(
  call: Call,
  row: usize,
  state: usize,
  values: usize,
  t: u32,
  begin: u32,
): void {
  const end = call.p0 + t + 1;
  const to: u32 = end > begin ? min(end - begin, 32) : 0;
  mask_row(call, row, t, begin, to);
  const unit: f32 = isFloat<T>() ? 1 : prepare_values(call, values, to, call.cutWeights);
  find_top<T>(row, state, unit);
  soften_rows<T>(row, call.cutWeights, state, 1);
}

/**
 * Writes what a weight of 1 is at each position of a block of integer values, f32 [32], so that the
 * largest is KV_LEVEL_MAX; returns what a unit of that is worth. Positions from `count` on may
 * never have been written.
 */
export function prepare_values(call: Call, piece: usize, count: u32, weights: usize): f32 {
  const scales = scales_of(piece, call.paddedDim);
  let largest: f32 = 0;
  for (let p: u32 = 0; p < count; p++) largest = max<f32>(largest, load<f32>(scales + (p << 2)));
  const factor: f32 = largest == 0 ? 0 : <f32>KV_LEVEL_MAX / largest;
  for (let p: u32 = 0; p < count; p++) {
    store<f32>(weights + (p << 2), load<f32>(scales + (p << 2)) * factor);
  }
  for (let p = count; p < 32; p++) store<f32>(weights + (p << 2), 0);
  return largest / <f32>KV_LEVEL_MAX;
}

/** score = cap · tanh(score / cap), tanh(x) = 1 − 2 / (exp(2x) + 1). */
function cap_row(row: usize, cap: f32): void {
  const two = f32x4.splat(2), one = f32x4.splat(1);
  const inner = f32x4.splat(2 / LOG2_E / cap), outer = f32x4.splat(cap * LOG2_E);
  for (let i: u32 = 0; i < SCORE_ROW_BYTES; i += 16) {
    const e = exp_f32x4(f32x4.mul(v128.load(row + i), inner));
    const tanh = f32x4.sub(one, f32x4.div(two, f32x4.add(e, one)));
    v128.store(row + i, f32x4.mul(tanh, outer));
  }
}

/** Sets the scores of what token t does not see, which ends before `to`, to −infinity. */
@inline
function mask_row(call: Call, row: usize, t: u32, begin: u32, to: u32): void {
  const start = first_seen(call, t);
  const from: u32 = start > begin ? min(start - begin, 32) : 0;
  for (let p: u32 = 0; p < from; p++) store<f32>(row + (p << 2), -Infinity);
  for (let p = to; p < 32; p++) store<f32>(row + (p << 2), -Infinity);
}

/**
 * Updates a query's largest score; leaves what the block's weights are relative to, and by how much
 * they and what was mixed before shrink. A query that sees nothing here gets weights that are
 * nothing, and keeps its largest; differences stay finite.
 */
function find_top<T>(row: usize, state: usize, valueUnit: f32): void {
  let top = f32x4.pmax(v128.load(row), v128.load(row, 16));
  top = f32x4.pmax(top, f32x4.pmax(v128.load(row, 32), v128.load(row, 48)));
  top = f32x4.pmax(top, f32x4.pmax(v128.load(row, 64), v128.load(row, 80)));
  top = f32x4.pmax(top, f32x4.pmax(v128.load(row, 96), v128.load(row, 112)));
  const halves = f32x4.max(top, i32x4.shuffle(top, top, 2, 3, 0, 1));
  const all = f32x4.max(halves, i32x4.shuffle(halves, halves, 1, 0, 3, 2));
  const own = ceil<f32>(f32x4.extract_lane(all, 0));
  const before = load<f32>(state, STATE_MAX);
  const largest = max<f32>(own, before);
  store<f32>(state, largest, STATE_MAX);
  store<f32>(state, largest == before ? 1 : power_of_two(before - largest), STATE_CORRECTION);
  const reference = isFloat<T>() ? largest : own;
  store<f32>(state, reference == -Infinity ? 0 : reference, STATE_REFERENCE);
  if (isFloat<T>()) return;
  const share: f32 = own == -Infinity ? 0 : power_of_two(own - largest);
  store<f32>(state, share, STATE_SHARE);
  store<f32>(state, share * valueUnit, STATE_WEIGHT_SCALE);
}

/** 2^x for integers x ≤ 0; 0 where that would be subnormal. */
@inline
function power_of_two(x: f32): f32 {
  return x >= -126 ? reinterpret<f32>((<i32>x + 127) << 23) : 0;
}

/** weight = 2^(score − reference); over integers rounded, i16 [32] in place. */
function soften_rows<T>(row: usize, valueWeights: usize, state: usize, lanes: u32): void {
  const low = splat(LOWEST, lanes), round = splat(ROUND, lanes);
  const c5 = splat(C5, lanes), c4 = splat(C4, lanes), c3 = splat(C3, lanes);
  const c2 = splat(C2, lanes), c1 = splat(C1, lanes), c0 = splat(C0, lanes);
  const roundBits = i32x4.splat(opaque(ROUND_BITS, lanes));
  for (; lanes != 0; lanes--, state += 4) {
    const top = v128.load_splat<f32>(state, STATE_REFERENCE);
    let sum0 = f32x4.splat(0), sum1 = sum0;
    let to = row, weights = valueWeights;
    const end = row + SCORE_ROW_BYTES;
    for (; row != end; row += 32) {
      const x0 = f32x4.pmax(f32x4.sub(v128.load(row), top), low);
      const x1 = f32x4.pmax(f32x4.sub(v128.load(row, 16), top), low);
      const n0 = f32x4.add(x0, round), n1 = f32x4.add(x1, round);
      const r0 = f32x4.sub(x0, f32x4.sub(n0, round)), r1 = f32x4.sub(x1, f32x4.sub(n1, round));
      let p0 = madd(c5, r0, c4), p1 = madd(c5, r1, c4);
      p0 = madd(p0, r0, c3);
      p1 = madd(p1, r1, c3);
      p0 = madd(p0, r0, c2);
      p1 = madd(p1, r1, c2);
      p0 = madd(p0, r0, c1);
      p1 = madd(p1, r1, c1);
      p0 = madd(p0, r0, c0);
      p1 = madd(p1, r1, c0);
      const e0 = i32x4.add(p0, i32x4.shl(n0, 23)), e1 = i32x4.add(p1, i32x4.shl(n1, 23));
      if (isFloat<T>()) {
        v128.store(row, e0);
        v128.store(row, e1, 16);
      } else {
        const w0 = i32x4.sub(madd(e0, v128.load(weights), round), roundBits);
        const w1 = i32x4.sub(madd(e1, v128.load(weights, 16), round), roundBits);
        v128.store(to, i16x8.narrow_i32x4_s(w0, w1));
        to += 16;
        weights += 32;
      }
      sum0 = f32x4.add(sum0, e0);
      sum1 = f32x4.add(sum1, e1);
    }
    let sum = sum_lanes(f32x4.add(sum0, sum1));
    if (!isFloat<T>()) sum *= load<f32>(state, STATE_SHARE);
    const before = load<f32>(state, STATE_SUM) * load<f32>(state, STATE_CORRECTION);
    store<f32>(state, before + sum, STATE_SUM);
  }
}

/** `value` in all lanes, unknown to V8: a constant would be built anew at every use. */
@inline
function splat(value: f32, lanes: u32): v128 {
  return i32x4.splat(opaque(reinterpret<i32>(value), lanes));
}
