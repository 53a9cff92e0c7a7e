// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Decoding: out[r] = Σ_i w[r, i] · act[i] for one token and rows of any format F, unpacked in
 * registers. Per superblock, a 16-bit lane collects half a block; what its sum begins with, and
 * what becomes of it, is in widen.ts. Everything is written as neighbouring pairs of 128-bit
 * operations, which V8 makes 256-bit ones of (--experimental-wasm-revectorize).
 */
import { d_of, k1_of, k2_of, lanes_of, least_of, m_of, scale_of } from "./format";
import { RECORD_BYTES, RECORD_SCALES } from "./q8_tile";
import { dot_i8, F16_MASK, join_pair, opaque, store_lanes, sum_lanes_4 } from "./simd";
import { add_blocks, add_least, start } from "./widen";

/** Rows by one token. */
export function gemv<F>(
  w: usize,
  rowStride: u32,
  rows: u32,
  superblocks: u32,
  acts: usize,
  out: usize,
): void {
  // Two far rows at a time are two long streams for the prefetcher; neighbours are none.
  const half = rows >> 1;
  for (let r: u32 = 0; r < half; r++) {
    two_rows<F>(w + r * rowStride, half * rowStride, superblocks, acts, out + 4 * r, 4 * half);
  }
  if ((rows & 1) != 0) {
    const last = rows - 1;
    two_rows<F>(w + last * rowStride, 0, superblocks, acts, out + 4 * last, 0);
  }
}

/** Two rows, rowStep bytes apart, by one token; results outStep bytes apart. */
function two_rows<F>(
  w: usize,
  rowStep: u32,
  superblocks: u32,
  acts: usize,
  out: usize,
  outStep: u32,
): void {
  const f = changetype<F>(0);
  const zero = i32x4.splat(opaque(0, superblocks));
  const k0 = f.k0(zero), k1 = k1_of<F>(zero), k2 = k2_of<F>(zero);
  const f16Mask = i32x4.splat(opaque(F16_MASK, superblocks));
  const offset = i16x8.splat(<i16>opaque(f.offset, superblocks));
  const ones = i16x8.splat(<i16>opaque(1, superblocks));
  const sixteens = i16x8.shl(ones, 4);
  let u = w + rowStep;
  let wf = w + superblocks * f.quantBytes - 16;
  let uf = wf + rowStep;
  let p0 = f32x4.splat(0), p1 = p0, q0 = p0, q1 = p0;
  for (let s = superblocks; s != 0; s--) {
    let a0 = start<F>(acts, 0, 0, offset), a1 = start<F>(acts, 1, 0, offset), b0 = a0, b1 = a1;
    let ah0 = start<F>(acts, 0, 1, offset), ah1 = start<F>(acts, 1, 1, offset);
    let bh0 = ah0, bh1 = ah1;
    if (isDefined(f.quarters)) {
      a0 = more<F>(a0, acts, w, 0, k0, k1, k2);
      a1 = more<F>(a1, acts, w, 1, k0, k1, k2);
      b0 = more<F>(b0, acts, u, 0, k0, k1, k2);
      b1 = more<F>(b1, acts, u, 1, k0, k1, k2);
      a0 = more<F>(a0, acts, w, 2, k0, k1, k2);
      a1 = more<F>(a1, acts, w, 3, k0, k1, k2);
      b0 = more<F>(b0, acts, u, 2, k0, k1, k2);
      b1 = more<F>(b1, acts, u, 3, k0, k1, k2);
      a0 = more<F>(a0, acts, w, 4, k0, k1, k2);
      a1 = more<F>(a1, acts, w, 5, k0, k1, k2);
      b0 = more<F>(b0, acts, u, 4, k0, k1, k2);
      b1 = more<F>(b1, acts, u, 5, k0, k1, k2);
      a0 = more<F>(a0, acts, w, 6, k0, k1, k2);
      a1 = more<F>(a1, acts, w, 7, k0, k1, k2);
      b0 = more<F>(b0, acts, u, 6, k0, k1, k2);
      b1 = more<F>(b1, acts, u, 7, k0, k1, k2);
      ah0 = more<F>(ah0, acts, w, 8, k0, k1, k2);
      ah1 = more<F>(ah1, acts, w, 9, k0, k1, k2);
      bh0 = more<F>(bh0, acts, u, 8, k0, k1, k2);
      bh1 = more<F>(bh1, acts, u, 9, k0, k1, k2);
      ah0 = more<F>(ah0, acts, w, 10, k0, k1, k2);
      ah1 = more<F>(ah1, acts, w, 11, k0, k1, k2);
      bh0 = more<F>(bh0, acts, u, 10, k0, k1, k2);
      bh1 = more<F>(bh1, acts, u, 11, k0, k1, k2);
      ah0 = more<F>(ah0, acts, w, 12, k0, k1, k2);
      ah1 = more<F>(ah1, acts, w, 13, k0, k1, k2);
      bh0 = more<F>(bh0, acts, u, 12, k0, k1, k2);
      bh1 = more<F>(bh1, acts, u, 13, k0, k1, k2);
      ah0 = more<F>(ah0, acts, w, 14, k0, k1, k2);
      ah1 = more<F>(ah1, acts, w, 15, k0, k1, k2);
      bh0 = more<F>(bh0, acts, u, 14, k0, k1, k2);
      bh1 = more<F>(bh1, acts, u, 15, k0, k1, k2);
    } else {
      a0 = more<F>(a0, acts, w, 0, k0, k1, k2);
      a1 = more<F>(a1, acts, w, 1, k0, k1, k2);
      b0 = more<F>(b0, acts, u, 0, k0, k1, k2);
      b1 = more<F>(b1, acts, u, 1, k0, k1, k2);
      a0 = more<F>(a0, acts, w, 8, k0, k1, k2);
      a1 = more<F>(a1, acts, w, 9, k0, k1, k2);
      b0 = more<F>(b0, acts, u, 8, k0, k1, k2);
      b1 = more<F>(b1, acts, u, 9, k0, k1, k2);
      a0 = more<F>(a0, acts, w, 2, k0, k1, k2);
      a1 = more<F>(a1, acts, w, 3, k0, k1, k2);
      b0 = more<F>(b0, acts, u, 2, k0, k1, k2);
      b1 = more<F>(b1, acts, u, 3, k0, k1, k2);
      a0 = more<F>(a0, acts, w, 10, k0, k1, k2);
      a1 = more<F>(a1, acts, w, 11, k0, k1, k2);
      b0 = more<F>(b0, acts, u, 10, k0, k1, k2);
      b1 = more<F>(b1, acts, u, 11, k0, k1, k2);
      a0 = more<F>(a0, acts, w, 4, k0, k1, k2);
      a1 = more<F>(a1, acts, w, 5, k0, k1, k2);
      b0 = more<F>(b0, acts, u, 4, k0, k1, k2);
      b1 = more<F>(b1, acts, u, 5, k0, k1, k2);
      a0 = more<F>(a0, acts, w, 12, k0, k1, k2);
      a1 = more<F>(a1, acts, w, 13, k0, k1, k2);
      b0 = more<F>(b0, acts, u, 12, k0, k1, k2);
      b1 = more<F>(b1, acts, u, 13, k0, k1, k2);
      a0 = more<F>(a0, acts, w, 6, k0, k1, k2);
      a1 = more<F>(a1, acts, w, 7, k0, k1, k2);
      b0 = more<F>(b0, acts, u, 6, k0, k1, k2);
      b1 = more<F>(b1, acts, u, 7, k0, k1, k2);
      a0 = more<F>(a0, acts, w, 14, k0, k1, k2);
      a1 = more<F>(a1, acts, w, 15, k0, k1, k2);
      b0 = more<F>(b0, acts, u, 14, k0, k1, k2);
      b1 = more<F>(b1, acts, u, 15, k0, k1, k2);
    }
    if (isDefined(f.high)) {
      ah0 = more_high<F>(ah0, acts, w, 0, k0, k1, k2);
      ah1 = more_high<F>(ah1, acts, w, 1, k0, k1, k2);
      bh0 = more_high<F>(bh0, acts, u, 0, k0, k1, k2);
      bh1 = more_high<F>(bh1, acts, u, 1, k0, k1, k2);
      ah0 = more_high<F>(ah0, acts, w, 8, k0, k1, k2);
      ah1 = more_high<F>(ah1, acts, w, 9, k0, k1, k2);
      bh0 = more_high<F>(bh0, acts, u, 8, k0, k1, k2);
      bh1 = more_high<F>(bh1, acts, u, 9, k0, k1, k2);
      ah0 = more_high<F>(ah0, acts, w, 2, k0, k1, k2);
      ah1 = more_high<F>(ah1, acts, w, 3, k0, k1, k2);
      bh0 = more_high<F>(bh0, acts, u, 2, k0, k1, k2);
      bh1 = more_high<F>(bh1, acts, u, 3, k0, k1, k2);
      ah0 = more_high<F>(ah0, acts, w, 10, k0, k1, k2);
      ah1 = more_high<F>(ah1, acts, w, 11, k0, k1, k2);
      bh0 = more_high<F>(bh0, acts, u, 10, k0, k1, k2);
      bh1 = more_high<F>(bh1, acts, u, 11, k0, k1, k2);
      ah0 = more_high<F>(ah0, acts, w, 4, k0, k1, k2);
      ah1 = more_high<F>(ah1, acts, w, 5, k0, k1, k2);
      bh0 = more_high<F>(bh0, acts, u, 4, k0, k1, k2);
      bh1 = more_high<F>(bh1, acts, u, 5, k0, k1, k2);
      ah0 = more_high<F>(ah0, acts, w, 12, k0, k1, k2);
      ah1 = more_high<F>(ah1, acts, w, 13, k0, k1, k2);
      bh0 = more_high<F>(bh0, acts, u, 12, k0, k1, k2);
      bh1 = more_high<F>(bh1, acts, u, 13, k0, k1, k2);
      ah0 = more_high<F>(ah0, acts, w, 6, k0, k1, k2);
      ah1 = more_high<F>(ah1, acts, w, 7, k0, k1, k2);
      bh0 = more_high<F>(bh0, acts, u, 6, k0, k1, k2);
      bh1 = more_high<F>(bh1, acts, u, 7, k0, k1, k2);
      ah0 = more_high<F>(ah0, acts, w, 14, k0, k1, k2);
      ah1 = more_high<F>(ah1, acts, w, 15, k0, k1, k2);
      bh0 = more_high<F>(bh0, acts, u, 14, k0, k1, k2);
      bh1 = more_high<F>(bh1, acts, u, 15, k0, k1, k2);
    }
    const y0 = v128.load(acts, RECORD_SCALES), y1 = v128.load(acts, RECORD_SCALES + 16);
    const wl = lanes_of<F>(wf), ws = scale_of<F>(wf), ul = lanes_of<F>(uf), us = scale_of<F>(uf);
    const d0 = f32x4.mul(d_of<F>(wf, 0, wl, ws, f16Mask), y0);
    const d1 = f32x4.mul(d_of<F>(wf, 1, wl, ws, f16Mask), y1);
    const e0 = f32x4.mul(d_of<F>(uf, 0, ul, us, f16Mask), y0);
    const e1 = f32x4.mul(d_of<F>(uf, 1, ul, us, f16Mask), y1);
    let l0 = ones, l1 = ones, g0 = ones, g1 = ones;
    if (isDefined(f.l)) {
      l0 = f.l(wf, 0, wl), l1 = f.l(wf, 1, wl);
      g0 = f.l(uf, 0, ul), g1 = f.l(uf, 1, ul);
    }
    p0 = add_blocks(p0, a0, l0, d0);
    p1 = add_blocks(p1, a1, l1, d1);
    q0 = add_blocks(q0, b0, g0, e0);
    q1 = add_blocks(q1, b1, g1, e1);
    if (isDefined(f.high)) {
      l0 = sixteens, l1 = sixteens, g0 = sixteens, g1 = sixteens;
    }
    if (isDefined(f.high) || isDefined(f.quarters)) {
      p0 = add_blocks(p0, ah0, l0, d0);
      p1 = add_blocks(p1, ah1, l1, d1);
      q0 = add_blocks(q0, bh0, g0, e0);
      q1 = add_blocks(q1, bh1, g1, e1);
    }
    if (isDefined(f.c)) {
      const wm = least_of<F>(wf), um = least_of<F>(uf);
      const c0 = f.c(wf, 0, wl, wm, f16Mask), c1 = f.c(wf, 1, wl, wm, f16Mask);
      const e0 = f.c(uf, 0, ul, um, f16Mask), e1 = f.c(uf, 1, ul, um, f16Mask);
      p0 = add_least<F>(p0, acts, 0, c0, m_of<F>(wf, 0), y0);
      p1 = add_least<F>(p1, acts, 1, c1, m_of<F>(wf, 1), y1);
      q0 = add_least<F>(q0, acts, 0, e0, m_of<F>(uf, 0), y0);
      q1 = add_least<F>(q1, acts, 1, e1, m_of<F>(uf, 1), y1);
    }
    w += f.quantBytes;
    u += f.quantBytes;
    wf += f.factorBytes;
    uf += f.factorBytes;
    acts += RECORD_BYTES;
  }
  const p = join_pair(p0, p1, 1, zero), q = join_pair(q0, q1, 1, zero);
  store_lanes(out, outStep, 2, sum_lanes_4(p, q, p, q));
}

/** sum + the activations of place v by the row's quants. */
@inline
function more<F>(sum: v128, x: usize, w: usize, v: u32, k0: v128, k1: v128, k2: v128): v128 {
  const quants = changetype<F>(0).quants(w, v, k0, k1, k2);
  return i16x8.add(sum, dot_i8(v128.load(x + 16 * v), quants));
}

/** The same with the high nibbles of a wide format. */
@inline
function more_high<F>(sum: v128, x: usize, w: usize, v: u32, k0: v128, k1: v128, k2: v128): v128 {
  const quants = changetype<F>(0).high(w, v, k0, k1, k2);
  return i16x8.add(sum, dot_i8(v128.load(x + 16 * v), quants));
}
