// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * A few tokens: out[t, r] = Σ_i w[r, i] · act[t, i] of rows of any format F whose nibbles are not
 * multiplied apart. Rows are unpacked in registers, once for four tokens or two: up to so many
 * (matmul_q8.ts) that takes less time than to write a panel of forms first (gemm_q8.ts). Sums are
 * those of gemv_q8.ts and gemm_q8.ts, bit for bit: widen.ts. Four rows far from each other are read
 * in turns, a superblock of each for all tokens, and ahead of (read_ahead.ts): one row at a time
 * for four tokens waits for memory at each of its pages (NOTES.md).
 */
import {
  d_of, h0_of, h1_of, h2_of, halves_of_both, lanes_of, least_of, m_of, plane_of, scale_of,
  second_halves, SHORT, upper_at, upper_main_of, upper_plane_of,
} from "./format";
import { lower_of, offset_of, quant_table, upper_of } from "./product_sums";
import { GROUP_TOKENS, RECORD_BYTES, RECORD_SCALES } from "./q8_tile";
import { LINE_BYTES, reach_of } from "./read_ahead";
import { join_pair, opaque, store_lanes, sum_lanes_4 } from "./simd";
import { F16_REBIAS, F16_SIGN, F16_SIZE, F16_SMALLEST } from "./weight_bits";
import { superblock_bytes } from "./superblock_form";
import { add_least, begun, start } from "./widen";

/** Bytes of the sums of two rows by four tokens: f32 [4, 2, 8]. */
const SUMS_BYTES: usize = 256;

/** What is computed of a group of tokens: four, or the first two, where there are no more. */
@unmanaged
class Four {}
@unmanaged
class Two {
  @inline get isTwo(): bool { return true; }
}

@inline
function is_two<T>(): bool {
  return isDefined(changetype<T>(0).isTwo);
}

/** Rows by tokens, summed by S; `sums`: scratch, 2 SUMS_BYTES for each four tokens, and a word. */
export function gemm_few<F, S>(
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
  if (n <= 2) by_rows<F, S, Two>(w, rowStride, rows, superblocks, acts, sums, n, out, outStride);
  else by_rows<F, S, Four>(w, rowStride, rows, superblocks, acts, sums, n, out, outStride);
}

function by_rows<F, S, T>(
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
  const quarter = rows >> 2;
  for (let r: u32 = 0; r < quarter; r++) {
    const to = out + 4 * r, at = w + r * rowStride, reach = reach_of(rowStride, quarter - r);
    by_all<F, S, T>(at, quarter, rowStride, superblocks, acts, sums, n, to, outStride, reach);
  }
  for (let r = quarter << 2; r < rows; r++) { // computed four times
    const to = out + 4 * r;
    by_all<F, S, T>(w + r * rowStride, 0, 0, superblocks, acts, sums, n, to, outStride, 0);
  }
}

/** Four rows by all tokens: the one at w, and three more, each `far` rows behind the one before. */
@inline
function by_all<F, S, T>(
  w: usize,
  far: u32,
  rowStride: u32,
  superblocks: u32,
  acts: usize,
  sums: usize,
  n: u32,
  out: usize,
  outStride: u32,
  reach: u32,
): void {
  memory.fill(sums, 0, 2 * SUMS_BYTES * ((n + GROUP_TOKENS - 1) / GROUP_TOKENS));
  add_rows<F, S, T>(w, far * rowStride, superblocks, acts, n, sums, reach);
  const step = far << 2;
  for (let t: u32 = 0; t < n; t += GROUP_TOKENS, sums += 2 * SUMS_BYTES) {
    const to = out + ((t * outStride) << 2);
    store_sums(sums, superblocks, to, step, outStride << 2, n - t);
    store_sums(sums + SUMS_BYTES, superblocks, to + 2 * step, step, outStride << 2, n - t);
  }
}

/** Four tokens' sums of two rows, of which `valid` tokens are stored. */
function store_sums(
  sums: usize,
  superblocks: u32,
  out: usize,
  rowStep: u32,
  tokenStep: u32,
  valid: u32,
): void {
  const zero = i32x4.splat(opaque(0, superblocks));
  const p0 = sum_of(sums, zero), p1 = sum_of(sums + 64, zero);
  const p2 = sum_of(sums + 128, zero), p3 = sum_of(sums + 192, zero);
  const q0 = sum_of(sums + 32, zero), q1 = sum_of(sums + 96, zero);
  const q2 = sum_of(sums + 160, zero), q3 = sum_of(sums + 224, zero);
  store_lanes(out + rowStep, tokenStep, valid, sum_lanes_4(q0, q1, q2, q3));
  store_lanes(out, tokenStep, valid, sum_lanes_4(p0, p1, p2, p3));
}

/** The eight lanes of a row and token as four. */
@inline
function sum_of(sums: usize, zero: v128): v128 {
  return join_pair(v128.load(sums), v128.load(sums, 16), 1, zero);
}

/**
 * sums [n / 4, 2, 4, 2, 8] += four rows, rowStep bytes apart, by n tokens, four at a time, read
 * `reach` bytes ahead of.
 */
function add_rows<F, S, T>(
  w: usize,
  rowStep: u32,
  superblocks: u32,
  acts: usize,
  n: u32,
  sums: usize,
  reach: u32,
): void {
  const f = changetype<F>(0);
  const zero = i32x4.splat(opaque(0, superblocks));
  const k0 = f.k0(zero), k1 = quant_table<F, S>(zero);
  const h0 = h0_of<F>(zero), h1 = h1_of<F>(zero), h2 = h2_of<F>(zero);
  const offset = i16x8.splat(<i16>opaque(offset_of<F, S>(), superblocks));
  const ones = i16x8.splat(<i16>opaque(1, superblocks));
  const size = i32x4.splat(opaque(F16_SIZE, superblocks));
  const rebias = i32x4.splat(opaque(F16_REBIAS, superblocks));
  const smallest = i32x4.splat(opaque(F16_SMALLEST, superblocks));
  const sign = i32x4.splat(opaque(F16_SIGN, superblocks));
  const groupBytes = superblocks * (GROUP_TOKENS * RECORD_BYTES);
  const step2 = 2 * rowStep, step3 = 3 * rowStep;
  let ahead = w + reach, due = ahead;
  let seen: u32 = 0;
  for (let s: u32 = 0; s < superblocks; s++) {
    for (due += superblock_bytes<F>(); ahead < due; ahead += LINE_BYTES) {
      seen |= load<u32>(ahead) | load<u32>(ahead + rowStep);
      seen |= load<u32>(ahead + step2) | load<u32>(ahead + step3);
    }
    let x = acts, to = sums;
    for (let t: u32 = 0; t < n; t += GROUP_TOKENS, x += groupBytes, to += 2 * SUMS_BYTES) {
      add_superblocks<F, S, T>(
        w, w + rowStep, x, to, k0, k1, h0, h1, h2, offset, ones, size, rebias, smallest, sign,
      );
    }
    x = acts, to = sums + SUMS_BYTES;
    for (let t: u32 = 0; t < n; t += GROUP_TOKENS, x += groupBytes, to += 2 * SUMS_BYTES) {
      add_superblocks<F, S, T>(
        w + step2, w + step3, x, to, k0, k1, h0, h1, h2, offset, ones, size, rebias, smallest, sign,
      );
    }
    w += superblock_bytes<F>();
    acts += GROUP_TOKENS * RECORD_BYTES;
  }
  store<u32>(sums + 2 * SUMS_BYTES * ((n + GROUP_TOKENS - 1) / GROUP_TOKENS), seen);
}

/** sums += a superblock of the rows at w and u by four records at acts. */
@inline
function add_superblocks<F, S, T>(
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
  size: v128,
  rebias: v128,
  smallest: v128,
  sign: v128,
): void {
  const f = changetype<F>(0), sum = changetype<S>(0);
  const wf = w + f.quantBytes - SHORT, uf = u + f.quantBytes - SHORT;
  let y0 = plane_of<F>(w, 0), y1 = plane_of<F>(w, 1);
  let v0 = plane_of<F>(u, 0), v1 = plane_of<F>(u, 1);
  let Y0 = upper_plane_of<F>(w, 0, y0), Y1 = upper_plane_of<F>(w, 1, y1);
  let V0 = upper_plane_of<F>(u, 0, v0), V1 = upper_plane_of<F>(u, 1, v1);
  let m0 = v128.load(w), m1 = v128.load(w, 16), n0 = v128.load(u), n1 = v128.load(u, 16);
  let M0 = upper_main_of<F>(w, 0, m0), M1 = upper_main_of<F>(w, 1, m1);
  let N0 = upper_main_of<F>(u, 0, n0), N1 = upper_main_of<F>(u, 1, n1);
  let a00 = i32x4.splat(0), a01 = a00, a10 = a00, a11 = a00, a20 = a00, a21 = a00, a30 = a00;
  let a31 = a00, b00 = a00, b01 = a00, b10 = a00, b11 = a00, b20 = a00, b21 = a00, b30 = a00;
  let b31 = a00;
  let x = acts;
  for (let g: u32 = 0; g < 4; g++, x += 32) {
    if (!isDefined(f.mainStep)) {
      m0 = v128.load(w + 32 * g), m1 = v128.load(w + 32 * g, 16);
      n0 = v128.load(u + 32 * g), n1 = v128.load(u + 32 * g, 16);
    }
    const p0 = lower_of<F, S>(m0, y0, k0, k1), p1 = lower_of<F, S>(m1, y1, k0, k1);
    const q0 = lower_of<F, S>(n0, v0, k0, k1), q1 = lower_of<F, S>(n1, v1, k0, k1);
    let x0 = v128.load(x), x1 = v128.load(x, 16);
    a00 = sum.add(a00, x0, p0, ones);
    a01 = sum.add(a01, x1, p1, ones);
    b00 = sum.add(b00, x0, q0, ones);
    b01 = sum.add(b01, x1, q1, ones);
    x0 = v128.load(x, RECORD_BYTES), x1 = v128.load(x, RECORD_BYTES + 16);
    a10 = sum.add(a10, x0, p0, ones);
    a11 = sum.add(a11, x1, p1, ones);
    b10 = sum.add(b10, x0, q0, ones);
    b11 = sum.add(b11, x1, q1, ones);
    if (!is_two<T>()) {
      x0 = v128.load(x, 2 * RECORD_BYTES), x1 = v128.load(x, 2 * RECORD_BYTES + 16);
      a20 = sum.add(a20, x0, p0, ones);
      a21 = sum.add(a21, x1, p1, ones);
      b20 = sum.add(b20, x0, q0, ones);
      b21 = sum.add(b21, x1, q1, ones);
      x0 = v128.load(x, 3 * RECORD_BYTES), x1 = v128.load(x, 3 * RECORD_BYTES + 16);
      a30 = sum.add(a30, x0, p0, ones);
      a31 = sum.add(a31, x1, p1, ones);
      b30 = sum.add(b30, x0, q0, ones);
      b31 = sum.add(b31, x1, q1, ones);
    }
    if (isDefined(f.mainStep)) {
      m0 = i16x8.shr_u(m0, f.mainStep), m1 = i16x8.shr_u(m1, f.mainStep);
      n0 = i16x8.shr_u(n0, f.mainStep), n1 = i16x8.shr_u(n1, f.mainStep);
    }
    if (isDefined(f.planeStep)) {
      y0 = i16x8.shr_u(y0, f.planeStep), y1 = i16x8.shr_u(y1, f.planeStep);
      v0 = i16x8.shr_u(v0, f.planeStep), v1 = i16x8.shr_u(v1, f.planeStep);
    }
  }
  const wl = lanes_of<F>(wf, h0, h1, h2), ul = lanes_of<F>(uf, h0, h1, h2);
  const wh = halves_of_both<F>(wf, uf, size, rebias, smallest, sign);
  const uh = second_halves<F>(wh);
  const ws = scale_of<F>(wh), us = scale_of<F>(uh);
  const d0 = d_of<F>(wf, 0, wl, ws, h0, h1), d1 = d_of<F>(wf, 1, wl, ws, h0, h1);
  const e0 = d_of<F>(uf, 0, ul, us, h0, h1), e1 = d_of<F>(uf, 1, ul, us, h0, h1);
  let l0 = ones, l1 = ones, g0 = ones, g1 = ones;
  if (isDefined(f.l)) {
    l0 = f.l(wf, 0, wl, h0), l1 = f.l(wf, 1, wl, h0);
    g0 = f.l(uf, 0, ul, h0), g1 = f.l(uf, 1, ul, h0);
  }
  if (isDefined(f.quarters)) {
    add_token<F, S>(
      acts, sums, 0, offset, a00, a01, b00, b01,
      l0, l1, g0, g1, d0, d1, e0, e1,
    );
    add_token<F, S>(
      acts + RECORD_BYTES, sums + 64, 0, offset, a10, a11, b10, b11,
      l0, l1, g0, g1, d0, d1, e0, e1,
    );
    if (!is_two<T>()) {
      add_token<F, S>(
        acts + 2 * RECORD_BYTES, sums + 128, 0, offset, a20, a21, b20, b21,
        l0, l1, g0, g1, d0, d1, e0, e1,
      );
      add_token<F, S>(
        acts + 3 * RECORD_BYTES, sums + 192, 0, offset, a30, a31, b30, b31,
        l0, l1, g0, g1, d0, d1, e0, e1,
      );
    }
    a00 = i32x4.splat(0), a01 = a00, a10 = a00, a11 = a00, a20 = a00, a21 = a00, a30 = a00;
    a31 = a00, b00 = a00, b01 = a00, b10 = a00, b11 = a00, b20 = a00, b21 = a00, b30 = a00;
    b31 = a00;
  }
  x = acts;
  for (let g: u32 = 0; g < 4; g++, x += 32) {
    if (!isDefined(f.mainStep)) {
      const v = w + upper_at<F>() + 32 * g, t = u + upper_at<F>() + 32 * g;
      M0 = v128.load(v), M1 = v128.load(v, 16), N0 = v128.load(t), N1 = v128.load(t, 16);
    }
    const p0 = upper_of<F, S>(M0, Y0, k0, k1), p1 = upper_of<F, S>(M1, Y1, k0, k1);
    const q0 = upper_of<F, S>(N0, V0, k0, k1), q1 = upper_of<F, S>(N1, V1, k0, k1);
    let x0 = v128.load(x, 128), x1 = v128.load(x, 144);
    a00 = sum.add(a00, x0, p0, ones);
    a01 = sum.add(a01, x1, p1, ones);
    b00 = sum.add(b00, x0, q0, ones);
    b01 = sum.add(b01, x1, q1, ones);
    x0 = v128.load(x, RECORD_BYTES + 128), x1 = v128.load(x, RECORD_BYTES + 144);
    a10 = sum.add(a10, x0, p0, ones);
    a11 = sum.add(a11, x1, p1, ones);
    b10 = sum.add(b10, x0, q0, ones);
    b11 = sum.add(b11, x1, q1, ones);
    if (!is_two<T>()) {
      x0 = v128.load(x, 2 * RECORD_BYTES + 128), x1 = v128.load(x, 2 * RECORD_BYTES + 144);
      a20 = sum.add(a20, x0, p0, ones);
      a21 = sum.add(a21, x1, p1, ones);
      b20 = sum.add(b20, x0, q0, ones);
      b21 = sum.add(b21, x1, q1, ones);
      x0 = v128.load(x, 3 * RECORD_BYTES + 128), x1 = v128.load(x, 3 * RECORD_BYTES + 144);
      a30 = sum.add(a30, x0, p0, ones);
      a31 = sum.add(a31, x1, p1, ones);
      b30 = sum.add(b30, x0, q0, ones);
      b31 = sum.add(b31, x1, q1, ones);
    }
    if (isDefined(f.mainStep)) {
      M0 = i16x8.shr_u(M0, f.mainStep), M1 = i16x8.shr_u(M1, f.mainStep);
      N0 = i16x8.shr_u(N0, f.mainStep), N1 = i16x8.shr_u(N1, f.mainStep);
    }
    if (isDefined(f.planeStep)) {
      Y0 = i16x8.shr_u(Y0, f.planeStep), Y1 = i16x8.shr_u(Y1, f.planeStep);
      V0 = i16x8.shr_u(V0, f.planeStep), V1 = i16x8.shr_u(V1, f.planeStep);
    }
  }
  const pass: u32 = isDefined(f.quarters) ? 1 : 0;
  add_token<F, S>(
    acts, sums, pass, offset, a00, a01, b00, b01,
    l0, l1, g0, g1, d0, d1, e0, e1,
  );
  add_token<F, S>(
    acts + RECORD_BYTES, sums + 64, pass, offset, a10, a11, b10, b11,
    l0, l1, g0, g1, d0, d1, e0, e1,
  );
  if (!is_two<T>()) {
    add_token<F, S>(
      acts + 2 * RECORD_BYTES, sums + 128, pass, offset, a20, a21, b20, b21,
      l0, l1, g0, g1, d0, d1, e0, e1,
    );
    add_token<F, S>(
      acts + 3 * RECORD_BYTES, sums + 192, pass, offset, a30, a31, b30, b31,
      l0, l1, g0, g1, d0, d1, e0, e1,
    );
  }
  if (isDefined(f.c)) {
    const wm = least_of<F>(wh), um = least_of<F>(uh);
    const c0 = f.c(wf, 0, wl, wm, h0, h1, d0), c1 = f.c(wf, 1, wl, wm, h0, h1, d1);
    const o0 = f.c(uf, 0, ul, um, h0, h1, e0), o1 = f.c(uf, 1, ul, um, h0, h1, e1);
    const i0 = m_of<F>(wf, 0), i1 = m_of<F>(wf, 1), j0 = m_of<F>(uf, 0), j1 = m_of<F>(uf, 1);
    const tokens: u32 = is_two<T>() ? 2 : GROUP_TOKENS;
    for (let t: u32 = 0; t < tokens; t++, acts += RECORD_BYTES, sums += 64) {
      const t0 = v128.load(acts, RECORD_SCALES), t1 = v128.load(acts, RECORD_SCALES + 16);
      const p0 = add_least<F>(v128.load(sums), acts, 0, c0, i0, t0);
      const p1 = add_least<F>(v128.load(sums, 16), acts, 1, c1, i1, t1);
      const q0 = add_least<F>(v128.load(sums, 32), acts, 0, o0, j0, t0);
      const q1 = add_least<F>(v128.load(sums, 48), acts, 1, o1, j1, t1);
      v128.store(sums, p0);
      v128.store(sums, p1, 16);
      v128.store(sums, q0, 32);
      v128.store(sums, q1, 48);
    }
  }
}

/** sums[2, 8] += what the integer sums of one token are worth, whose record is at x. */
@inline
function add_token<F, S>(
  x: usize,
  sums: usize,
  pass: u32,
  offset: v128,
  a0: v128,
  a1: v128,
  b0: v128,
  b1: v128,
  l0: v128,
  l1: v128,
  g0: v128,
  g1: v128,
  d0: v128,
  d1: v128,
  e0: v128,
  e1: v128,
): void {
  const sum = changetype<S>(0);
  const t0 = v128.load(x, RECORD_SCALES), t1 = v128.load(x, RECORD_SCALES + 16);
  const z0 = start<F, S>(x, 0, pass, offset), z1 = start<F, S>(x, 1, pass, offset);
  const p0 = sum.add_blocks(v128.load(sums), begun<F, S>(a0, z0), l0, f32x4.mul(d0, t0));
  const p1 = sum.add_blocks(v128.load(sums, 16), begun<F, S>(a1, z1), l1, f32x4.mul(d1, t1));
  const q0 = sum.add_blocks(v128.load(sums, 32), begun<F, S>(b0, z0), g0, f32x4.mul(e0, t0));
  const q1 = sum.add_blocks(v128.load(sums, 48), begun<F, S>(b1, z1), g1, f32x4.mul(e1, t1));
  v128.store(sums, p0);
  v128.store(sums, p1, 16);
  v128.store(sums, q0, 32);
  v128.store(sums, q1, 48);
}
