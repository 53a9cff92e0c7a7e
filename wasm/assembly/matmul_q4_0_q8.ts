/**
 * out[t, r] = Σ_i w[r, i] · act[t, i], Q4_0 rows (row_layout.ts) by q8 tiles (q8_tile.ts).
 *
 * Per superblock the eight 16-bit lanes of one accumulator collect eight blocks; it starts at
 * −8·Σa and may wrap on the way, never at the end. Then one widening, one scale vector and one
 * multiply-add serve 256 weights. Everything is written as neighbouring pairs of 128-bit
 * operations, which V8 fuses into 256-bit ones (--experimental-wasm-revectorize).
 * Every output is summed in the same order whatever n is: prefill and decode agree bit for bit.
 */
import { check_bytes, check_f32_rows, check_rows } from "./bounds";
import {
  GROUP_TOKENS,
  RECORD_BYTES,
  RECORD_SCALES,
  RECORD_SUMS,
  superblocks_of,
  tile_bytes,
} from "./q8_tile";
import { dot_i8, f16_bits_to_f32x4, madd, sum_lanes_4, TWO_POW_56 } from "./simd";

/** Rows whose weights stay in the L2 cache while all token groups pass over them. */
const PANEL_ROWS: u32 = 64;

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
  check_rows(w, rows, rowStride, <u64> superblocks * 144);
  check_bytes(acts, tile_bytes(n, k));
  check_f32_rows(out, n, outStride, rows);
  if (n == 1) {
    for (let r: u32 = 0; r < rows; r++) {
      gemv_1_row(w + r * rowStride, superblocks, acts, out + (r << 2));
    }
    return;
  }
  const groupBytes = superblocks * RECORD_BYTES * GROUP_TOKENS;
  for (let panel: u32 = 0; panel < rows; panel += PANEL_ROWS) {
    const end = min(panel + PANEL_ROWS, rows);
    for (let t: u32 = 0; t < n; t += GROUP_TOKENS) {
      const group = acts + (t >> 2) * groupBytes;
      for (let r = panel; r < end; r++) {
        const to = out + ((t * outStride + r) << 2);
        tile_1_row(w + r * rowStride, superblocks, group, to, outStride << 2, n - t);
      }
    }
  }
}

/** One row by one token. */
function gemv_1_row(w: usize, superblocks: u32, acts: usize, out: usize): void {
  const mask = i8x16.splat(15);
  let scales = w + superblocks * 128;
  let f0 = f32x4.splat(0), f1 = f0;
  for (let s = superblocks; s != 0; s--) {
    let s0 = v128.load(acts, RECORD_SUMS), s1 = v128.load(acts, RECORD_SUMS + 16);
    for (let m: u32 = 0; m < 4; m++) {
      const w0 = v128.load(w + 32 * m), w1 = v128.load(w + 32 * m, 16);
      const a = acts + 64 * m;
      s0 = i16x8.add(s0, dot_i8(v128.load(a), v128.and(w0, mask)));
      s1 = i16x8.add(s1, dot_i8(v128.load(a, 16), v128.and(w1, mask)));
      s0 = i16x8.add(s0, dot_i8(v128.load(a, 32), v128.and(i16x8.shr_u(w0, 4), mask)));
      s1 = i16x8.add(s1, dot_i8(v128.load(a, 48), v128.and(i16x8.shr_u(w1, 4), mask)));
    }
    const sum = i16x8.add(s0, s1);
    f0 = widen_low(sum, f16_bits_to_f32x4(v128.load_ext<i16>(scales)), acts, f0);
    f1 = widen_high(sum, f16_bits_to_f32x4(v128.load_ext<i16>(scales, 8)), acts, f1);
    w += 128;
    scales += 16;
    acts += RECORD_BYTES;
  }
  const total = f32x4.add(f0, f1);
  const sums = f32x4.mul(sum_lanes_4(total, total, total, total), f32x4.splat(TWO_POW_56));
  v128.store_lane<u32>(out, sums, 0);
}

/** One row by a group of four tokens, of which the first `valid` are stored. */
function tile_1_row(
  w: usize,
  superblocks: u32,
  acts: usize,
  out: usize,
  tokenStep: u32,
  valid: u32,
): void {
  const mask = i8x16.splat(15);
  let scales = w + superblocks * 128;
  let f00 = f32x4.splat(0), f01 = f00, f10 = f00, f11 = f00;
  let f20 = f00, f21 = f00, f30 = f00, f31 = f00;
  for (let s = superblocks; s != 0; s--) {
    const scale0 = f16_bits_to_f32x4(v128.load_ext<i16>(scales)),
      scale1 = f16_bits_to_f32x4(v128.load_ext<i16>(scales, 8));
    const t0 = acts, t1 = acts + RECORD_BYTES;
    const t2 = acts + 2 * RECORD_BYTES, t3 = acts + 3 * RECORD_BYTES;
    let s00 = v128.load(t0, RECORD_SUMS), s01 = v128.load(t0, RECORD_SUMS + 16);
    let s10 = v128.load(t1, RECORD_SUMS), s11 = v128.load(t1, RECORD_SUMS + 16);
    let s20 = v128.load(t2, RECORD_SUMS), s21 = v128.load(t2, RECORD_SUMS + 16);
    let s30 = v128.load(t3, RECORD_SUMS), s31 = v128.load(t3, RECORD_SUMS + 16);
    for (let m: u32 = 0; m < 4; m++) {
      const w0 = v128.load(w + 32 * m), w1 = v128.load(w + 32 * m, 16);
      const l0 = v128.and(w0, mask), l1 = v128.and(w1, mask);
      const h0 = v128.and(i16x8.shr_u(w0, 4), mask), h1 = v128.and(i16x8.shr_u(w1, 4), mask);
      const o: u32 = 64 * m;
      s00 = i16x8.add(s00, dot_i8(v128.load(t0 + o), l0));
      s01 = i16x8.add(s01, dot_i8(v128.load(t0 + o, 16), l1));
      s00 = i16x8.add(s00, dot_i8(v128.load(t0 + o, 32), h0));
      s01 = i16x8.add(s01, dot_i8(v128.load(t0 + o, 48), h1));
      s10 = i16x8.add(s10, dot_i8(v128.load(t1 + o), l0));
      s11 = i16x8.add(s11, dot_i8(v128.load(t1 + o, 16), l1));
      s10 = i16x8.add(s10, dot_i8(v128.load(t1 + o, 32), h0));
      s11 = i16x8.add(s11, dot_i8(v128.load(t1 + o, 48), h1));
      s20 = i16x8.add(s20, dot_i8(v128.load(t2 + o), l0));
      s21 = i16x8.add(s21, dot_i8(v128.load(t2 + o, 16), l1));
      s20 = i16x8.add(s20, dot_i8(v128.load(t2 + o, 32), h0));
      s21 = i16x8.add(s21, dot_i8(v128.load(t2 + o, 48), h1));
      s30 = i16x8.add(s30, dot_i8(v128.load(t3 + o), l0));
      s31 = i16x8.add(s31, dot_i8(v128.load(t3 + o, 16), l1));
      s30 = i16x8.add(s30, dot_i8(v128.load(t3 + o, 32), h0));
      s31 = i16x8.add(s31, dot_i8(v128.load(t3 + o, 48), h1));
    }
    f00 = widen_low(i16x8.add(s00, s01), scale0, t0, f00);
    f01 = widen_high(i16x8.add(s00, s01), scale1, t0, f01);
    f10 = widen_low(i16x8.add(s10, s11), scale0, t1, f10);
    f11 = widen_high(i16x8.add(s10, s11), scale1, t1, f11);
    f20 = widen_low(i16x8.add(s20, s21), scale0, t2, f20);
    f21 = widen_high(i16x8.add(s20, s21), scale1, t2, f21);
    f30 = widen_low(i16x8.add(s30, s31), scale0, t3, f30);
    f31 = widen_high(i16x8.add(s30, s31), scale1, t3, f31);
    w += 128;
    scales += 16;
    acts += RECORD_BYTES * GROUP_TOKENS;
  }
  const totals = sum_lanes_4(
    f32x4.add(f00, f01),
    f32x4.add(f10, f11),
    f32x4.add(f20, f21),
    f32x4.add(f30, f31),
  );
  const sums = f32x4.mul(totals, f32x4.splat(TWO_POW_56));
  v128.store_lane<u32>(out, sums, 0);
  if (valid > 1) v128.store_lane<u32>(out + tokenStep, sums, 1);
  if (valid > 2) v128.store_lane<u32>(out + 2 * tokenStep, sums, 2);
  if (valid > 3) v128.store_lane<u32>(out + 3 * tokenStep, sums, 3);
}

/** acc + blocks 0..3 of `sum` by their scales (row's · token's). */

function widen_low(sum: v128, scale: v128, record: usize, acc: v128): v128 {
  const scales = f32x4.mul(scale, v128.load(record, RECORD_SCALES));
  return madd(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(sum)), scales, acc);
}

/** The same for blocks 4..7. */

function widen_high(sum: v128, scale: v128, record: usize, acc: v128): v128 {
  const scales = f32x4.mul(scale, v128.load(record, RECORD_SCALES + 16));
  return madd(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(sum)), scales, acc);
}
