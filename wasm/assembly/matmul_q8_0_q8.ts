// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * out[t, r] = Σ_i w[r, i] · act[t, i], Q8_0 rows (row_layout.ts) by q8 tiles (q8_tile.ts).
 *
 * A byte u = w + 128 is two nibbles: w = 16·(high − 8) + (low − 8) + 8. With H = Σa(high − 8) and
 * L = Σa(low − 8), each in 16 bits as for Q4_0 (matmul_q4_0_q8.ts), a block's dot product is
 * 16·H + L + 8·Σa, formed once per superblock in 32 bits. No operand of the dot instruction
 * leaves 0..15. Every output is summed in the same order whatever n is.
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
  madd,
  opaque,
  store_lanes,
  sum_lanes_4,
  TWO_POW_56,
} from "./simd";

const QUANT_BYTES: u32 = 256;

export function matmul_q8_0_q8(
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
      for (let r = panel; r < end; r++) {
        const to = out + ((t * outStride + r) << 2);
        tile_1_row(w + r * rowStride, superblocks, group, to, outStride << 2, n - t);
      }
    }
  }
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
  // 16 short of the scales: V8 pairs extending loads only when neither offset is 0.
  let wScales = w + superblocks * QUANT_BYTES - 16;
  let p0 = f32x4.splat(0), p1 = p0, q0 = p0, q1 = p0;
  for (let s = superblocks; s != 0; s--) {
    let al0 = i16x8.splat(0), al1 = al0, ah0 = al0, ah1 = al0;
    let bl0 = al0, bl1 = al0, bh0 = al0, bh1 = al0;
    const next = acts + 256;
    for (; acts != next; acts += 64, w += 64) {
      const v = w + rowStep;
      let x0 = v128.load(acts);
      let x1 = v128.load(acts, 16);
      let w0 = v128.load(w);
      let w1 = v128.load(w, 16);
      al0 = i16x8.add(al0, dot_i8(x0, v128.and(w0, nibble)));
      al1 = i16x8.add(al1, dot_i8(x1, v128.and(w1, nibble)));
      ah0 = i16x8.add(ah0, dot_i8(x0, high_nibbles(w0, nibble)));
      ah1 = i16x8.add(ah1, dot_i8(x1, high_nibbles(w1, nibble)));
      let v0 = v128.load(v);
      let v1 = v128.load(v, 16);
      bl0 = i16x8.add(bl0, dot_i8(x0, v128.and(v0, nibble)));
      bl1 = i16x8.add(bl1, dot_i8(x1, v128.and(v1, nibble)));
      bh0 = i16x8.add(bh0, dot_i8(x0, high_nibbles(v0, nibble)));
      bh1 = i16x8.add(bh1, dot_i8(x1, high_nibbles(v1, nibble)));
      x0 = v128.load(acts, 32);
      x1 = v128.load(acts, 48);
      w0 = v128.load(w, 32);
      w1 = v128.load(w, 48);
      al0 = i16x8.add(al0, dot_i8(x0, v128.and(w0, nibble)));
      al1 = i16x8.add(al1, dot_i8(x1, v128.and(w1, nibble)));
      ah0 = i16x8.add(ah0, dot_i8(x0, high_nibbles(w0, nibble)));
      ah1 = i16x8.add(ah1, dot_i8(x1, high_nibbles(w1, nibble)));
      v0 = v128.load(v, 32);
      v1 = v128.load(v, 48);
      bl0 = i16x8.add(bl0, dot_i8(x0, v128.and(v0, nibble)));
      bl1 = i16x8.add(bl1, dot_i8(x1, v128.and(v1, nibble)));
      bh0 = i16x8.add(bh0, dot_i8(x0, high_nibbles(v0, nibble)));
      bh1 = i16x8.add(bh1, dot_i8(x1, high_nibbles(v1, nibble)));
    }
    acts -= 256;
    const z0 = v128.load(acts, RECORD_SUMS), z1 = v128.load(acts, RECORD_SUMS + 16);
    const y0 = v128.load(acts, RECORD_SCALES), y1 = v128.load(acts, RECORD_SCALES + 16);
    const al = i16x8.add_sat_s(i16x8.add(al0, z0), i16x8.add(al1, z1));
    const ah = i16x8.add_sat_s(i16x8.add(ah0, z0), i16x8.add(ah1, z1));
    const bl = i16x8.add_sat_s(i16x8.add(bl0, z0), i16x8.add(bl1, z1));
    const bh = i16x8.add_sat_s(i16x8.add(bh0, z0), i16x8.add(bh1, z1));
    const ws0 = f16_bits_to_f32x4(v128.load_ext<i16>(wScales, 16), f16Mask);
    const ws1 = f16_bits_to_f32x4(v128.load_ext<i16>(wScales, 24), f16Mask);
    const vs0 = f16_bits_to_f32x4(v128.load_ext<i16>(wScales + rowStep, 16), f16Mask);
    const vs1 = f16_bits_to_f32x4(v128.load_ext<i16>(wScales + rowStep, 24), f16Mask);
    p0 = madd(join_low(al, ah, z0), f32x4.mul(ws0, y0), p0);
    p1 = madd(join_high(al, ah, z0), f32x4.mul(ws1, y1), p1);
    q0 = madd(join_low(bl, bh, z0), f32x4.mul(vs0, y0), q0);
    q1 = madd(join_high(bl, bh, z0), f32x4.mul(vs1, y1), q1);
    wScales += 16;
    acts += RECORD_BYTES;
  }
  const p = join_pair(p0, p1, TWO_POW_56, zero), q = join_pair(q0, q1, TWO_POW_56, zero);
  store_lanes(out, outStep, 2, sum_lanes_4(p, q, p, q));
}

/** One row by four tokens, of which `valid` are stored. */
function tile_1_row(
  w: usize,
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
  let p31 = p00;
  for (let s = superblocks; s != 0; s--) {
    let l00 = i16x8.splat(0), l01 = l00, l10 = l00, l11 = l00, l20 = l00, l21 = l00, l30 = l00;
    let l31 = l00, h00 = l00, h01 = l00, h10 = l00, h11 = l00, h20 = l00, h21 = l00, h30 = l00;
    let h31 = l00;
    const next = acts + 256;
    for (; acts != next; acts += 32, w += 32) {
      const w0 = v128.load(w), w1 = v128.load(w, 16);
      const wl0 = v128.and(w0, nibble), wl1 = v128.and(w1, nibble);
      const wh0 = high_nibbles(w0, nibble), wh1 = high_nibbles(w1, nibble);
      let x0 = v128.load(acts);
      let x1 = v128.load(acts, 16);
      l00 = i16x8.add(l00, dot_i8(x0, wl0));
      l01 = i16x8.add(l01, dot_i8(x1, wl1));
      h00 = i16x8.add(h00, dot_i8(x0, wh0));
      h01 = i16x8.add(h01, dot_i8(x1, wh1));
      x0 = v128.load(acts, RECORD_BYTES);
      x1 = v128.load(acts, RECORD_BYTES + 16);
      l10 = i16x8.add(l10, dot_i8(x0, wl0));
      l11 = i16x8.add(l11, dot_i8(x1, wl1));
      h10 = i16x8.add(h10, dot_i8(x0, wh0));
      h11 = i16x8.add(h11, dot_i8(x1, wh1));
      x0 = v128.load(acts, 2 * RECORD_BYTES);
      x1 = v128.load(acts, 2 * RECORD_BYTES + 16);
      l20 = i16x8.add(l20, dot_i8(x0, wl0));
      l21 = i16x8.add(l21, dot_i8(x1, wl1));
      h20 = i16x8.add(h20, dot_i8(x0, wh0));
      h21 = i16x8.add(h21, dot_i8(x1, wh1));
      x0 = v128.load(acts, 3 * RECORD_BYTES);
      x1 = v128.load(acts, 3 * RECORD_BYTES + 16);
      l30 = i16x8.add(l30, dot_i8(x0, wl0));
      l31 = i16x8.add(l31, dot_i8(x1, wl1));
      h30 = i16x8.add(h30, dot_i8(x0, wh0));
      h31 = i16x8.add(h31, dot_i8(x1, wh1));
    }
    acts -= 256;
    const ws0 = f16_bits_to_f32x4(v128.load_ext<i16>(wScales, 16), f16Mask);
    const ws1 = f16_bits_to_f32x4(v128.load_ext<i16>(wScales, 24), f16Mask);
    let z0 = v128.load(acts, RECORD_SUMS);
    let z1 = v128.load(acts, RECORD_SUMS + 16);
    const l0 = i16x8.add_sat_s(i16x8.add(l00, z0), i16x8.add(l01, z1));
    const h0 = i16x8.add_sat_s(i16x8.add(h00, z0), i16x8.add(h01, z1));
    let y0 = f32x4.mul(ws0, v128.load(acts, RECORD_SCALES));
    let y1 = f32x4.mul(ws1, v128.load(acts, RECORD_SCALES + 16));
    p00 = madd(join_low(l0, h0, z0), y0, p00);
    p01 = madd(join_high(l0, h0, z0), y1, p01);
    z0 = v128.load(acts, RECORD_BYTES + RECORD_SUMS);
    z1 = v128.load(acts, RECORD_BYTES + RECORD_SUMS + 16);
    const l1 = i16x8.add_sat_s(i16x8.add(l10, z0), i16x8.add(l11, z1));
    const h1 = i16x8.add_sat_s(i16x8.add(h10, z0), i16x8.add(h11, z1));
    y0 = f32x4.mul(ws0, v128.load(acts, RECORD_BYTES + RECORD_SCALES));
    y1 = f32x4.mul(ws1, v128.load(acts, RECORD_BYTES + RECORD_SCALES + 16));
    p10 = madd(join_low(l1, h1, z0), y0, p10);
    p11 = madd(join_high(l1, h1, z0), y1, p11);
    z0 = v128.load(acts, 2 * RECORD_BYTES + RECORD_SUMS);
    z1 = v128.load(acts, 2 * RECORD_BYTES + RECORD_SUMS + 16);
    const l2 = i16x8.add_sat_s(i16x8.add(l20, z0), i16x8.add(l21, z1));
    const h2 = i16x8.add_sat_s(i16x8.add(h20, z0), i16x8.add(h21, z1));
    y0 = f32x4.mul(ws0, v128.load(acts, 2 * RECORD_BYTES + RECORD_SCALES));
    y1 = f32x4.mul(ws1, v128.load(acts, 2 * RECORD_BYTES + RECORD_SCALES + 16));
    p20 = madd(join_low(l2, h2, z0), y0, p20);
    p21 = madd(join_high(l2, h2, z0), y1, p21);
    z0 = v128.load(acts, 3 * RECORD_BYTES + RECORD_SUMS);
    z1 = v128.load(acts, 3 * RECORD_BYTES + RECORD_SUMS + 16);
    const l3 = i16x8.add_sat_s(i16x8.add(l30, z0), i16x8.add(l31, z1));
    const h3 = i16x8.add_sat_s(i16x8.add(h30, z0), i16x8.add(h31, z1));
    y0 = f32x4.mul(ws0, v128.load(acts, 3 * RECORD_BYTES + RECORD_SCALES));
    y1 = f32x4.mul(ws1, v128.load(acts, 3 * RECORD_BYTES + RECORD_SCALES + 16));
    p30 = madd(join_low(l3, h3, z0), y0, p30);
    p31 = madd(join_high(l3, h3, z0), y1, p31);
    wScales += 16;
    acts += GROUP_TOKENS * RECORD_BYTES;
  }
  const p0 = join_pair(p00, p01, TWO_POW_56, zero), p1 = join_pair(p10, p11, TWO_POW_56, zero);
  const p2 = join_pair(p20, p21, TWO_POW_56, zero), p3 = join_pair(p30, p31, TWO_POW_56, zero);
  store_lanes(out, tokenStep, valid, sum_lanes_4(p0, p1, p2, p3));
}

/** The high nibbles of sixteen bytes. */
@inline
function high_nibbles(w: v128, nibble: v128): v128 {
  return v128.and(i16x8.shr_u(w, 4), nibble);
}

/** 16·high + low + 8·Σa of blocks 0..3, as floats; start is −8·Σa. */
@inline
function join_low(low: v128, high: v128, start: v128): v128 {
  const h = i32x4.shl(i32x4.extend_low_i16x8_s(high), 4);
  const l = i32x4.extend_low_i16x8_s(low);
  return f32x4.convert_i32x4_s(i32x4.sub(i32x4.add(h, l), i32x4.extend_low_i16x8_s(start)));
}

/** The same of blocks 4..7. */
@inline
function join_high(low: v128, high: v128, start: v128): v128 {
  const h = i32x4.shl(i32x4.extend_high_i16x8_s(high), 4);
  const l = i32x4.extend_high_i16x8_s(low);
  return f32x4.convert_i32x4_s(i32x4.sub(i32x4.add(h, l), i32x4.extend_high_i16x8_s(start)));
}
