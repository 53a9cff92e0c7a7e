// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Scores of a tile against a block of 32 keys, which lie transposed: [dim, 32], f16 (T = u16) or
 * f32. f16 keys enter as value · 2^-112 (simd.ts), so scores of f16 come out short by what the
 * queries were not multiplied with; attention_soften.ts puts it right.
 */
import { cached_high, cached_low } from "./attention_cached";
import { Call } from "./attention_call";
import { F16_MASK, madd, opaque } from "./simd";

/** scores[w, 32] = queries [dim, w] · keys [dim, 32] for the call's w lanes. */
export function score_tile<T>(call: Call, tile: usize, keys: usize): void {
  const dim = call.headDim, scores = call.scores;
  if (call.width != 1) {
    score_4_by_16<T>(tile, keys, dim, scores);
    score_4_by_16<T>(tile, keys + 16 * sizeof<T>(), dim, scores + 64);
  } else {
    score_1_by_32<T>(tile, keys, dim, scores);
  }
}

/** Four queries by sixteen positions. */
function score_4_by_16<T>(q: usize, k: usize, dim: u32, scores: usize): void {
  const mask = i32x4.splat(opaque(F16_MASK, dim));
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  let c0 = a0, c1 = a0, c2 = a0, c3 = a0, d0 = a0, d1 = a0, d2 = a0, d3 = a0;
  k -= 16;
  for (let i = dim; i != 0; i--) {
    const k0 = cached_low<T>(k, mask), k1 = cached_high<T>(k, mask);
    const k2 = cached_low<T>(k + 8 * sizeof<T>(), mask);
    const k3 = cached_high<T>(k + 8 * sizeof<T>(), mask);
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
    k += 32 * sizeof<T>();
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
function score_1_by_32<T>(q: usize, k: usize, dim: u32, scores: usize): void {
  const mask = i32x4.splat(opaque(F16_MASK, dim));
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0;
  k -= 16;
  for (let i = dim; i != 0; i--) {
    const x = v128.load_splat<f32>(q);
    a0 = madd(x, cached_low<T>(k, mask), a0);
    a1 = madd(x, cached_high<T>(k, mask), a1);
    a2 = madd(x, cached_low<T>(k + 8 * sizeof<T>(), mask), a2);
    a3 = madd(x, cached_high<T>(k + 8 * sizeof<T>(), mask), a3);
    a4 = madd(x, cached_low<T>(k + 16 * sizeof<T>(), mask), a4);
    a5 = madd(x, cached_high<T>(k + 16 * sizeof<T>(), mask), a5);
    a6 = madd(x, cached_low<T>(k + 24 * sizeof<T>(), mask), a6);
    a7 = madd(x, cached_high<T>(k + 24 * sizeof<T>(), mask), a7);
    q += 4;
    k += 32 * sizeof<T>();
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
