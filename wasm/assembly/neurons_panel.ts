// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Several tokens by rows that are kept neuron by neuron (neurons.ts). A panel of neurons becomes
 * floats, tile by tile of 16 outputs, and stays in the L2 cache while all tokens pass over it. A
 * tile of outputs collects neuron after neuron: the order in which neurons_float.ts adds.
 *
 *   panel: tiles of 16 outputs, each f32 [PANEL_NEURONS][16]
 */
import { high_four, low_four } from "./neurons_float";
import { is_wide, SUPERBLOCKS_AT_ONCE } from "./format";
import { offset_of } from "./neurons_quant";
import { Pairs } from "./product_sums";
import { superblocks_of } from "./q8_tile";
import { F16_MASK, madd, TWO_POW_112 } from "./simd";
import {
  FORM_C,
  FORM_D,
  FORM_L,
  FORM_M,
  FORM_QUANTS,
  form_bytes,
  superblock_bytes,
  take_apart,
} from "./superblock_form";

/** Neurons of a panel. */
export const PANEL_NEURONS: u32 = 32;
const TILE_BYTES: u32 = PANEL_NEURONS * 64;

/** d weights of a float row into the panel, this neuron's part of which begins at `to`. */
export function fill_float_row<T>(row: usize, d: u32, to: usize): void {
  const mask = i32x4.splat(F16_MASK), owed = f32x4.splat(TWO_POW_112);
  let at = row - 16;
  for (let r: u32 = 0; r < d; r += 16, to += TILE_BYTES) { // rows are padded to 16
    const next = at + 8 * sizeof<T>();
    v128.store(to, low_four<T>(at, mask, owed));
    v128.store(to, high_four<T>(at, mask, owed), 16);
    v128.store(to, low_four<T>(next, mask, owed), 32);
    v128.store(to, high_four<T>(next, mask, owed), 48);
    at = next + 8 * sizeof<T>();
  }
}

/** The same of a quantised row; forms: room for SUPERBLOCKS_AT_ONCE. */
export function fill_quant_row<F>(row: usize, d: u32, to: usize, forms: usize): void {
  const superblocks = superblocks_of(d);
  for (let s: u32 = 0; s < superblocks; s += SUPERBLOCKS_AT_ONCE) {
    const count = min(superblocks - s, SUPERBLOCKS_AT_ONCE);
    take_apart<F, Pairs>(row + s * superblock_bytes<F>(), count, forms);
    for (let i: u32 = 0; i < count; i++) {
      const left = d - ((s + i) << 8);
      const form = forms + i * form_bytes<F, Pairs>();
      for (let j: u32 = 0; j < 8 && j * 32 < left; j++) {
        fill_half_block<F>(form, j, 0, to);
        if (j * 32 + 16 < left) fill_half_block<F>(form, j, 1, to + TILE_BYTES);
        to += 2 * TILE_BYTES;
      }
    }
  }
}

/** Sixteen weights of block j. */
@inline
function fill_half_block<F>(form: usize, j: u32, half: u32, to: usize): void {
  const f = changetype<F>(0);
  let scale = load<f32>(form + 4 * j, FORM_D);
  if (isDefined(f.l)) scale *= <f32>load<i16>(form + 4 * j + 2 * half, FORM_L);
  let c: f32 = 0;
  if (isDefined(f.c)) {
    c = load<f32>(form + 4 * j, FORM_C);
    if (isDefined(f.m)) c *= <f32>-load<i16>(form + 4 * j + 2 * half, FORM_M);
  }
  const at = form + FORM_QUANTS + 4 * j + 2 * half;
  let quants = i16x8.splat(0);
  quants = v128.load_lane<u16>(at, quants, 0);
  quants = v128.load_lane<u16>(at, quants, 1, 32);
  quants = v128.load_lane<u16>(at, quants, 2, 64);
  quants = v128.load_lane<u16>(at, quants, 3, 96);
  quants = v128.load_lane<u16>(at, quants, 4, 128);
  quants = v128.load_lane<u16>(at, quants, 5, 160);
  quants = v128.load_lane<u16>(at, quants, 6, 192);
  quants = v128.load_lane<u16>(at, quants, 7, 224);
  if (is_wide<F>()) {
    let high = i16x8.splat(0);
    high = v128.load_lane<u16>(at, high, 0, 256);
    high = v128.load_lane<u16>(at, high, 1, 288);
    high = v128.load_lane<u16>(at, high, 2, 320);
    high = v128.load_lane<u16>(at, high, 3, 352);
    high = v128.load_lane<u16>(at, high, 4, 384);
    high = v128.load_lane<u16>(at, high, 5, 416);
    high = v128.load_lane<u16>(at, high, 6, 448);
    high = v128.load_lane<u16>(at, high, 7, 480);
    quants = i8x16.add(quants, i16x8.shl(high, 4));
  }
  const low = i16x8.extend_low_i8x16_u(quants), high = i16x8.extend_high_i8x16_u(quants);
  fill_four<F>(i32x4.extend_low_i16x8_u(low), scale, c, to);
  fill_four<F>(i32x4.extend_high_i16x8_u(low), scale, c, to + 16);
  fill_four<F>(i32x4.extend_low_i16x8_u(high), scale, c, to + 32);
  fill_four<F>(i32x4.extend_high_i16x8_u(high), scale, c, to + 48);
}

@inline
function fill_four<F>(quants: v128, scale: f32, c: f32, to: usize): void {
  const whole = i32x4.sub(quants, i32x4.splat(offset_of<F>()));
  let weights = f32x4.mul(f32x4.convert_i32x4_s(whole), f32x4.splat(scale));
  if (isDefined(changetype<F>(0).c)) weights = f32x4.add(weights, f32x4.splat(c));
  v128.store(to, weights);
}

/** out += x · panel of `count` neurons, or = where it is the first panel. */
export function multiply_filled(
  panel: usize,
  count: u32,
  d: u32,
  x: usize,
  xStride: u32,
  n: u32,
  out: usize,
  outStride: u32,
  isFirst: bool,
): void {
  const xStep = xStride << 2, outStep = outStride << 2;
  for (let t: u32 = 0; t < n; t += 4) {
    // Tokens beyond the last one are the last one again.
    const left = n - 1 - t;
    const x0 = x + t * xStep, o0 = out + t * outStep;
    const x1 = x0 + min(left, 1) * xStep, o1 = o0 + min(left, 1) * outStep;
    const x2 = x0 + min(left, 2) * xStep, o2 = o0 + min(left, 2) * outStep;
    const x3 = x0 + min(left, 3) * xStep, o3 = o0 + min(left, 3) * outStep;
    let tile = panel;
    let r: u32 = 0;
    for (; r + 16 <= d; r += 16, tile += TILE_BYTES) {
      const at = r << 2;
      multiply_tile(
        tile, count, x0, x1, x2, x3, o0 + at, o1 + at, o2 + at, o3 + at, isFirst,
      );
    }
    for (let lane: u32 = 0; r < d; r++, lane += 4) {
      const at = r << 2;
      multiply_one(tile + lane, count, x0, o0 + at, isFirst);
      if (left > 0) multiply_one(tile + lane, count, x1, o1 + at, isFirst);
      if (left > 1) multiply_one(tile + lane, count, x2, o2 + at, isFirst);
      if (left > 2) multiply_one(tile + lane, count, x3, o3 + at, isFirst);
    }
  }
}

/** Sixteen outputs of four tokens; all are read before any is written. */
function multiply_tile(
  tile: usize,
  count: u32,
  x0: usize,
  x1: usize,
  x2: usize,
  x3: usize,
  o0: usize,
  o1: usize,
  o2: usize,
  o3: usize,
  isFirst: bool,
): void {
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  let c0 = a0, c1 = a0, c2 = a0, c3 = a0, e0 = a0, e1 = a0, e2 = a0, e3 = a0;
  if (!isFirst) {
    a0 = v128.load(o0), a1 = v128.load(o0, 16), a2 = v128.load(o0, 32), a3 = v128.load(o0, 48);
    b0 = v128.load(o1), b1 = v128.load(o1, 16), b2 = v128.load(o1, 32), b3 = v128.load(o1, 48);
    c0 = v128.load(o2), c1 = v128.load(o2, 16), c2 = v128.load(o2, 32), c3 = v128.load(o2, 48);
    e0 = v128.load(o3), e1 = v128.load(o3, 16), e2 = v128.load(o3, 32), e3 = v128.load(o3, 48);
  }
  const end = tile + 64 * count;
  for (; tile != end; tile += 64) {
    const w0 = v128.load(tile), w1 = v128.load(tile, 16);
    const w2 = v128.load(tile, 32), w3 = v128.load(tile, 48);
    let by = v128.load32_splat(x0);
    a0 = madd(w0, by, a0), a1 = madd(w1, by, a1), a2 = madd(w2, by, a2), a3 = madd(w3, by, a3);
    by = v128.load32_splat(x1);
    b0 = madd(w0, by, b0), b1 = madd(w1, by, b1), b2 = madd(w2, by, b2), b3 = madd(w3, by, b3);
    by = v128.load32_splat(x2);
    c0 = madd(w0, by, c0), c1 = madd(w1, by, c1), c2 = madd(w2, by, c2), c3 = madd(w3, by, c3);
    by = v128.load32_splat(x3);
    e0 = madd(w0, by, e0), e1 = madd(w1, by, e1), e2 = madd(w2, by, e2), e3 = madd(w3, by, e3);
    x0 += 4, x1 += 4, x2 += 4, x3 += 4;
  }
  v128.store(o0, a0), v128.store(o0, a1, 16), v128.store(o0, a2, 32), v128.store(o0, a3, 48);
  v128.store(o1, b0), v128.store(o1, b1, 16), v128.store(o1, b2, 32), v128.store(o1, b3, 48);
  v128.store(o2, c0), v128.store(o2, c1, 16), v128.store(o2, c2, 32), v128.store(o2, c3, 48);
  v128.store(o3, e0), v128.store(o3, e1, 16), v128.store(o3, e2, 32), v128.store(o3, e3, 48);
}

/** One output of one token, in a lane: scalars would be rounded twice. */
function multiply_one(tile: usize, count: u32, x: usize, out: usize, isFirst: bool): void {
  let sum = isFirst ? f32x4.splat(0) : v128.load32_zero(out);
  for (let i: u32 = 0; i < count; i++) {
    const by = f32x4.splat(load<f32>(x + 4 * i));
    sum = madd(f32x4.splat(load<f32>(tile + 64 * i)), by, sum);
  }
  v128.store_lane<u32>(out, sum, 0);
}
