// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Decoding: out[r] = Σ_i w[r, i] · act[i] for one token and rows of any format F, unpacked in
 * registers. Rows far from each other are read side by side: long streams for the prefetcher, which
 * neighbours are not. How many streams are fastest is the machine's business
 * (src/rank/load/tune.ts): four by themselves, or two that are read ahead of (read_ahead.ts).
 * Per superblock, a 16-bit lane collects half a block; what its sum begins with, and
 * what becomes of it, is in widen.ts. Everything is written as neighbouring pairs of 128-bit
 * operations, which V8 makes 256-bit ones of (--experimental-wasm-revectorize).
 */
import {
  d_of,
  h0_of,
  h1_of,
  h2_of,
  halves_of_both,
  has_levels,
  has_parts,
  lanes_of,
  least_of,
  m_of,
  plane_of,
  scale_of,
  second_halves,
  SHORT,
  upper_main_of,
  upper_plane_of,
} from "./format";
import { GROUP_TOKENS, RECORD_BYTES, RECORD_SCALES } from "./q8_tile";
import { LINE_BYTES, reach_of } from "./read_ahead";
import { add_levels } from "./gemv_levels";
import { add_looked_up, is_looked_up, prepare_looked_up } from "./looked_up";
import { has_nibbles, lower_of, offset_of, quant_table, upper_of } from "./product_sums";
import { join_pair, opaque, store_lanes, sum_lanes_4 } from "./simd";
import { F16_REBIAS, F16_SIGN, F16_SIZE, F16_SMALLEST } from "./weight_bits";
import { superblock_bytes } from "./superblock_form";
import { add_least, add_nibbles, add_parts, begun, start } from "./widen";

/** Behind sums: scratch of looked_up.ts. */
export const LOOKED_UP_AT: usize = 160;

/** Bytes of rows that stay in the L2 cache while a few tokens pass over them, one by one. */
const PANEL_BYTES: u32 = 128 << 10;

/**
 * Rows by a few tokens, one by one: formats whose nibbles are multiplied apart take longer in
 * panels of forms (gemm_q8.ts). `sums` as of gemv().
 */
export function gemv_each<F, S>(
  w: usize,
  rowStride: u32,
  rows: u32,
  superblocks: u32,
  acts: usize,
  sums: usize,
  n: u32,
  out: usize,
  outStride: u32,
): void {
  const groupBytes = superblocks * (GROUP_TOKENS * RECORD_BYTES);
  const panelRows = max(PANEL_BYTES / rowStride, 2);
  for (let r: u32 = 0; r < rows; r += panelRows) {
    const count = min(panelRows, rows - r), at = w + r * rowStride;
    for (let t: u32 = 0; t < n; t++) {
      const x = acts + (t >> 2) * groupBytes + (t & 3) * RECORD_BYTES;
      const to = out + ((t * outStride + r) << 2);
      gemv<F, S>(at, rowStride, count, superblocks, x, GROUP_TOKENS * RECORD_BYTES, to, sums, 2);
    }
  }
}

/**
 * Rows by one token, whose records are xStep bytes apart; `streams` rows side by side, 2 or 4.
 * `sums`: scratch, LOOKED_UP_AT and looked_up_bytes() of it.
 */
export function gemv<F, S>(
  w: usize,
  rowStride: u32,
  rows: u32,
  superblocks: u32,
  acts: usize,
  xStep: u32,
  out: usize,
  sums: usize,
  streams: u32,
): void {
  prepare_looked_up<F, S>(acts, xStep, superblocks, sums + LOOKED_UP_AT);
  let done: u32 = 0;
  if (streams == 4) {
    const quarter = rows >> 2;
    const far = quarter * rowStride;
    for (let r: u32 = 0; r < quarter; r++) {
      const to = out + 4 * r;
      four_rows<F, S>(w + r * rowStride, far, superblocks, acts, xStep, to, 4 * quarter, sums);
    }
    done = quarter << 2;
  }
  const half = (rows - done) >> 1, far = half * rowStride;
  for (let r: u32 = 0; r < half; r++) {
    const at = done + r, to = out + 4 * at, reach = reach_of(rowStride, half - r);
    two_rows<F, S>(w + at * rowStride, far, superblocks, acts, xStep, to, 4 * half, sums, reach);
  }
  if (((rows - done) & 1) != 0) {
    const last = rows - 1, to = out + 4 * last;
    two_rows<F, S>(w + last * rowStride, 0, superblocks, acts, xStep, to, 0, sums, 0);
  }
}

/** Two rows, rowStep bytes apart, by one token; results outStep bytes apart; read `reach` ahead. */
function two_rows<F, S>(
  w: usize,
  rowStep: u32,
  superblocks: u32,
  acts: usize,
  xStep: u32,
  out: usize,
  outStep: u32,
  sums: usize,
  reach: u32,
): void {
  memory.fill(sums, 0, 64);
  add_rows<F, S>(w, rowStep, superblocks, acts, xStep, sums, 1, reach);
  const p = sum_of(sums, superblocks), q = sum_of(sums + 32, superblocks);
  store_lanes(out, outStep, 2, sum_lanes_4(p, q, p, q));
}

/** The same of four rows. */
function four_rows<F, S>(
  w: usize,
  rowStep: u32,
  superblocks: u32,
  acts: usize,
  xStep: u32,
  out: usize,
  outStep: u32,
  sums: usize,
): void {
  memory.fill(sums, 0, 128);
  add_rows<F, S>(w, rowStep, superblocks, acts, xStep, sums, 2, 0);
  const p = sum_of(sums, superblocks), q = sum_of(sums + 32, superblocks);
  const r = sum_of(sums + 64, superblocks), t = sum_of(sums + 96, superblocks);
  store_lanes(out, outStep, 4, sum_lanes_4(p, q, r, t));
}

/**
 * sums[2 · pairs, 8] += rows by token; two pairs take turns, superblock by superblock. One pair is
 * read `reach` bytes ahead of.
 */
@inline
function add_rows<F, S>(
  w: usize,
  rowStep: u32,
  superblocks: u32,
  acts: usize,
  xStep: u32,
  sums: usize,
  pairs: u32,
  reach: u32,
): void {
  if (is_looked_up<F>()) {
    const scratch = sums + LOOKED_UP_AT, u = w + rowStep;
    const seen = add_looked_up<F, S>(w, u, superblocks, acts, xStep, sums, scratch, reach);
    if (pairs == 1) store<u32>(sums + 128, seen);
    else {
      const y = u + rowStep, z = y + rowStep;
      add_looked_up<F, S>(y, z, superblocks, acts, xStep, sums + 64, scratch, 0);
    }
    return;
  }
  if (has_levels<F>()) {
    const at = sums + LOOKED_UP_AT;
    const seen = add_levels<F, S>(w, rowStep, superblocks, acts, xStep, sums, pairs, at, reach);
    if (pairs == 1) store<u32>(sums + 128, seen);
    return;
  }
  const f = changetype<F>(0);
  const zero = i32x4.splat(opaque(0, superblocks));
  const k0 = f.k0(zero), k1 = quant_table<F, S>(zero);
  const h0 = h0_of<F>(zero), h1 = h1_of<F>(zero), h2 = h2_of<F>(zero);
  const offset = i16x8.splat(<i16>opaque(offset_of<F, S>(), superblocks));
  const ones = i16x8.splat(<i16>opaque(1, superblocks));
  const sixteens = sixteens_of<F>(ones, superblocks);
  const size = i32x4.splat(opaque(F16_SIZE, superblocks));
  const rebias = i32x4.splat(opaque(F16_REBIAS, superblocks));
  const smallest = i32x4.splat(opaque(F16_SMALLEST, superblocks));
  const sign = i32x4.splat(opaque(F16_SIGN, superblocks));
  const pairStep = 2 * rowStep;
  let ahead = w + reach, due = ahead;
  let seen: u32 = 0;
  for (let s: u32 = 0; s < superblocks; s++) {
    if (pairs == 1) {
      for (due += superblock_bytes<F>(); ahead < due; ahead += LINE_BYTES) {
        seen |= load<u32>(ahead) | load<u32>(ahead + rowStep);
      }
    }
    add_superblocks<F, S>(
      w, w + rowStep, acts, sums,
      k0, k1, h0, h1, h2, offset, ones, sixteens, size, rebias, smallest, sign,
    );
    if (pairs == 2) {
      add_superblocks<F, S>(
        w + pairStep, w + pairStep + rowStep, acts, sums + 64,
        k0, k1, h0, h1, h2, offset, ones, sixteens, size, rebias, smallest, sign,
      );
    }
    w += superblock_bytes<F>();
    acts += xStep;
  }
  if (pairs == 1) store<u32>(sums + 128, seen);
}

/** What the upper nibbles of a wide format count, or the second parts of quants. */
@inline
export function sixteens_of<F>(ones: v128, count: u32): v128 {
  const f = changetype<F>(0);
  return has_parts<F>() ? i16x8.splat(<i16>opaque(f.highPart, count)) : i16x8.shl(ones, 4);
}

/** The eight lanes of a row as four. */
@inline
export function sum_of(sums: usize, superblocks: u32): v128 {
  const zero = i32x4.splat(opaque(0, superblocks));
  return join_pair(v128.load(sums), v128.load(sums, 16), 1, zero);
}

/** sums[2, 8] += a superblock of the rows at w and u by a record at acts. */
@inline
export function add_superblocks<F, S>(
  w: usize,
  u: usize,
  acts: usize,
  sums: usize,
  k0: v128,
  k1: v128,
  h0: v128,
  h1: v128,
  h2: v128,
  offset: v128,
  ones: v128,
  sixteens: v128,
  size: v128,
  rebias: v128,
  smallest: v128,
  sign: v128,
): void {
  const f = changetype<F>(0), by = changetype<S>(0);
  const wf = w + f.quantBytes - SHORT, uf = u + f.quantBytes - SHORT;
  let p0 = v128.load(sums), p1 = v128.load(sums, 16);
  let q0 = v128.load(sums, 32), q1 = v128.load(sums, 48);
  let a0 = i16x8.splat(0), a1 = a0, b0 = a0, b1 = a0;
  let ah0 = a0, ah1 = a0, bh0 = a0, bh1 = a0;
  let y0 = plane_of<F>(w, 0), y1 = plane_of<F>(w, 1);
  let v0 = plane_of<F>(u, 0), v1 = plane_of<F>(u, 1);
  let Y0 = upper_plane_of<F>(w, 0, y0), Y1 = upper_plane_of<F>(w, 1, y1);
  let V0 = upper_plane_of<F>(u, 0, v0), V1 = upper_plane_of<F>(u, 1, v1);
  let m0 = v128.load(w), m1 = v128.load(w, 16), n0 = v128.load(u), n1 = v128.load(u, 16);
  let M0 = upper_main_of<F>(w, 0, m0), M1 = upper_main_of<F>(w, 1, m1);
  let N0 = upper_main_of<F>(u, 0, n0), N1 = upper_main_of<F>(u, 1, n1);
  const next = acts + 128;
  for (; acts != next; acts += 32) {
    const x0 = v128.load(acts), x1 = v128.load(acts, 16);
    const X0 = v128.load(acts, 128), X1 = v128.load(acts, 144);
    if (!isDefined(f.mainStep)) {
      m0 = v128.load(w), m1 = v128.load(w, 16), n0 = v128.load(u), n1 = v128.load(u, 16);
      M0 = upper_main_of<F>(w, 0, m0), M1 = upper_main_of<F>(w, 1, m1);
      N0 = upper_main_of<F>(u, 0, n0), N1 = upper_main_of<F>(u, 1, n1);
      w += 32;
      u += 32;
    }
    a0 = by.add(a0, x0, lower_of<F, S>(m0, y0, k0, k1), ones);
    a1 = by.add(a1, x1, lower_of<F, S>(m1, y1, k0, k1), ones);
    b0 = by.add(b0, x0, lower_of<F, S>(n0, v0, k0, k1), ones);
    b1 = by.add(b1, x1, lower_of<F, S>(n1, v1, k0, k1), ones);
    if (isDefined(f.quarters)) {
      ah0 = by.add(ah0, X0, upper_of<F, S>(M0, Y0, k0, k1), ones);
      ah1 = by.add(ah1, X1, upper_of<F, S>(M1, Y1, k0, k1), ones);
      bh0 = by.add(bh0, X0, upper_of<F, S>(N0, V0, k0, k1), ones);
      bh1 = by.add(bh1, X1, upper_of<F, S>(N1, V1, k0, k1), ones);
    } else {
      a0 = by.add(a0, X0, upper_of<F, S>(M0, Y0, k0, k1), ones);
      a1 = by.add(a1, X1, upper_of<F, S>(M1, Y1, k0, k1), ones);
      b0 = by.add(b0, X0, upper_of<F, S>(N0, V0, k0, k1), ones);
      b1 = by.add(b1, X1, upper_of<F, S>(N1, V1, k0, k1), ones);
    }
    if (has_nibbles<F, S>() || has_parts<F>()) {
      ah0 = by.add(ah0, x0, f.lower_high(m0, y0, k0, k1), ones);
      ah1 = by.add(ah1, x1, f.lower_high(m1, y1, k0, k1), ones);
      bh0 = by.add(bh0, x0, f.lower_high(n0, v0, k0, k1), ones);
      bh1 = by.add(bh1, x1, f.lower_high(n1, v1, k0, k1), ones);
      ah0 = by.add(ah0, X0, f.upper_high(M0, Y0, k0, k1), ones);
      ah1 = by.add(ah1, X1, f.upper_high(M1, Y1, k0, k1), ones);
      bh0 = by.add(bh0, X0, f.upper_high(N0, V0, k0, k1), ones);
      bh1 = by.add(bh1, X1, f.upper_high(N1, V1, k0, k1), ones);
    }
    if (isDefined(f.mainStep)) {
      m0 = i16x8.shr_u(m0, f.mainStep), m1 = i16x8.shr_u(m1, f.mainStep);
      n0 = i16x8.shr_u(n0, f.mainStep), n1 = i16x8.shr_u(n1, f.mainStep);
      M0 = i16x8.shr_u(M0, f.mainStep), M1 = i16x8.shr_u(M1, f.mainStep);
      N0 = i16x8.shr_u(N0, f.mainStep), N1 = i16x8.shr_u(N1, f.mainStep);
    }
    if (isDefined(f.planeStep)) {
      y0 = i16x8.shr_u(y0, f.planeStep), y1 = i16x8.shr_u(y1, f.planeStep);
      v0 = i16x8.shr_u(v0, f.planeStep), v1 = i16x8.shr_u(v1, f.planeStep);
      if (isDefined(f.planeUpperAt)) {
        Y0 = i16x8.shr_u(Y0, f.planeStep), Y1 = i16x8.shr_u(Y1, f.planeStep);
        V0 = i16x8.shr_u(V0, f.planeStep), V1 = i16x8.shr_u(V1, f.planeStep);
      } else {
        Y0 = y0, Y1 = y1, V0 = v0, V1 = v1;
      }
    }
  }
  acts -= 128;
  if (!isDefined(f.mainStep)) {
    w -= 128;
    u -= 128;
  }
  let z0 = offset, z1 = offset;
  if (!has_parts<F>()) z0 = start<F, S>(acts, 0, 0, offset), z1 = start<F, S>(acts, 1, 0, offset);
  const t0 = v128.load(acts, RECORD_SCALES), t1 = v128.load(acts, RECORD_SCALES + 16);
  const wl = lanes_of<F>(wf, h0, h1, h2), ul = lanes_of<F>(uf, h0, h1, h2);
  const wh = halves_of_both<F>(wf, uf, size, rebias, smallest, sign);
  const uh = second_halves<F>(wh);
  const ws = scale_of<F>(wh), us = scale_of<F>(uh);
  const D0 = d_of<F>(wf, 0, wl, ws, h0, h1), D1 = d_of<F>(wf, 1, wl, ws, h0, h1);
  const E0 = d_of<F>(uf, 0, ul, us, h0, h1), E1 = d_of<F>(uf, 1, ul, us, h0, h1);
  const d0 = f32x4.mul(D0, t0), d1 = f32x4.mul(D1, t1);
  const e0 = f32x4.mul(E0, t0), e1 = f32x4.mul(E1, t1);
  let l0 = ones, l1 = ones, g0 = ones, g1 = ones;
  if (isDefined(f.l)) {
    l0 = f.l(wf, 0, wl, h0), l1 = f.l(wf, 1, wl, h0);
    g0 = f.l(uf, 0, ul, h0), g1 = f.l(uf, 1, ul, h0);
  }
  if (has_parts<F>()) {
    p0 = add_parts<F>(p0, acts, 0, a0, ah0, l0, sixteens, offset, d0);
    p1 = add_parts<F>(p1, acts, 1, a1, ah1, l1, sixteens, offset, d1);
    q0 = add_parts<F>(q0, acts, 0, b0, bh0, g0, sixteens, offset, e0);
    q1 = add_parts<F>(q1, acts, 1, b1, bh1, g1, sixteens, offset, e1);
  } else if (has_nibbles<F, S>()) {
    const Z0 = start<F, S>(acts, 0, 1, offset), Z1 = start<F, S>(acts, 1, 1, offset);
    p0 = add_nibbles(p0, begun<F, S>(a0, z0), begun<F, S>(ah0, Z0), ones, sixteens, d0);
    p1 = add_nibbles(p1, begun<F, S>(a1, z1), begun<F, S>(ah1, Z1), ones, sixteens, d1);
    q0 = add_nibbles(q0, begun<F, S>(b0, z0), begun<F, S>(bh0, Z0), ones, sixteens, e0);
    q1 = add_nibbles(q1, begun<F, S>(b1, z1), begun<F, S>(bh1, Z1), ones, sixteens, e1);
  } else {
    p0 = by.add_blocks(p0, begun<F, S>(a0, z0), l0, d0);
    p1 = by.add_blocks(p1, begun<F, S>(a1, z1), l1, d1);
    q0 = by.add_blocks(q0, begun<F, S>(b0, z0), g0, e0);
    q1 = by.add_blocks(q1, begun<F, S>(b1, z1), g1, e1);
  }
  if (isDefined(f.quarters)) {
    const Z0 = start<F, S>(acts, 0, 1, offset), Z1 = start<F, S>(acts, 1, 1, offset);
    p0 = by.add_blocks(p0, begun<F, S>(ah0, Z0), l0, d0);
    p1 = by.add_blocks(p1, begun<F, S>(ah1, Z1), l1, d1);
    q0 = by.add_blocks(q0, begun<F, S>(bh0, Z0), g0, e0);
    q1 = by.add_blocks(q1, begun<F, S>(bh1, Z1), g1, e1);
  }
  if (isDefined(f.c)) {
    const wm = least_of<F>(wh), um = least_of<F>(uh);
    const c0 = f.c(wf, 0, wl, wm, h0, h1, D0), c1 = f.c(wf, 1, wl, wm, h0, h1, D1);
    const e0 = f.c(uf, 0, ul, um, h0, h1, E0), e1 = f.c(uf, 1, ul, um, h0, h1, E1);
    p0 = add_least<F>(p0, acts, 0, c0, m_of<F>(wf, 0), t0);
    p1 = add_least<F>(p1, acts, 1, c1, m_of<F>(wf, 1), t1);
    q0 = add_least<F>(q0, acts, 0, e0, m_of<F>(uf, 0), t0);
    q1 = add_least<F>(q1, acts, 1, e1, m_of<F>(uf, 1), t1);
  }
  v128.store(sums, p0);
  v128.store(sums, p1, 16);
  v128.store(sums, q0, 32);
  v128.store(sums, q1, 48);
}
