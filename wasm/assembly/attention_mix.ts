// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Values of a block of 32 positions (src/memory/kv_layout.ts) mixed into a tile by the weights that
 * attention_soften.ts left: f32, or integers, whose sums over a block are exact.
 */
import {
  Call,
  CHUNK_COLUMNS,
  mixed_of,
  STATE_CORRECTION,
  STATE_WEIGHT_SCALE,
  state_of,
} from "./attention_call";
import { madd, pairs } from "./simd";

/** mixed = mixed · correction + weights [w, 32] · values [count, padded] for the call's w lanes. */
export function mix_tile<T>(call: Call, tile: usize, values: usize, count: u32): void {
  const state = state_of(call, tile), scores = call.scores;
  const step = call.paddedDim << 2; // a position of floats, or two of integers
  let mixed = mixed_of(call, tile);
  for (let column: u32 = 0; column < call.paddedDim; column += CHUNK_COLUMNS) {
    const from = values + (column << 2);
    if (isFloat<T>()) {
      if (call.width == 1) mix_1_by_16_f32(scores, from, step, count, state, mixed);
      else mix_4_by_16_f32(scores, from, step, count, state, mixed);
    } else if (call.width == 1) {
      mix_1_by_16_i16(scores, from, step, count, state, mixed);
    } else {
      mix_4_by_16_i16(scores, from, step, count, state, mixed);
    }
    mixed += call.width * (CHUNK_COLUMNS * 4);
  }
}

/** Four queries by sixteen columns, two positions at a time. */
function mix_4_by_16_i16(
  w: usize,
  v: usize,
  vStep: u32,
  count: u32,
  state: usize,
  mixed: usize,
): void {
  let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  let c0 = a0, c1 = a0, c2 = a0, c3 = a0, d0 = a0, d1 = a0, d2 = a0, d3 = a0;
  for (let i = (count + 1) >> 1; i != 0; i--) {
    const v0 = v128.load(v), v1 = v128.load(v, 16), v2 = v128.load(v, 32), v3 = v128.load(v, 48);
    const wa = v128.load_splat<u32>(w);
    a0 = pairs(wa, v0, a0);
    a1 = pairs(wa, v1, a1);
    a2 = pairs(wa, v2, a2);
    a3 = pairs(wa, v3, a3);
    const wb = v128.load_splat<u32>(w, 128);
    b0 = pairs(wb, v0, b0);
    b1 = pairs(wb, v1, b1);
    b2 = pairs(wb, v2, b2);
    b3 = pairs(wb, v3, b3);
    const wc = v128.load_splat<u32>(w, 256);
    c0 = pairs(wc, v0, c0);
    c1 = pairs(wc, v1, c1);
    c2 = pairs(wc, v2, c2);
    c3 = pairs(wc, v3, c3);
    const wd = v128.load_splat<u32>(w, 384);
    d0 = pairs(wd, v0, d0);
    d1 = pairs(wd, v1, d1);
    d2 = pairs(wd, v2, d2);
    d3 = pairs(wd, v3, d3);
    w += 4;
    v += vStep;
  }
  add_row(mixed, state, a0, a1, a2, a3);
  add_row(mixed + 64, state + 4, b0, b1, b2, b3);
  add_row(mixed + 128, state + 8, c0, c1, c2, c3);
  add_row(mixed + 192, state + 12, d0, d1, d2, d3);
}

/** One query by sixteen columns, two positions at a time. */
function mix_1_by_16_i16(
  w: usize,
  v: usize,
  vStep: u32,
  count: u32,
  state: usize,
  mixed: usize,
): void {
  let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
  for (let i = (count + 1) >> 1; i != 0; i--) {
    const x = v128.load_splat<u32>(w);
    a0 = pairs(x, v128.load(v), a0);
    a1 = pairs(x, v128.load(v, 16), a1);
    a2 = pairs(x, v128.load(v, 32), a2);
    a3 = pairs(x, v128.load(v, 48), a3);
    w += 4;
    v += vStep;
  }
  add_row(mixed, state, a0, a1, a2, a3);
}

/** A query's sixteen columns: mixed · correction + sums · scale of its weights. */
@inline
function add_row(mixed: usize, state: usize, a0: v128, a1: v128, a2: v128, a3: v128): void {
  const correction = v128.load_splat<f32>(state, STATE_CORRECTION);
  const scale = v128.load_splat<f32>(state, STATE_WEIGHT_SCALE);
  const m0 = f32x4.mul(v128.load(mixed), correction);
  const m1 = f32x4.mul(v128.load(mixed, 16), correction);
  const m2 = f32x4.mul(v128.load(mixed, 32), correction);
  const m3 = f32x4.mul(v128.load(mixed, 48), correction);
  v128.store(mixed, madd(f32x4.convert_i32x4_s(a0), scale, m0));
  v128.store(mixed, madd(f32x4.convert_i32x4_s(a1), scale, m1), 16);
  v128.store(mixed, madd(f32x4.convert_i32x4_s(a2), scale, m2), 32);
  v128.store(mixed, madd(f32x4.convert_i32x4_s(a3), scale, m3), 48);
}

/** Four queries by sixteen columns. */
function mix_4_by_16_f32(
  w: usize,
  v: usize,
  vStep: u32,
  count: u32,
  state: usize,
  mixed: usize,
): void {
  const ca = v128.load_splat<f32>(state, STATE_CORRECTION);
  const cb = v128.load_splat<f32>(state, STATE_CORRECTION + 4);
  const cc = v128.load_splat<f32>(state, STATE_CORRECTION + 8);
  const cd = v128.load_splat<f32>(state, STATE_CORRECTION + 12);
  let a0 = f32x4.mul(v128.load(mixed), ca);
  let a1 = f32x4.mul(v128.load(mixed, 16), ca);
  let a2 = f32x4.mul(v128.load(mixed, 32), ca);
  let a3 = f32x4.mul(v128.load(mixed, 48), ca);
  let b0 = f32x4.mul(v128.load(mixed, 64), cb);
  let b1 = f32x4.mul(v128.load(mixed, 80), cb);
  let b2 = f32x4.mul(v128.load(mixed, 96), cb);
  let b3 = f32x4.mul(v128.load(mixed, 112), cb);
  let c0 = f32x4.mul(v128.load(mixed, 128), cc);
  let c1 = f32x4.mul(v128.load(mixed, 144), cc);
  let c2 = f32x4.mul(v128.load(mixed, 160), cc);
  let c3 = f32x4.mul(v128.load(mixed, 176), cc);
  let d0 = f32x4.mul(v128.load(mixed, 192), cd);
  let d1 = f32x4.mul(v128.load(mixed, 208), cd);
  let d2 = f32x4.mul(v128.load(mixed, 224), cd);
  let d3 = f32x4.mul(v128.load(mixed, 240), cd);
  for (let p = count; p != 0; p--) {
    const v0 = v128.load(v), v1 = v128.load(v, 16), v2 = v128.load(v, 32), v3 = v128.load(v, 48);
    const wa = v128.load_splat<f32>(w);
    a0 = madd(wa, v0, a0);
    a1 = madd(wa, v1, a1);
    a2 = madd(wa, v2, a2);
    a3 = madd(wa, v3, a3);
    const wb = v128.load_splat<f32>(w, 128);
    b0 = madd(wb, v0, b0);
    b1 = madd(wb, v1, b1);
    b2 = madd(wb, v2, b2);
    b3 = madd(wb, v3, b3);
    const wc = v128.load_splat<f32>(w, 256);
    c0 = madd(wc, v0, c0);
    c1 = madd(wc, v1, c1);
    c2 = madd(wc, v2, c2);
    c3 = madd(wc, v3, c3);
    const wd = v128.load_splat<f32>(w, 384);
    d0 = madd(wd, v0, d0);
    d1 = madd(wd, v1, d1);
    d2 = madd(wd, v2, d2);
    d3 = madd(wd, v3, d3);
    w += 4;
    v += vStep;
  }
  v128.store(mixed, a0);
  v128.store(mixed, a1, 16);
  v128.store(mixed, a2, 32);
  v128.store(mixed, a3, 48);
  v128.store(mixed, b0, 64);
  v128.store(mixed, b1, 80);
  v128.store(mixed, b2, 96);
  v128.store(mixed, b3, 112);
  v128.store(mixed, c0, 128);
  v128.store(mixed, c1, 144);
  v128.store(mixed, c2, 160);
  v128.store(mixed, c3, 176);
  v128.store(mixed, d0, 192);
  v128.store(mixed, d1, 208);
  v128.store(mixed, d2, 224);
  v128.store(mixed, d3, 240);
}

/** One query by sixteen columns, two positions at a time. */
function mix_1_by_16_f32(
  w: usize,
  v: usize,
  vStep: u32,
  count: u32,
  state: usize,
  mixed: usize,
): void {
  const correction = v128.load_splat<f32>(state, STATE_CORRECTION);
  let a0 = f32x4.mul(v128.load(mixed), correction);
  let a1 = f32x4.mul(v128.load(mixed, 16), correction);
  let a2 = f32x4.mul(v128.load(mixed, 32), correction);
  let a3 = f32x4.mul(v128.load(mixed, 48), correction);
  let b0 = f32x4.splat(0), b1 = b0, b2 = b0, b3 = b0;
  for (let i = count >> 1; i != 0; i--) {
    const next = v + vStep;
    const x = v128.load_splat<f32>(w), y = v128.load_splat<f32>(w, 4);
    a0 = madd(x, v128.load(v), a0);
    a1 = madd(x, v128.load(v, 16), a1);
    a2 = madd(x, v128.load(v, 32), a2);
    a3 = madd(x, v128.load(v, 48), a3);
    b0 = madd(y, v128.load(next), b0);
    b1 = madd(y, v128.load(next, 16), b1);
    b2 = madd(y, v128.load(next, 32), b2);
    b3 = madd(y, v128.load(next, 48), b3);
    w += 8;
    v = next + vStep;
  }
  if ((count & 1) != 0) {
    const x = v128.load_splat<f32>(w);
    b0 = madd(x, v128.load(v), b0);
    b1 = madd(x, v128.load(v, 16), b1);
    b2 = madd(x, v128.load(v, 32), b2);
    b3 = madd(x, v128.load(v, 48), b3);
  }
  v128.store(mixed, f32x4.add(a0, b0));
  v128.store(mixed, f32x4.add(a1, b1), 16);
  v128.store(mixed, f32x4.add(a2, b2), 32);
  v128.store(mixed, f32x4.add(a3, b3), 48);
}
