// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Scores of a tile against a block of 32 keys, which lie transposed (src/memory/kv_layout.ts): f32,
 * or exact sums of integers, times their scales in the end.
 */
import { Call, scales_of, state_of, STATE_QUERY_SCALE } from "./attention_call";
import { madd, pairs } from "./simd";

/** scores [w, 32] = queries · keys for the call's w lanes. */
export function score_tile<T>(call: Call, tile: usize, keys: usize): void {
  const dim = call.headDim, scores = call.scores;
  if (isFloat<T>()) {
    if (call.width == 1) {
      score_1_by_32_f32(tile, keys, dim, scores);
    } else {
      score_4_by_16_f32(tile, keys, dim, scores);
      score_4_by_16_f32(tile, keys + 64, dim, scores + 64);
    }
    return;
  }
  const own = state_of(call, tile) + STATE_QUERY_SCALE, scales = scales_of(keys, dim);
  if (call.width == 1) {
    score_1_by_32_i16(tile, keys, dim, scales, own, scores);
  } else {
    score_4_by_16_i16(tile, keys, dim, scales, own, scores);
    score_4_by_16_i16(tile, keys + 64, dim, scales + 64, own, scores + 64);
  }
}

/** Four queries by sixteen positions, two dimensions at a time. */
function score_4_by_16_i16(
  q: usize,
  k: usize,
  dim: u32,
  scales: usize,
  queryScales: usize,
  scores: usize,
): void {
  let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  let c0 = a0, c1 = a0, c2 = a0, c3 = a0, d0 = a0, d1 = a0, d2 = a0, d3 = a0;
  for (let i = dim >> 1; i != 0; i--) {
    const k0 = v128.load(k), k1 = v128.load(k, 16), k2 = v128.load(k, 32), k3 = v128.load(k, 48);
    const qa = v128.load_splat<u32>(q);
    a0 = pairs(qa, k0, a0);
    a1 = pairs(qa, k1, a1);
    a2 = pairs(qa, k2, a2);
    a3 = pairs(qa, k3, a3);
    const qb = v128.load_splat<u32>(q, 4);
    b0 = pairs(qb, k0, b0);
    b1 = pairs(qb, k1, b1);
    b2 = pairs(qb, k2, b2);
    b3 = pairs(qb, k3, b3);
    const qc = v128.load_splat<u32>(q, 8);
    c0 = pairs(qc, k0, c0);
    c1 = pairs(qc, k1, c1);
    c2 = pairs(qc, k2, c2);
    c3 = pairs(qc, k3, c3);
    const qd = v128.load_splat<u32>(q, 12);
    d0 = pairs(qd, k0, d0);
    d1 = pairs(qd, k1, d1);
    d2 = pairs(qd, k2, d2);
    d3 = pairs(qd, k3, d3);
    q += 16;
    k += 128;
  }
  const s0 = v128.load(scales), s1 = v128.load(scales, 16);
  const s2 = v128.load(scales, 32), s3 = v128.load(scales, 48);
  // Literal offsets from one base: V8 pairs neighbouring stores by these.
  const sa = v128.load_splat<f32>(queryScales);
  v128.store(scores, scaled(a0, s0, sa));
  v128.store(scores, scaled(a1, s1, sa), 16);
  v128.store(scores, scaled(a2, s2, sa), 32);
  v128.store(scores, scaled(a3, s3, sa), 48);
  const sb = v128.load_splat<f32>(queryScales, 4);
  v128.store(scores, scaled(b0, s0, sb), 128);
  v128.store(scores, scaled(b1, s1, sb), 144);
  v128.store(scores, scaled(b2, s2, sb), 160);
  v128.store(scores, scaled(b3, s3, sb), 176);
  const sc = v128.load_splat<f32>(queryScales, 8);
  v128.store(scores, scaled(c0, s0, sc), 256);
  v128.store(scores, scaled(c1, s1, sc), 272);
  v128.store(scores, scaled(c2, s2, sc), 288);
  v128.store(scores, scaled(c3, s3, sc), 304);
  const sd = v128.load_splat<f32>(queryScales, 12);
  v128.store(scores, scaled(d0, s0, sd), 384);
  v128.store(scores, scaled(d1, s1, sd), 400);
  v128.store(scores, scaled(d2, s2, sd), 416);
  v128.store(scores, scaled(d3, s3, sd), 432);
}

/** One query by the whole block. */
function score_1_by_32_i16(
  q: usize,
  k: usize,
  dim: u32,
  scales: usize,
  queryScales: usize,
  scores: usize,
): void {
  let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0;
  for (let i = dim >> 1; i != 0; i--) {
    const x = v128.load_splat<u32>(q);
    a0 = pairs(x, v128.load(k), a0);
    a1 = pairs(x, v128.load(k, 16), a1);
    a2 = pairs(x, v128.load(k, 32), a2);
    a3 = pairs(x, v128.load(k, 48), a3);
    a4 = pairs(x, v128.load(k, 64), a4);
    a5 = pairs(x, v128.load(k, 80), a5);
    a6 = pairs(x, v128.load(k, 96), a6);
    a7 = pairs(x, v128.load(k, 112), a7);
    q += 4;
    k += 128;
  }
  const x = v128.load_splat<f32>(queryScales);
  v128.store(scores, scaled(a0, v128.load(scales), x));
  v128.store(scores, scaled(a1, v128.load(scales, 16), x), 16);
  v128.store(scores, scaled(a2, v128.load(scales, 32), x), 32);
  v128.store(scores, scaled(a3, v128.load(scales, 48), x), 48);
  v128.store(scores, scaled(a4, v128.load(scales, 64), x), 64);
  v128.store(scores, scaled(a5, v128.load(scales, 80), x), 80);
  v128.store(scores, scaled(a6, v128.load(scales, 96), x), 96);
  v128.store(scores, scaled(a7, v128.load(scales, 112), x), 112);
}

/** Integer scores times the scales of their positions and of the query. */
@inline
function scaled(sums: v128, scales: v128, query: v128): v128 {
  return f32x4.mul(f32x4.mul(f32x4.convert_i32x4_s(sums), scales), query);
}

/** Four queries by sixteen positions. */
function score_4_by_16_f32(q: usize, k: usize, dim: u32, scores: usize): void {
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

/** One query by the whole block. */
function score_1_by_32_f32(q: usize, k: usize, dim: u32, scores: usize): void {
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0;
  for (let i = dim; i != 0; i--) {
    const x = v128.load_splat<f32>(q);
    a0 = madd(x, v128.load(k), a0);
    a1 = madd(x, v128.load(k, 16), a1);
    a2 = madd(x, v128.load(k, 32), a2);
    a3 = madd(x, v128.load(k, 48), a3);
    a4 = madd(x, v128.load(k, 64), a4);
    a5 = madd(x, v128.load(k, 80), a5);
    a6 = madd(x, v128.load(k, 96), a6);
    a7 = madd(x, v128.load(k, 112), a7);
    q += 4;
    k += 128;
  }
  v128.store(scores, a0);
  v128.store(scores, a1, 16);
  v128.store(scores, a2, 32);
  v128.store(scores, a3, 48);
  v128.store(scores, a4, 64);
  v128.store(scores, a5, 80);
  v128.store(scores, a6, 96);
  v128.store(scores, a7, 112);
}
