// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Values of a block of 32 positions, f16 (T = u16) or f32 [32, padded], mixed into a tile by the
 * weights that attention_soften.ts left. f16 values enter as value · 2^-112 (simd.ts); their
 * weights come multiplied by 2^112.
 */
import { cached_high, cached_low } from "./attention_cached";
import { Call, CHUNK_COLUMNS, mixed_of, STATE_CORRECTION, state_of } from "./attention_call";
import { F16_MASK, madd, opaque } from "./simd";

/** mixed = mixed · correction + weights [w, 32] · values [count, padded] for the call's w lanes. */
export function mix_tile<T>(call: Call, tile: usize, values: usize, count: u32): void {
  const corrections = state_of(call, tile) + STATE_CORRECTION;
  const step = call.paddedDim * sizeof<T>();
  let mixed = mixed_of(call, tile);
  for (let column: u32 = 0; column < call.paddedDim; column += CHUNK_COLUMNS) {
    const from = values + column * sizeof<T>();
    if (call.width != 1) mix_4_by_16<T>(call.scores, from, step, count, corrections, mixed);
    else mix_1_by_16<T>(call.scores, from, step, count, corrections, mixed);
    mixed += call.width * (CHUNK_COLUMNS * 4);
  }
}

/** Four queries by sixteen columns. */
function mix_4_by_16<T>(
  w: usize,
  v: usize,
  vStep: u32,
  count: u32,
  corrections: usize,
  mixed: usize,
): void {
  const mask = i32x4.splat(opaque(F16_MASK, count));
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
  v -= 16;
  for (let p = count; p != 0; p--) {
    const v0 = cached_low<T>(v, mask), v1 = cached_high<T>(v, mask);
    const v2 = cached_low<T>(v + 8 * sizeof<T>(), mask);
    const v3 = cached_high<T>(v + 8 * sizeof<T>(), mask);
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
function mix_1_by_16<T>(
  w: usize,
  v: usize,
  vStep: u32,
  count: u32,
  corrections: usize,
  mixed: usize,
): void {
  const mask = i32x4.splat(opaque(F16_MASK, count));
  const correction = v128.load_splat<f32>(corrections);
  let a0 = f32x4.mul(v128.load(mixed), correction);
  let a1 = f32x4.mul(v128.load(mixed, 16), correction);
  let a2 = f32x4.mul(v128.load(mixed, 32), correction);
  let a3 = f32x4.mul(v128.load(mixed, 48), correction);
  let b0 = f32x4.splat(0), b1 = b0, b2 = b0, b3 = b0;
  v -= 16;
  for (let pairs = count >> 1; pairs != 0; pairs--) {
    const next = v + vStep;
    const x = v128.load_splat<f32>(w), y = v128.load_splat<f32>(w, 4);
    a0 = madd(x, cached_low<T>(v, mask), a0);
    a1 = madd(x, cached_high<T>(v, mask), a1);
    a2 = madd(x, cached_low<T>(v + 8 * sizeof<T>(), mask), a2);
    a3 = madd(x, cached_high<T>(v + 8 * sizeof<T>(), mask), a3);
    b0 = madd(y, cached_low<T>(next, mask), b0);
    b1 = madd(y, cached_high<T>(next, mask), b1);
    b2 = madd(y, cached_low<T>(next + 8 * sizeof<T>(), mask), b2);
    b3 = madd(y, cached_high<T>(next + 8 * sizeof<T>(), mask), b3);
    w += 8;
    v = next + vStep;
  }
  if ((count & 1) != 0) {
    const x = v128.load_splat<f32>(w);
    b0 = madd(x, cached_low<T>(v, mask), b0);
    b1 = madd(x, cached_high<T>(v, mask), b1);
    b2 = madd(x, cached_low<T>(v + 8 * sizeof<T>(), mask), b2);
    b3 = madd(x, cached_high<T>(v + 8 * sizeof<T>(), mask), b3);
  }
  v128.store(mixed, f32x4.add(a0, b0));
  v128.store(mixed, f32x4.add(a1, b1), 16);
  v128.store(mixed, f32x4.add(a2, b2), 32);
  v128.store(mixed, f32x4.add(a3, b3), 48);
}
