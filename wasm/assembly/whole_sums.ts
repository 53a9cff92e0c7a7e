// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Decoding by formats that are looked up (gemv_levels.ts, looked_up.ts): from the whole sums of two
 * rows' superblocks to floats, in 256 bits. A function that nothing is inlined into: among other
 * loops V8 sometimes pairs none of this.
 */
import {
  d_of,
  h0_of,
  h1_of,
  h2_of,
  halves_of_both,
  lanes_of,
  scale_of,
  second_halves,
  SHORT,
  SUPERBLOCKS_AT_ONCE,
} from "./format";
import { RECORD_SCALES } from "./q8_tile";
import { opaque } from "./simd";
import { superblock_bytes } from "./superblock_form";
import { F16_REBIAS, F16_SIGN, F16_SIZE, F16_SMALLEST } from "./weight_bits";

/** Whole sums of a superblock, in the lanes of a way (product_sums.ts), and room for a row's. */
export const SUMS_BYTES: u32 = 32;
export const ROW_SUMS_BYTES: u32 = SUPERBLOCKS_AT_ONCE * SUMS_BYTES;

/**
 * sums[2, 8] += whole sums, in the lanes of S, of `count` superblocks of the rows at w and u, times
 * their factors. Those of u are ROW_SUMS_BYTES behind.
 */
export function add_floats<F, S>(
  w: usize,
  u: usize,
  count: u32,
  acts: usize,
  xStep: u32,
  whole: usize,
  sums: usize,
): void {
  const f = changetype<F>(0), by = changetype<S>(0), zero = i32x4.splat(opaque(0, count));
  const h0 = h0_of<F>(zero), h1 = h1_of<F>(zero), h2 = h2_of<F>(zero);
  const ones = i16x8.splat(<i16>opaque(1, count));
  const size = i32x4.splat(opaque(F16_SIZE, count));
  const rebias = i32x4.splat(opaque(F16_REBIAS, count));
  const smallest = i32x4.splat(opaque(F16_SMALLEST, count));
  const sign = i32x4.splat(opaque(F16_SIGN, count));
  let wf = w + f.quantBytes - SHORT, uf = u + f.quantBytes - SHORT;
  let p0 = v128.load(sums), p1 = v128.load(sums, 16);
  let q0 = v128.load(sums, 32), q1 = v128.load(sums, 48);
  const end = whole + count * SUMS_BYTES;
  for (; whole != end; whole += SUMS_BYTES, acts += xStep) {
    const t0 = v128.load(acts, RECORD_SCALES), t1 = v128.load(acts, RECORD_SCALES + 16);
    const wl = lanes_of<F>(wf, h0, h1, h2), ul = lanes_of<F>(uf, h0, h1, h2);
    const wh = halves_of_both<F>(wf, uf, size, rebias, smallest, sign);
    const uh = second_halves<F>(wh);
    const ws = scale_of<F>(wh), us = scale_of<F>(uh);
    const d0 = f32x4.mul(d_of<F>(wf, 0, wl, ws, h0, h1), t0);
    const d1 = f32x4.mul(d_of<F>(wf, 1, wl, ws, h0, h1), t1);
    const e0 = f32x4.mul(d_of<F>(uf, 0, ul, us, h0, h1), t0);
    const e1 = f32x4.mul(d_of<F>(uf, 1, ul, us, h0, h1), t1);
    let l0 = ones, l1 = ones, g0 = ones, g1 = ones;
    if (isDefined(f.l)) {
      l0 = f.l(wf, 0, wl, h0), l1 = f.l(wf, 1, wl, h0);
      g0 = f.l(uf, 0, ul, h0), g1 = f.l(uf, 1, ul, h0);
    }
    p0 = by.add_blocks(p0, v128.load(whole), l0, d0);
    p1 = by.add_blocks(p1, v128.load(whole, 16), l1, d1);
    q0 = by.add_blocks(q0, v128.load(whole, ROW_SUMS_BYTES), g0, e0);
    q1 = by.add_blocks(q1, v128.load(whole, ROW_SUMS_BYTES + 16), g1, e1);
    wf += superblock_bytes<F>();
    uf += superblock_bytes<F>();
  }
  v128.store(sums, p0);
  v128.store(sums, p1, 16);
  v128.store(sums, q0, 32);
  v128.store(sums, q1, 48);
}
