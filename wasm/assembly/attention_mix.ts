// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Values of a block of 32 positions (src/memory/kv_layout.ts) mixed into a tile by the weights that
 * attention_soften.ts left: f32, or integers (T = i16, two positions at a time), whose sums over a
 * block are exact.
 */
import {
  BLOCK_POSITIONS,
  Call,
  CHUNK_COLUMNS,
  mixed_of,
  STATE_CORRECTION,
  state_of,
  STATE_WEIGHT_SCALE,
} from "./attention_call";
import { madd, multiply_add } from "./simd";

/** mixed = mixed · correction + weights [w, 32] · values [count, padded] for the call's w lanes. */
export function mix_tile<T>(call: Call, tile: usize, values: usize, count: u32): void {
  const state = state_of(call, tile), weights = call.scores;
  const turns = isFloat<T>() ? count : min(count, BLOCK_POSITIONS / 2);
  const step = call.paddedDim << 2; // a position of floats, or two of integers
  let mixed = mixed_of(call, tile);
  for (let column: u32 = 0; column < call.paddedDim; column += CHUNK_COLUMNS) {
    const from = values + (column << 2);
    if (call.width == 1) {
      mix_1_by_16<T>(call, weights, from, step, turns, state, mixed);
    } else if (call.lineStep == 0) {
      mix_4_by_16<T, void>(call, weights, from, step, turns, state, mixed);
    } else {
      mix_4_by_16<T, usize>(call, weights, from, step, turns, state, mixed);
    }
    mixed += call.width * (CHUNK_COLUMNS * 4);
  }
}

/** Four queries by sixteen columns. Line: void where no lines are fetched meanwhile. */
function mix_4_by_16<T, Line>(
  call: Call,
  w: usize,
  v: usize,
  vStep: u32,
  turns: u32,
  state: usize,
  mixed: usize,
): void {
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  let c0 = a0, c1 = a0, c2 = a0, c3 = a0, d0 = a0, d1 = a0, d2 = a0, d3 = a0;
  let next = call.nextLine, other = call.otherLine, sum = call.fetched;
  const step = call.lineStep;
  for (; turns != 0; turns--) {
    const v0 = v128.load(v), v1 = v128.load(v, 16), v2 = v128.load(v, 32), v3 = v128.load(v, 48);
    const wa = v128.load_splat<u32>(w);
    a0 = multiply_add<T>(wa, v0, a0);
    a1 = multiply_add<T>(wa, v1, a1);
    a2 = multiply_add<T>(wa, v2, a2);
    a3 = multiply_add<T>(wa, v3, a3);
    const wb = v128.load_splat<u32>(w, 128);
    b0 = multiply_add<T>(wb, v0, b0);
    b1 = multiply_add<T>(wb, v1, b1);
    b2 = multiply_add<T>(wb, v2, b2);
    b3 = multiply_add<T>(wb, v3, b3);
    const wc = v128.load_splat<u32>(w, 256);
    c0 = multiply_add<T>(wc, v0, c0);
    c1 = multiply_add<T>(wc, v1, c1);
    c2 = multiply_add<T>(wc, v2, c2);
    c3 = multiply_add<T>(wc, v3, c3);
    const wd = v128.load_splat<u32>(w, 384);
    d0 = multiply_add<T>(wd, v0, d0);
    d1 = multiply_add<T>(wd, v1, d1);
    d2 = multiply_add<T>(wd, v2, d2);
    d3 = multiply_add<T>(wd, v3, d3);
    w += 4;
    v += vStep;
    if (!isVoid<Line>()) {
      sum += load<u32>(next);
      const behind = next + step;
      next = other, other = behind;
    }
  }
  call.nextLine = next, call.otherLine = other, call.fetched = sum;
  add_row<T>(mixed, state, a0, a1, a2, a3);
  add_row<T>(mixed + 64, state + 4, b0, b1, b2, b3);
  add_row<T>(mixed + 128, state + 8, c0, c1, c2, c3);
  add_row<T>(mixed + 192, state + 12, d0, d1, d2, d3);
}

/** One query by sixteen columns. */
function mix_1_by_16<T>(
  call: Call,
  w: usize,
  v: usize,
  vStep: u32,
  turns: u32,
  state: usize,
  mixed: usize,
): void {
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
  let next = call.nextLine, other = call.otherLine, sum = call.fetched;
  const step = call.lineStep;
  for (; turns != 0; turns--) {
    const x = v128.load_splat<u32>(w);
    a0 = multiply_add<T>(x, v128.load(v), a0);
    a1 = multiply_add<T>(x, v128.load(v, 16), a1);
    a2 = multiply_add<T>(x, v128.load(v, 32), a2);
    a3 = multiply_add<T>(x, v128.load(v, 48), a3);
    w += 4;
    v += vStep;
    sum += load<u32>(next);
    const behind = next + step;
    next = other, other = behind;
  }
  call.nextLine = next, call.otherLine = other, call.fetched = sum;
  add_row<T>(mixed, state, a0, a1, a2, a3);
}

/** A query's sixteen columns: mixed · correction + sums, times what its integers are worth. */
@inline
function add_row<T>(mixed: usize, state: usize, a0: v128, a1: v128, a2: v128, a3: v128): void {
  const correction = v128.load_splat<f32>(state, STATE_CORRECTION);
  const scale = v128.load_splat<f32>(state, STATE_WEIGHT_SCALE);
  // All loads before all stores: between the halves of a pair nothing may be written.
  const m0 = v128.load(mixed), m1 = v128.load(mixed, 16);
  const m2 = v128.load(mixed, 32), m3 = v128.load(mixed, 48);
  v128.store(mixed, sum<T>(m0, correction, a0, scale));
  v128.store(mixed, sum<T>(m1, correction, a1, scale), 16);
  v128.store(mixed, sum<T>(m2, correction, a2, scale), 32);
  v128.store(mixed, sum<T>(m3, correction, a3, scale), 48);
}

@inline
function sum<T>(before: v128, correction: v128, sums: v128, scale: v128): v128 {
  if (isFloat<T>()) return madd(before, correction, sums);
  return madd(f32x4.convert_i32x4_s(sums), scale, f32x4.mul(before, correction));
}
