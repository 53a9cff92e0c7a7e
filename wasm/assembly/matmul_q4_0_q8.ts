// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * out[t, r] = Σ_i w[r, i] · act[t, i], Q4_0 rows (row_layout.ts) by q8 tiles (q8_tile.ts).
 *
 * Per superblock the eight 16-bit lanes of an accumulator collect eight blocks, one half of each
 * in the accumulator that starts at −8·Σa, the other in one that starts at 0. Both halves and
 * their sum fit in 16 bits (q8_tile.ts), so additions may wrap on the way and the last one may
 * saturate: it is what V8 pairs from. Then one widening, one vector of scales and one
 * multiply-add serve 256 weights. Everything is written as neighbouring pairs of 128-bit
 * operations, which V8 makes 256-bit ones of (--experimental-wasm-revectorize).
 * Every output is summed in the same order whatever n is: prefill and decode agree bit for bit.
 */
import { check_bytes, check_f32_rows, check_rows } from "./bounds";
import {
  GROUP_TOKENS,
  PANEL_ROWS,
  RECORD_BYTES,
  RECORD_SCALES,
  RECORD_SUMS,
  superblocks_of,
  tile_bytes,
} from "./q8_tile";
import {
  dot_i8,
  f16_bits_to_f32x4,
  F16_MASK,
  join_pair,
  opaque,
  store_lanes,
  sum_lanes_4,
  TWO_POW_56,
  widen_high,
  widen_low,
} from "./simd";

const QUANT_BYTES: u32 = 128;

export function matmul_q4_0_q8(
  w: usize,
  rowStride: u32,
  rows: u32,
  k: u32,
  acts: usize,
  n: u32,
  out: usize,
  outStride: u32,
): void {
  const superblocks = superblocks_of(k);
  check_rows(w, rows, rowStride, <u64>superblocks * (QUANT_BYTES + 16));
  check_bytes(acts, tile_bytes(n, k));
  check_f32_rows(out, n, outStride, rows);
  if (superblocks == 0) unreachable();
  if (n == 1) {
    // Two far rows at a time are two long streams for the prefetcher; neighbours are none.
    const half = rows >> 1;
    for (let r: u32 = 0; r < half; r++) {
      gemv_2_rows(w + r * rowStride, half * rowStride, superblocks, acts, out + 4 * r, 4 * half);
    }
    if ((rows & 1) != 0) {
      const last = rows - 1;
      gemv_2_rows(w + last * rowStride, 0, superblocks, acts, out + 4 * last, 0);
    }
    return;
  }
  const groupBytes = superblocks * RECORD_BYTES * GROUP_TOKENS;
  for (let panel: u32 = 0; panel < rows; panel += PANEL_ROWS) {
    const end = min(panel + PANEL_ROWS, rows);
    for (let t: u32 = 0; t < n; t += GROUP_TOKENS) {
      const group = acts + (t >> 2) * groupBytes;
      for (let r = panel; r < end; r += 2) {
        const second = r + 1 < end ? rowStride : 0; // an odd last row is computed twice
        const to = out + ((t * outStride + r) << 2);
        tile_2_rows(w + r * rowStride, second, superblocks, group, to, outStride << 2, n - t);
      }
    }
  }
}

/** sum + sixteen bytes of weights by what meets their low and their high nibbles. */
@inline
function step(sum: v128, w: v128, low: v128, high: v128, mask: v128): v128 {
  const l = dot_i8(low, v128.and(w, mask));
  const h = dot_i8(high, v128.and(i16x8.shr_u(w, 4), mask));
  return i16x8.add(sum, i16x8.add(l, h));
}

/** Two rows, rowStep bytes apart, by one token; results outStep bytes apart. */
function gemv_2_rows(
  w: usize,
  rowStep: u32,
  superblocks: u32,
  acts: usize,
  out: usize,
  outStep: u32,
): void {
  const nibble = i8x16.splat(<i8>opaque(15, superblocks));
  const f16Mask = i32x4.splat(opaque(F16_MASK, superblocks));
  const zero = v128.load(acts, RECORD_SUMS + 16);
  let v = w + rowStep;
  // 16 short of the scales: V8 pairs extending loads only when neither offset is 0.
  let wScales = w + superblocks * QUANT_BYTES - 16;
  let vScales = wScales + rowStep;
  let p0 = f32x4.splat(0), p1 = p0, q0 = p0, q1 = p0;
  for (let s = superblocks; s != 0; s--) {
    let a0 = v128.load(acts, RECORD_SUMS), a1 = v128.load(acts, RECORD_SUMS + 16);
    let b0 = v128.load(acts, RECORD_SUMS), b1 = v128.load(acts, RECORD_SUMS + 16);
    let x0 = v128.load(acts);
    let x1 = v128.load(acts, 16);
    let x2 = v128.load(acts, 32);
    let x3 = v128.load(acts, 48);
    a0 = step(a0, v128.load(w), x0, x2, nibble);
    a1 = step(a1, v128.load(w, 16), x1, x3, nibble);
    b0 = step(b0, v128.load(v), x0, x2, nibble);
    b1 = step(b1, v128.load(v, 16), x1, x3, nibble);
    x0 = v128.load(acts, 64);
    x1 = v128.load(acts, 80);
    x2 = v128.load(acts, 96);
    x3 = v128.load(acts, 112);
    a0 = step(a0, v128.load(w, 32), x0, x2, nibble);
    a1 = step(a1, v128.load(w, 48), x1, x3, nibble);
    b0 = step(b0, v128.load(v, 32), x0, x2, nibble);
    b1 = step(b1, v128.load(v, 48), x1, x3, nibble);
    x0 = v128.load(acts, 128);
    x1 = v128.load(acts, 144);
    x2 = v128.load(acts, 160);
    x3 = v128.load(acts, 176);
    a0 = step(a0, v128.load(w, 64), x0, x2, nibble);
    a1 = step(a1, v128.load(w, 80), x1, x3, nibble);
    b0 = step(b0, v128.load(v, 64), x0, x2, nibble);
    b1 = step(b1, v128.load(v, 80), x1, x3, nibble);
    x0 = v128.load(acts, 192);
    x1 = v128.load(acts, 208);
    x2 = v128.load(acts, 224);
    x3 = v128.load(acts, 240);
    a0 = step(a0, v128.load(w, 96), x0, x2, nibble);
    a1 = step(a1, v128.load(w, 112), x1, x3, nibble);
    b0 = step(b0, v128.load(v, 96), x0, x2, nibble);
    b1 = step(b1, v128.load(v, 112), x1, x3, nibble);
    const y0 = v128.load(acts, RECORD_SCALES), y1 = v128.load(acts, RECORD_SCALES + 16);
    const a = i16x8.add_sat_s(a0, a1), b = i16x8.add_sat_s(b0, b1);
    const as0 = f16_bits_to_f32x4(v128.load_ext<i16>(wScales, 16), f16Mask);
    const as1 = f16_bits_to_f32x4(v128.load_ext<i16>(wScales, 24), f16Mask);
    const bs0 = f16_bits_to_f32x4(v128.load_ext<i16>(vScales, 16), f16Mask);
    const bs1 = f16_bits_to_f32x4(v128.load_ext<i16>(vScales, 24), f16Mask);
    p0 = widen_low(a, f32x4.mul(as0, y0), p0);
    p1 = widen_high(a, f32x4.mul(as1, y1), p1);
    q0 = widen_low(b, f32x4.mul(bs0, y0), q0);
    q1 = widen_high(b, f32x4.mul(bs1, y1), q1);
    w += QUANT_BYTES;
    v += QUANT_BYTES;
    wScales += 16;
    vScales += 16;
    acts += RECORD_BYTES;
  }
  const p = join_pair(p0, p1, TWO_POW_56, zero), q = join_pair(q0, q1, TWO_POW_56, zero);
  store_lanes(out, outStep, 2, sum_lanes_4(p, q, p, q));
}

/** Two rows, rowStep bytes apart (0: one row), by four tokens, of which `valid` are stored. */
function tile_2_rows(
  w: usize,
  rowStep: u32,
  superblocks: u32,
  acts: usize,
  out: usize,
  tokenStep: u32,
  valid: u32,
): void {
  const nibble = i8x16.splat(<i8>opaque(15, superblocks));
  const f16Mask = i32x4.splat(opaque(F16_MASK, superblocks));
  const zero = v128.load(acts, RECORD_SUMS + 16);
  let wScales = w + superblocks * QUANT_BYTES - 16;
  let p00 = f32x4.splat(0), p01 = p00, p10 = p00, p11 = p00, p20 = p00, p21 = p00, p30 = p00;
  let p31 = p00, q00 = p00, q01 = p00, q10 = p00, q11 = p00, q20 = p00, q21 = p00, q30 = p00;
  let q31 = p00;
  for (let s = superblocks; s != 0; s--) {
    let a00 = i16x8.splat(0), a01 = a00, a10 = a00, a11 = a00, a20 = a00, a21 = a00, a30 = a00;
    let a31 = a00, b00 = a00, b01 = a00, b10 = a00, b11 = a00, b20 = a00, b21 = a00, b30 = a00;
    let b31 = a00;
    // A loop, not four copies: Binaryen would reorder those until nothing fits the registers.
    const next = acts + 256;
    for (; acts != next; acts += 64, w += 32) {
      const v = w + rowStep;
      const w0 = v128.load(w), w1 = v128.load(w, 16);
      const v0 = v128.load(v), v1 = v128.load(v, 16);
      const wl0 = v128.and(w0, nibble), wl1 = v128.and(w1, nibble);
      const vl0 = v128.and(v0, nibble), vl1 = v128.and(v1, nibble);
      const wh0 = v128.and(i16x8.shr_u(w0, 4), nibble), wh1 = v128.and(i16x8.shr_u(w1, 4), nibble);
      const vh0 = v128.and(i16x8.shr_u(v0, 4), nibble), vh1 = v128.and(i16x8.shr_u(v1, 4), nibble);
      let x0 = v128.load(acts);
      let x1 = v128.load(acts, 16);
      let x2 = v128.load(acts, 32);
      let x3 = v128.load(acts, 48);
      a00 = step_tile(a00, x0, wl0, x2, wh0);
      a01 = step_tile(a01, x1, wl1, x3, wh1);
      b00 = step_tile(b00, x0, vl0, x2, vh0);
      b01 = step_tile(b01, x1, vl1, x3, vh1);
      x0 = v128.load(acts, RECORD_BYTES);
      x1 = v128.load(acts, RECORD_BYTES + 16);
      x2 = v128.load(acts, RECORD_BYTES + 32);
      x3 = v128.load(acts, RECORD_BYTES + 48);
      a10 = step_tile(a10, x0, wl0, x2, wh0);
      a11 = step_tile(a11, x1, wl1, x3, wh1);
      b10 = step_tile(b10, x0, vl0, x2, vh0);
      b11 = step_tile(b11, x1, vl1, x3, vh1);
      x0 = v128.load(acts, 2 * RECORD_BYTES);
      x1 = v128.load(acts, 2 * RECORD_BYTES + 16);
      x2 = v128.load(acts, 2 * RECORD_BYTES + 32);
      x3 = v128.load(acts, 2 * RECORD_BYTES + 48);
      a20 = step_tile(a20, x0, wl0, x2, wh0);
      a21 = step_tile(a21, x1, wl1, x3, wh1);
      b20 = step_tile(b20, x0, vl0, x2, vh0);
      b21 = step_tile(b21, x1, vl1, x3, vh1);
      x0 = v128.load(acts, 3 * RECORD_BYTES);
      x1 = v128.load(acts, 3 * RECORD_BYTES + 16);
      x2 = v128.load(acts, 3 * RECORD_BYTES + 32);
      x3 = v128.load(acts, 3 * RECORD_BYTES + 48);
      a30 = step_tile(a30, x0, wl0, x2, wh0);
      a31 = step_tile(a31, x1, wl1, x3, wh1);
      b30 = step_tile(b30, x0, vl0, x2, vh0);
      b31 = step_tile(b31, x1, vl1, x3, vh1);
    }
    acts -= 256;
    const ws0 = f16_bits_to_f32x4(v128.load_ext<i16>(wScales, 16), f16Mask);
    const ws1 = f16_bits_to_f32x4(v128.load_ext<i16>(wScales, 24), f16Mask);
    const vs0 = f16_bits_to_f32x4(v128.load_ext<i16>(wScales + rowStep, 16), f16Mask);
    const vs1 = f16_bits_to_f32x4(v128.load_ext<i16>(wScales + rowStep, 24), f16Mask);
    let y0 = v128.load(acts, RECORD_SCALES);
    let y1 = v128.load(acts, RECORD_SCALES + 16);
    let z0 = v128.load(acts, RECORD_SUMS);
    let z1 = v128.load(acts, RECORD_SUMS + 16);
    const a0 = i16x8.add_sat_s(i16x8.add(a00, z0), i16x8.add(a01, z1));
    p00 = widen_low(a0, f32x4.mul(ws0, y0), p00);
    p01 = widen_high(a0, f32x4.mul(ws1, y1), p01);
    const b0 = i16x8.add_sat_s(i16x8.add(b00, z0), i16x8.add(b01, z1));
    q00 = widen_low(b0, f32x4.mul(vs0, y0), q00);
    q01 = widen_high(b0, f32x4.mul(vs1, y1), q01);
    y0 = v128.load(acts, RECORD_BYTES + RECORD_SCALES);
    y1 = v128.load(acts, RECORD_BYTES + RECORD_SCALES + 16);
    z0 = v128.load(acts, RECORD_BYTES + RECORD_SUMS);
    z1 = v128.load(acts, RECORD_BYTES + RECORD_SUMS + 16);
    const a1 = i16x8.add_sat_s(i16x8.add(a10, z0), i16x8.add(a11, z1));
    p10 = widen_low(a1, f32x4.mul(ws0, y0), p10);
    p11 = widen_high(a1, f32x4.mul(ws1, y1), p11);
    const b1 = i16x8.add_sat_s(i16x8.add(b10, z0), i16x8.add(b11, z1));
    q10 = widen_low(b1, f32x4.mul(vs0, y0), q10);
    q11 = widen_high(b1, f32x4.mul(vs1, y1), q11);
    y0 = v128.load(acts, 2 * RECORD_BYTES + RECORD_SCALES);
    y1 = v128.load(acts, 2 * RECORD_BYTES + RECORD_SCALES + 16);
    z0 = v128.load(acts, 2 * RECORD_BYTES + RECORD_SUMS);
    z1 = v128.load(acts, 2 * RECORD_BYTES + RECORD_SUMS + 16);
    const a2 = i16x8.add_sat_s(i16x8.add(a20, z0), i16x8.add(a21, z1));
    p20 = widen_low(a2, f32x4.mul(ws0, y0), p20);
    p21 = widen_high(a2, f32x4.mul(ws1, y1), p21);
    const b2 = i16x8.add_sat_s(i16x8.add(b20, z0), i16x8.add(b21, z1));
    q20 = widen_low(b2, f32x4.mul(vs0, y0), q20);
    q21 = widen_high(b2, f32x4.mul(vs1, y1), q21);
    y0 = v128.load(acts, 3 * RECORD_BYTES + RECORD_SCALES);
    y1 = v128.load(acts, 3 * RECORD_BYTES + RECORD_SCALES + 16);
    z0 = v128.load(acts, 3 * RECORD_BYTES + RECORD_SUMS);
    z1 = v128.load(acts, 3 * RECORD_BYTES + RECORD_SUMS + 16);
    const a3 = i16x8.add_sat_s(i16x8.add(a30, z0), i16x8.add(a31, z1));
    p30 = widen_low(a3, f32x4.mul(ws0, y0), p30);
    p31 = widen_high(a3, f32x4.mul(ws1, y1), p31);
    const b3 = i16x8.add_sat_s(i16x8.add(b30, z0), i16x8.add(b31, z1));
    q30 = widen_low(b3, f32x4.mul(vs0, y0), q30);
    q31 = widen_high(b3, f32x4.mul(vs1, y1), q31);
    wScales += 16;
    acts += GROUP_TOKENS * RECORD_BYTES;
  }
  const p0 = join_pair(p00, p01, TWO_POW_56, zero), p1 = join_pair(p10, p11, TWO_POW_56, zero);
  const p2 = join_pair(p20, p21, TWO_POW_56, zero), p3 = join_pair(p30, p31, TWO_POW_56, zero);
  const q0 = join_pair(q00, q01, TWO_POW_56, zero), q1 = join_pair(q10, q11, TWO_POW_56, zero);
  const q2 = join_pair(q20, q21, TWO_POW_56, zero), q3 = join_pair(q30, q31, TWO_POW_56, zero);
  if (rowStep != 0) store_lanes(out + 4, tokenStep, valid, sum_lanes_4(q0, q1, q2, q3));
  store_lanes(out, tokenStep, valid, sum_lanes_4(p0, p1, p2, p3));
}

/** sum + weights' low nibbles by x + their high nibbles by y. */
@inline
function step_tile(sum: v128, x: v128, low: v128, y: v128, high: v128): v128 {
  return i16x8.add(i16x8.add(sum, dot_i8(x, low)), dot_i8(y, high));
}
