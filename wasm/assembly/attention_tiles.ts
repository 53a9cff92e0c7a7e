// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** Four queries against a block of 32 positions: scores, online softmax, mixing of values. */
import {
  Call,
  first_seen,
  mixed_of,
  SCORE_ROW_BYTES,
  STATE_CORRECTION,
  STATE_MAX,
  state_of,
  STATE_SUM,
  TILE_QUERIES,
} from "./attention_call";
import { soft_cap_f32 } from "./elementwise";
import { exp_f32x4 } from "./exp";
import { madd, sum_lanes } from "./simd";

/** scores[4, 32] = queries [dim, 4] · keyBlock [dim, 32]. */
export function score_tile(call: Call, tile: usize): void {
  score_16_positions(tile, call.keyBlock, call.headDim, call.scores);
  score_16_positions(tile, call.keyBlock + 64, call.headDim, call.scores + 64);
}

function score_16_positions(q: usize, k: usize, dim: u32, scores: usize): void {
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  let c0 = a0, c1 = a0, c2 = a0, c3 = a0, d0 = a0, d1 = a0, d2 = a0, d3 = a0;
  for (let i = dim; i != 0; i--) {
    const k0 = v128.load(k), k1 = v128.load(k, 16), k2 = v128.load(k, 32), k3 = v128.load(k, 48);
    const qa = v128.load_splat<f32>(q);
    a0 = madd(qa, k0, a0);
    a1 = madd(qa, k1, a1);
    a2 = madd(qa, k2, a2);
    a3 = madd(qa, k3, a3);
    const qb = v128.load_splat<f32>(q, 4);
    b0 = madd(qb, k0, b0);
    b1 = madd(qb, k1, b1);
    b2 = madd(qb, k2, b2);
    b3 = madd(qb, k3, b3);
    const qc = v128.load_splat<f32>(q, 8);
    c0 = madd(qc, k0, c0);
    c1 = madd(qc, k1, c1);
    c2 = madd(qc, k2, c2);
    c3 = madd(qc, k3, c3);
    const qd = v128.load_splat<f32>(q, 12);
    d0 = madd(qd, k0, d0);
    d1 = madd(qd, k1, d1);
    d2 = madd(qd, k2, d2);
    d3 = madd(qd, k3, d3);
    q += 16;
    k += 128;
  }
  // Literal offsets from one base: V8 pairs neighbouring stores by these.
  v128.store(scores, a0);
  v128.store(scores, a1, 16);
  v128.store(scores, a2, 32);
  v128.store(scores, a3, 48);
  v128.store(scores, b0, 128);
  v128.store(scores, b1, 144);
  v128.store(scores, b2, 160);
  v128.store(scores, b3, 176);
  v128.store(scores, c0, 256);
  v128.store(scores, c1, 272);
  v128.store(scores, c2, 288);
  v128.store(scores, c3, 304);
  v128.store(scores, d0, 384);
  v128.store(scores, d1, 400);
  v128.store(scores, d2, 416);
  v128.store(scores, d3, 432);
}

/**
 * Turns scores into weights relative to the largest score so far, per query; updates the largest,
 * the sum, and by how much what was mixed before must shrink. `begin` is the block's first
 * position; a tile's first query is number `first` of the group.
 */
export function soften_tile(call: Call, tile: usize, first: u32, begin: u32): void {
  const total = call.n * call.groupHeads;
  for (let lane: u32 = 0; lane < TILE_QUERIES; lane++) {
    const row = call.scores + lane * SCORE_ROW_BYTES;
    const state = state_of(call, tile) + (lane << 2);
    let from: u32 = 0, to: u32 = 0;
    if (first + lane < total) {
      const t = (first + lane) / call.groupHeads;
      const start = first_seen(call, t), end = call.p0 + t + 1;
      from = start > begin ? min(start - begin, 32) : 0;
      to = end > begin ? min(end - begin, 32) : 0;
    }
    if (from >= to) {
      memory.fill(row, 0, SCORE_ROW_BYTES);
      store<f32>(state, 1, STATE_CORRECTION);
    } else {
      if (call.softCap > 0) soft_cap_f32(row, 32, call.softCap);
      for (let p: u32 = 0; p < from; p++) store<f32>(row + (p << 2), -Infinity);
      for (let p = to; p < 32; p++) store<f32>(row + (p << 2), -Infinity);
      soften_row(row, state);
    }
  }
}

function soften_row(row: usize, state: usize): void {
  const before = load<f32>(state, STATE_MAX);
  let top = f32x4.splat(before);
  for (let i: u32 = 0; i < SCORE_ROW_BYTES; i += 16) top = f32x4.pmax(top, v128.load(row + i));
  top = f32x4.pmax(top, i32x4.shuffle(top, top, 2, 3, 0, 1));
  top = f32x4.pmax(top, i32x4.shuffle(top, top, 1, 0, 3, 2));
  let sum0 = f32x4.splat(0), sum1 = sum0;
  for (let i: u32 = 0; i < SCORE_ROW_BYTES; i += 32) {
    const e0 = exp_f32x4(f32x4.sub(v128.load(row + i), top));
    const e1 = exp_f32x4(f32x4.sub(v128.load(row + i, 16), top));
    v128.store(row + i, e0);
    v128.store(row + i, e1, 16);
    sum0 = f32x4.add(sum0, e0);
    sum1 = f32x4.add(sum1, e1);
  }
  const correction = f32x4.extract_lane(exp_f32x4(f32x4.sub(f32x4.splat(before), top)), 0);
  const sum = sum_lanes(f32x4.add(sum0, sum1));
  store<f32>(state, f32x4.extract_lane(top, 0), STATE_MAX);
  store<f32>(state, load<f32>(state, STATE_SUM) * correction + sum, STATE_SUM);
  store<f32>(state, correction, STATE_CORRECTION);
}

/** mixed = mixed · correction + weights [4, 32] · valueBlock [32, padded]. */
export function mix_tile(call: Call, tile: usize, count: u32): void {
  const corrections = state_of(call, tile) + STATE_CORRECTION;
  const chunks = call.paddedDim >> 4;
  let mixed = mixed_of(call, tile);
  for (let chunk: u32 = 0; chunk < chunks; chunk++) {
    const values = call.valueBlock + (chunk << 6);
    mix_16_columns(call.scores, values, call.paddedDim << 2, count, corrections, mixed);
    mixed += 256;
  }
}

function mix_16_columns(
  w: usize,
  v: usize,
  vStep: u32,
  count: u32,
  corrections: usize,
  mixed: usize,
): void {
  const ca = v128.load_splat<f32>(corrections), cb = v128.load_splat<f32>(corrections, 4);
  const cc = v128.load_splat<f32>(corrections, 8), cd = v128.load_splat<f32>(corrections, 12);
  let a0 = f32x4.mul(v128.load(mixed), ca), a1 = f32x4.mul(v128.load(mixed, 16), ca);
  let a2 = f32x4.mul(v128.load(mixed, 32), ca), a3 = f32x4.mul(v128.load(mixed, 48), ca);
  let b0 = f32x4.mul(v128.load(mixed, 64), cb), b1 = f32x4.mul(v128.load(mixed, 80), cb);
  let b2 = f32x4.mul(v128.load(mixed, 96), cb), b3 = f32x4.mul(v128.load(mixed, 112), cb);
  let c0 = f32x4.mul(v128.load(mixed, 128), cc), c1 = f32x4.mul(v128.load(mixed, 144), cc);
  let c2 = f32x4.mul(v128.load(mixed, 160), cc), c3 = f32x4.mul(v128.load(mixed, 176), cc);
  let d0 = f32x4.mul(v128.load(mixed, 192), cd), d1 = f32x4.mul(v128.load(mixed, 208), cd);
  let d2 = f32x4.mul(v128.load(mixed, 224), cd), d3 = f32x4.mul(v128.load(mixed, 240), cd);
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

/** out = mixed / sum for the queries of a tile that are there. */
export function store_tile(call: Call, tile: usize, first: u32): void {
  const total = call.n * call.groupHeads;
  const mixed = mixed_of(call, tile);
  for (let lane: u32 = 0; lane < TILE_QUERIES && first + lane < total; lane++) {
    const t = (first + lane) / call.groupHeads;
    const head = call.firstHead + (first + lane) % call.groupHeads;
    const to = call.out + t * call.outStrideBytes + ((head * call.headDim) << 2);
    const inverse = f32x4.splat(1 / load<f32>(state_of(call, tile) + (lane << 2), STATE_SUM));
    for (let i: u32 = 0; i < call.headDim; i += 4) {
      const from = mixed + ((i >> 4) << 8) + (lane << 6) + ((i & 15) << 2);
      v128.store(to + (i << 2), f32x4.mul(v128.load(from), inverse));
    }
  }
}
