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
import { BIAS_MAX, BIAS_REACH, BIAS_SPAN } from "../../src/memory/bias_layout";
import { KV_LEVEL_MAX } from "../../src/memory/kv_layout";
import {
  BLOCK_POSITIONS,
  Call,
  first_seen,
  PARTIAL_BYTES,
  scales_of,
  SCORE_ROW_BYTES,
  seen_end,
  STATE_CORRECTION,
  STATE_MAX,
  state_of,
  STATE_REFERENCE,
  STATE_SHARE,
  STATE_SUM,
  STATE_WEIGHT_SCALE,
  TILE_QUERIES,
} from "./attention_call";
import { exp_f32x4, LOG2_E } from "./exp";
import { madd, opaque, sum_lanes, sum_lanes_4 } from "./simd";

/**
 * Below it a power of two counts as 2^-90: nothing beside the largest weight, and its products are
 * no subnormals, which are slow.
 */
const LOWEST: f32 = -90;
/** 1.5 · 2^23: adding it rounds to an integer in the low bits of the sum. */
const ROUND: f32 = 12582912.0;
/** What scores are relative to where none is more than -infinity. */
const NOTHING: f32 = -3e38;
/** 2^r on |r| ≤ 1/2 by a polynomial, fitted to the smallest largest relative error, 9e-8. */
const C5: f32 = 1.32647e-3;
const C4: f32 = 9.67151e-3;
const C3: f32 = 5.550734e-2;
const C2: f32 = 2.4022242e-1;
const C1: f32 = 6.9314698e-1;
const C0: f32 = 1.0;
/** The same of degree 4, 2.6e-6: the integers that weights become are 20 times as coarse. */
const D4: f32 = 9.57010197e-3;
const D3: f32 = 5.59178608e-2;
const D2: f32 = 0.240247448;
const D1: f32 = 0.693121815;

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
  const states = state_of(call, tile), scores = call.scores;
  const oldest = first / call.groupHeads, newest = (first + lanes - 1) / call.groupHeads;
  let weights = call.valueWeights, step: u32 = 0;
  if (call.softCap > 0) cap_rows(scores, lanes, call.softCap);
  if (call.slopes != 0) slope_rows(call, first, lanes, begin);
  if (call.biases != 0) bias_rows(call, first, lanes, begin);
  if (first_seen(call, newest) > begin || seen_end(call, oldest) < begin + BLOCK_POSITIONS) {
    cut_rows<T>(call, states, values, first, lanes, begin);
    weights = call.cutWeights;
    step = SCORE_ROW_BYTES;
  } else if (!isFloat<T>()) {
    v128.store(states, f32x4.splat(call.valueUnit), STATE_WEIGHT_SCALE);
  }
  if (call.width == 1) {
    find_top<T>(scores, states);
    soften_rows<T>(scores, weights, step, states, 1, call.partial);
    add_sum<T>(call.partial, states);
  } else {
    find_tops<T>(scores, states, call.partial);
    soften_rows<T>(scores, weights, step, states, TILE_QUERIES, call.partial);
    add_sums<T>(call.partial, states);
  }
}

/**
 * Rows of tokens that do not all see the whole block. What one does not see must not matter, not
 * even by the largest scale of the values: tokens get the same bits alone and in a chunk.
 */
function cut_rows<T>(
  call: Call,
  states: usize,
  values: usize,
  first: u32,
  lanes: u32,
  begin: u32,
): void {
  for (let lane: u32 = 0; lane < lanes; lane++) {
    const t = (first + lane) / call.groupHeads;
    const end = seen_end(call, t);
    const to: u32 = end > begin ? min(end - begin, BLOCK_POSITIONS) : 0;
    const row = lane * SCORE_ROW_BYTES;
    mask_row(call, call.scores + row, t, begin, to);
    if (isFloat<T>()) continue;
    const unit = prepare_values(call, values, to, call.cutWeights + row);
    store<f32>(states + (lane << 2), unit, STATE_WEIGHT_SCALE);
  }
}

/**
 * Writes what a weight of 1 is at each position of a block of integer values, f32 [32], so that the
 * largest is KV_LEVEL_MAX; returns what a unit of that is worth. Positions from `count` on may
 * never have been written.
 */
export function prepare_values(call: Call, piece: usize, count: u32, weights: usize): f32 {
  const scales = scales_of(piece, call.paddedDim);
  if (count == BLOCK_POSITIONS) return prepare_block(scales, weights);
  let largest: f32 = 0;
  for (let p: u32 = 0; p < count; p++) largest = max<f32>(largest, load<f32>(scales + (p << 2)));
  const factor = level_factor(largest);
  for (let p: u32 = 0; p < count; p++) {
    store<f32>(weights + (p << 2), load<f32>(scales + (p << 2)) * factor);
  }
  for (let p = count; p < BLOCK_POSITIONS; p++) store<f32>(weights + (p << 2), 0);
  return largest / <f32>KV_LEVEL_MAX;
}

/** The same of a whole block. */
function prepare_block(scales: usize, weights: usize): f32 {
  let top = v128.load(scales);
  for (let i: u32 = 16; i < SCORE_ROW_BYTES; i += 16) {
    top = f32x4.max(top, v128.load(scales + i));
  }
  const halves = f32x4.max(top, i32x4.shuffle(top, top, 2, 3, 0, 1));
  const all = f32x4.max(halves, i32x4.shuffle(halves, halves, 1, 0, 3, 2));
  const largest = f32x4.extract_lane(all, 0);
  const factor = f32x4.splat(level_factor(largest));
  for (let i: u32 = 0; i < SCORE_ROW_BYTES; i += 16) {
    v128.store(weights + i, f32x4.mul(v128.load(scales + i), factor));
  }
  return largest / <f32>KV_LEVEL_MAX;
}

@inline
function level_factor(largest: f32): f32 {
  return largest == 0 ? 0 : <f32>KV_LEVEL_MAX / largest;
}

/** score = cap · tanh(score / cap), tanh(x) = 1 − 2 / (exp(2x) + 1). */
function cap_rows(row: usize, lanes: u32, cap: f32): void {
  const two = f32x4.splat(2), one = f32x4.splat(1);
  const inner = f32x4.splat(2 / LOG2_E / cap), outer = f32x4.splat(cap * LOG2_E);
  for (const end = row + lanes * SCORE_ROW_BYTES; row != end; row += 16) {
    const e = exp_f32x4(f32x4.mul(v128.load(row), inner));
    const tanh = f32x4.sub(one, f32x4.div(two, f32x4.add(e, one)));
    v128.store(row, f32x4.mul(tanh, outer));
  }
}

/**
 * score −= slope · distance, by each head's slope (Press et al. 2021, "Train Short, Test Long"),
 * in either direction.
 */
function slope_rows(call: Call, first: u32, lanes: u32, begin: u32): void {
  for (let lane: u32 = 0; lane < lanes; lane++) {
    const t = (first + lane) / call.groupHeads;
    const head = call.firstHead + (first + lane) % call.groupHeads;
    const slope = load<f32>(call.slopes + (head << 2)) * LOG2_E;
    const slopes = f32x4.splat(-slope), four = f32x4.splat(4);
    const ahead = <f32>(<i32>begin - <i32>(call.p0 + t));
    let distances = f32x4.add(f32x4.splat(ahead), f32x4(0, 1, 2, 3));
    const row = call.scores + lane * SCORE_ROW_BYTES;
    for (let at = row; at != row + SCORE_ROW_BYTES; at += 16) {
      v128.store(at, f32x4.add(v128.load(at), f32x4.mul(f32x4.abs(distances), slopes)));
      distances = f32x4.add(distances, four);
    }
  }
}

/** score += each head's bias of the distance: beyond BIAS_REACH that of the last ones. */
function bias_rows(call: Call, first: u32, lanes: u32, begin: u32): void {
  const log2e = f32x4.splat(LOG2_E);
  for (let lane: u32 = 0; lane < lanes; lane++) {
    const t = (first + lane) / call.groupHeads;
    const head = call.firstHead + (first + lane) % call.groupHeads;
    const biases = call.biases + head * (BIAS_SPAN << 2);
    const row = call.scores + lane * SCORE_ROW_BYTES;
    let distance = <i32>begin - <i32>(call.p0 + t);
    for (let at = row; at != row + SCORE_ROW_BYTES; at += 16, distance += 4) {
      const near = max<i32>(-BIAS_MAX, min<i32>(BIAS_REACH, distance));
      const own = v128.load(biases + ((near + BIAS_MAX) << 2));
      v128.store(at, f32x4.add(v128.load(at), f32x4.mul(own, log2e)));
    }
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

/** Four rows at once: the largest of each, and what follows from it. */
function find_tops<T>(row: usize, states: usize, partial: usize): void {
  for (let to = partial; to != partial + 4 * PARTIAL_BYTES; to += PARTIAL_BYTES) {
    largest_halves(row, to);
    row += SCORE_ROW_BYTES;
  }
  const a = f32x4.pmax(v128.load(partial), v128.load(partial, 16));
  const b = f32x4.pmax(v128.load(partial, 32), v128.load(partial, 48));
  const c = f32x4.pmax(v128.load(partial, 64), v128.load(partial, 80));
  const d = f32x4.pmax(v128.load(partial, 96), v128.load(partial, 112));
  const ab = f32x4.pmax(i32x4.shuffle(a, b, 0, 4, 1, 5), i32x4.shuffle(a, b, 2, 6, 3, 7));
  const cd = f32x4.pmax(i32x4.shuffle(c, d, 0, 4, 1, 5), i32x4.shuffle(c, d, 2, 6, 3, 7));
  const tops = f32x4.pmax(i32x4.shuffle(ab, cd, 0, 1, 4, 5), i32x4.shuffle(ab, cd, 2, 3, 6, 7));
  const before = v128.load(states, STATE_MAX);
  const unit = v128.load(states, STATE_WEIGHT_SCALE);
  const own = f32x4.ceil(tops);
  const largest = f32x4.pmax(before, own);
  v128.store(states, largest, STATE_MAX);
  v128.store(states, powers_of_two(f32x4.sub(before, largest)), STATE_CORRECTION);
  const reference = isFloat<T>() ? largest : own;
  v128.store(states, f32x4.pmax(reference, f32x4.splat(NOTHING)), STATE_REFERENCE);
  if (isFloat<T>()) return;
  const share = powers_of_two(f32x4.sub(own, largest));
  v128.store(states, share, STATE_SHARE);
  v128.store(states, f32x4.mul(share, unit), STATE_WEIGHT_SCALE);
}

/** The largest of each of eight columns of a row: f32 [8]. */
@inline
function largest_halves(row: usize, to: usize): void {
  const a0 = f32x4.pmax(v128.load(row), v128.load(row, 32));
  const a1 = f32x4.pmax(v128.load(row, 16), v128.load(row, 48));
  const b0 = f32x4.pmax(v128.load(row, 64), v128.load(row, 96));
  const b1 = f32x4.pmax(v128.load(row, 80), v128.load(row, 112));
  v128.store(to, f32x4.pmax(a0, b0));
  v128.store(to, f32x4.pmax(a1, b1), 16);
}

/**
 * Updates a query's largest score; leaves what the block's weights are relative to, and by how much
 * they and what was mixed before shrink. A query that sees nothing here gets weights that are
 * nothing, and keeps its largest; differences stay finite.
 */
function find_top<T>(row: usize, state: usize): void {
  let top = f32x4.pmax(v128.load(row), v128.load(row, 16));
  top = f32x4.pmax(top, f32x4.pmax(v128.load(row, 32), v128.load(row, 48)));
  top = f32x4.pmax(top, f32x4.pmax(v128.load(row, 64), v128.load(row, 80)));
  top = f32x4.pmax(top, f32x4.pmax(v128.load(row, 96), v128.load(row, 112)));
  const halves = f32x4.pmax(top, i32x4.shuffle(top, top, 2, 3, 0, 1));
  const all = f32x4.pmax(halves, i32x4.shuffle(halves, halves, 1, 0, 3, 2));
  const own = ceil<f32>(f32x4.extract_lane(all, 0));
  const before = load<f32>(state, STATE_MAX);
  const largest: f32 = own > before ? own : before;
  store<f32>(state, largest, STATE_MAX);
  store<f32>(state, power_of_two(before - largest), STATE_CORRECTION);
  const reference = isFloat<T>() ? largest : own;
  store<f32>(state, reference < NOTHING ? NOTHING : reference, STATE_REFERENCE);
  if (isFloat<T>()) return;
  const share = power_of_two(own - largest);
  store<f32>(state, share, STATE_SHARE);
  store<f32>(state, share * load<f32>(state, STATE_WEIGHT_SCALE), STATE_WEIGHT_SCALE);
}

/** 2^x for integers x ≤ 0; 0 where that would be subnormal, and of what is no number. */
@inline
function power_of_two(x: f32): f32 {
  return x > -127 ? reinterpret<f32>((<i32>x + 127) << 23) : 0;
}
@inline
function powers_of_two(x: v128): v128 {
  const bits = f32x4.add(f32x4.pmax(f32x4.splat(-127), x), f32x4.splat(ROUND));
  return i32x4.shl(i32x4.add(bits, i32x4.splat(127)), 23);
}

/**
 * What a score that has no position adds to the sum of the query of a state. Beyond 2^100 times the
 * largest weight it takes all; below 2^-90 it is nothing.
 */
export function sink_share(sink: f32, state: usize): f32 {
  const above = sink * LOG2_E - load<f32>(state, STATE_MAX);
  const exponent = max<f32>(LOWEST, min<f32>(100, above)) / LOG2_E;
  return f32x4.extract_lane(exp_f32x4(f32x4.splat(exponent)), 0);
}

/**
 * weight = 2^(score − reference), and the sum of four of each row's positions: f32 [lanes, 8]. Over
 * integers times the value's weight and rounded, in place: i16 [16, 2], position p beside p + 16.
 */
function soften_rows<T>(
  row: usize,
  weights: usize,
  step: u32,
  state: usize,
  lanes: u32,
  sums: usize,
): void {
  const low = splat(LOWEST, lanes), round = splat(ROUND, lanes), c5 = splat(C5, lanes);
  const c4 = splat(isFloat<T>() ? C4 : D4, lanes), c3 = splat(isFloat<T>() ? C3 : D3, lanes);
  const c2 = splat(isFloat<T>() ? C2 : D2, lanes), c1 = splat(isFloat<T>() ? C1 : D1, lanes);
  const c0 = splat(C0, lanes);
  for (; lanes != 0; lanes--) {
    const top = v128.load_splat<f32>(state, STATE_REFERENCE);
    let sum0 = f32x4.splat(0), sum1 = sum0;
    // Every access by a literal offset from one place: V8 pairs neighbours by these.
    const end = isFloat<T>() ? row + SCORE_ROW_BYTES : row + SCORE_ROW_BYTES / 2;
    let w = weights;
    for (let at = row; at != end; at += 32, w += 32) {
      const a0 = power<T>(v128.load(at), top, low, round, c5, c4, c3, c2, c1, c0);
      const a1 = power<T>(v128.load(at, 16), top, low, round, c5, c4, c3, c2, c1, c0);
      if (isFloat<T>()) {
        v128.store(at, a0);
        v128.store(at, a1, 16);
        sum0 = f32x4.add(sum0, a0);
        sum1 = f32x4.add(sum1, a1);
      } else {
        const b0 = power<T>(v128.load(at, 64), top, low, round, c5, c4, c3, c2, c1, c0);
        const b1 = power<T>(v128.load(at, 80), top, low, round, c5, c4, c3, c2, c1, c0);
        const pairs0 = level_pair(a0, v128.load(w), b0, v128.load(w, 64), round);
        const pairs1 = level_pair(a1, v128.load(w, 16), b1, v128.load(w, 80), round);
        v128.store(at, pairs0);
        v128.store(at, pairs1, 16);
        sum0 = f32x4.add(sum0, f32x4.add(a0, b0));
        sum1 = f32x4.add(sum1, f32x4.add(a1, b1));
      }
    }
    v128.store(sums, sum0);
    v128.store(sums, sum1, 16);
    row += SCORE_ROW_BYTES;
    weights += step;
    state += 4;
    sums += PARTIAL_BYTES;
  }
}

/** 2^(x − top). */
@inline
function power<T>(
  score: v128, top: v128, low: v128, round: v128,
  c5: v128, c4: v128, c3: v128, c2: v128, c1: v128, c0: v128,
): v128 {
  const x = f32x4.pmax(f32x4.sub(score, top), low);
  const n = f32x4.add(x, round);
  const r = f32x4.sub(x, f32x4.sub(n, round));
  let p = isFloat<T>() ? madd(madd(c5, r, c4), r, c3) : madd(c4, r, c3);
  p = madd(p, r, c2);
  p = madd(p, r, c1);
  p = madd(p, r, c0);
  return i32x4.add(p, i32x4.shl(n, 23));
}

/**
 * Two weights rounded to integers, side by side. `round` is a number whose bits end in 16 zeros, so
 * what it leaves above b is gone with the shift, and above a it is subtracted.
 */
@inline
function level_pair(a: v128, wa: v128, b: v128, wb: v128, round: v128): v128 {
  return i32x4.add(
    i32x4.sub(madd(a, wa, round), round),
    i32x4.shl(madd(b, wb, round), 16),
  );
}

/** sum = sum · correction + the rows' sums, times what this block's are worth. */
function add_sums<T>(partial: usize, states: usize): void {
  const a = f32x4.add(v128.load(partial), v128.load(partial, 16));
  const b = f32x4.add(v128.load(partial, 32), v128.load(partial, 48));
  const c = f32x4.add(v128.load(partial, 64), v128.load(partial, 80));
  const d = f32x4.add(v128.load(partial, 96), v128.load(partial, 112));
  let sums = sum_lanes_4(a, b, c, d);
  if (!isFloat<T>()) sums = f32x4.mul(sums, v128.load(states, STATE_SHARE));
  const before = f32x4.mul(v128.load(states, STATE_SUM), v128.load(states, STATE_CORRECTION));
  v128.store(states, f32x4.add(before, sums), STATE_SUM);
}

/** The same of one row. */
function add_sum<T>(partial: usize, state: usize): void {
  let sum = sum_lanes(f32x4.add(v128.load(partial), v128.load(partial, 16)));
  if (!isFloat<T>()) sum *= load<f32>(state, STATE_SHARE);
  const before = load<f32>(state, STATE_SUM) * load<f32>(state, STATE_CORRECTION);
  store<f32>(state, before + sum, STATE_SUM);
}

/** `value` in all lanes, unknown to V8: a constant would be built anew at every use. */
@inline
function splat(value: f32, lanes: u32): v128 {
  return i32x4.splat(opaque(reinterpret<i32>(value), lanes));
}
