// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Scores of a tile against a block of 32 keys, which lie transposed (src/memory/kv_layout.ts): f32,
 * or exact sums of integers (T = i16, two dimensions at a time), times their scales in the end.
 */
import { Call, scales_of, state_of, STATE_QUERY_SCALE } from "./attention_call";
import { multiply_add } from "./simd";

/** scores f32 [w, 32] = queries · keys for the call's w lanes. */
export function score_tile<T>(call: Call, tile: usize, keys: usize): void {
  const scales = scales_of(keys, call.headDim);
  if (call.width == 1) {
    score_1_by_32<T>(call, tile, keys, scales);
  } else if (call.lineStep == 0) {
    score_4_by_16<T, void>(call, tile, keys, scales, call.scores);
    score_4_by_16<T, void>(call, tile, keys + 64, scales + 64, call.scores + 64);
  } else {
    score_4_by_16<T, usize>(call, tile, keys, scales, call.scores);
    score_4_by_16<T, usize>(call, tile, keys + 64, scales + 64, call.scores + 64);
  }
}

/** Turns of a tile over the dimensions of a key. */
@inline
function turns_of<T>(call: Call): u32 {
  return isFloat<T>() ? call.headDim : call.headDim >> 1;
}

/** Four queries by sixteen positions. Line: void where no lines are fetched meanwhile. */
function score_4_by_16<T, Line>(
  call: Call,
  tile: usize,
  k: usize,
  scales: usize,
  scores: usize,
): void {
  const queryScales = state_of(call, tile) + STATE_QUERY_SCALE;
  let q = tile;
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  let c0 = a0, c1 = a0, c2 = a0, c3 = a0, d0 = a0, d1 = a0, d2 = a0, d3 = a0;
  let next = call.nextLine, other = call.otherLine, sum = call.fetched;
  const step = call.lineStep;
  for (let turns = turns_of<T>(call); turns != 0; turns--) {
    const k0 = v128.load(k), k1 = v128.load(k, 16), k2 = v128.load(k, 32), k3 = v128.load(k, 48);
    const qa = v128.load_splat<u32>(q);
    a0 = multiply_add<T>(qa, k0, a0);
    a1 = multiply_add<T>(qa, k1, a1);
    a2 = multiply_add<T>(qa, k2, a2);
    a3 = multiply_add<T>(qa, k3, a3);
    const qb = v128.load_splat<u32>(q, 4);
    b0 = multiply_add<T>(qb, k0, b0);
    b1 = multiply_add<T>(qb, k1, b1);
    b2 = multiply_add<T>(qb, k2, b2);
    b3 = multiply_add<T>(qb, k3, b3);
    const qc = v128.load_splat<u32>(q, 8);
    c0 = multiply_add<T>(qc, k0, c0);
    c1 = multiply_add<T>(qc, k1, c1);
    c2 = multiply_add<T>(qc, k2, c2);
    c3 = multiply_add<T>(qc, k3, c3);
    const qd = v128.load_splat<u32>(q, 12);
    d0 = multiply_add<T>(qd, k0, d0);
    d1 = multiply_add<T>(qd, k1, d1);
    d2 = multiply_add<T>(qd, k2, d2);
    d3 = multiply_add<T>(qd, k3, d3);
    q += 16;
    k += 128;
    if (!isVoid<Line>()) {
      sum += load<u32>(next);
      const behind = next + step;
      next = other, other = behind;
    }
  }
  call.nextLine = next, call.otherLine = other, call.fetched = sum;
  // What places have in common is a variable: Binaryen would share it among some of them only.
  const s0 = v128.load(scales), s1 = v128.load(scales, 16);
  const s2 = v128.load(scales, 32), s3 = v128.load(scales, 48);
  // Literal offsets from one base: V8 pairs neighbouring stores by these.
  const sa = v128.load_splat<f32>(queryScales);
  v128.store(scores, scaled<T>(a0, s0, sa));
  v128.store(scores, scaled<T>(a1, s1, sa), 16);
  v128.store(scores, scaled<T>(a2, s2, sa), 32);
  v128.store(scores, scaled<T>(a3, s3, sa), 48);
  const sb = v128.load_splat<f32>(queryScales, 4);
  v128.store(scores, scaled<T>(b0, s0, sb), 128);
  v128.store(scores, scaled<T>(b1, s1, sb), 144);
  v128.store(scores, scaled<T>(b2, s2, sb), 160);
  v128.store(scores, scaled<T>(b3, s3, sb), 176);
  const sc = v128.load_splat<f32>(queryScales, 8);
  v128.store(scores, scaled<T>(c0, s0, sc), 256);
  v128.store(scores, scaled<T>(c1, s1, sc), 272);
  v128.store(scores, scaled<T>(c2, s2, sc), 288);
  v128.store(scores, scaled<T>(c3, s3, sc), 304);
  const sd = v128.load_splat<f32>(queryScales, 12);
  v128.store(scores, scaled<T>(d0, s0, sd), 384);
  v128.store(scores, scaled<T>(d1, s1, sd), 400);
  v128.store(scores, scaled<T>(d2, s2, sd), 416);
  v128.store(scores, scaled<T>(d3, s3, sd), 432);
}

/** One query by the whole block. */
function score_1_by_32<T>(call: Call, tile: usize, k: usize, scales: usize): void {
  const queryScale = state_of(call, tile) + STATE_QUERY_SCALE, scores = call.scores;
  let q = tile;
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0;
  let next = call.nextLine, other = call.otherLine, sum = call.fetched;
  const step = call.lineStep;
  for (let turns = turns_of<T>(call); turns != 0; turns--) {
    const x = v128.load_splat<u32>(q);
    a0 = multiply_add<T>(x, v128.load(k), a0);
    a1 = multiply_add<T>(x, v128.load(k, 16), a1);
    a2 = multiply_add<T>(x, v128.load(k, 32), a2);
    a3 = multiply_add<T>(x, v128.load(k, 48), a3);
    a4 = multiply_add<T>(x, v128.load(k, 64), a4);
    a5 = multiply_add<T>(x, v128.load(k, 80), a5);
    a6 = multiply_add<T>(x, v128.load(k, 96), a6);
    a7 = multiply_add<T>(x, v128.load(k, 112), a7);
    q += 4;
    k += 128;
    sum += load<u32>(next) + load<u32>(other);
    next += step, other += step;
  }
  call.nextLine = next, call.otherLine = other, call.fetched = sum;
  const x = v128.load_splat<f32>(queryScale);
  v128.store(scores, scaled<T>(a0, v128.load(scales), x));
  v128.store(scores, scaled<T>(a1, v128.load(scales, 16), x), 16);
  v128.store(scores, scaled<T>(a2, v128.load(scales, 32), x), 32);
  v128.store(scores, scaled<T>(a3, v128.load(scales, 48), x), 48);
  v128.store(scores, scaled<T>(a4, v128.load(scales, 64), x), 64);
  v128.store(scores, scaled<T>(a5, v128.load(scales, 80), x), 80);
  v128.store(scores, scaled<T>(a6, v128.load(scales, 96), x), 96);
  v128.store(scores, scaled<T>(a7, v128.load(scales, 112), x), 112);
}

/** Integer sums times the scales of four positions and of the query; floats as they are. */
@inline
function scaled<T>(sums: v128, scales: v128, query: v128): v128 {
  if (isFloat<T>()) return sums;
  return f32x4.mul(f32x4.mul(f32x4.convert_i32x4_s(sums), scales), query);
}
