// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * From the integer sums of a superblock to floats, in gemv and gemm alike: every output is summed
 * in the same order whatever n is, so prefill and decode agree bit for bit.
 */
import { has_nibbles, has_signs } from "./product_sums";
import { RECORD_QUARTERS, RECORD_REAL_SUMS, RECORD_SUMS } from "./q8_tile";
import { madd } from "./simd";

/**
 * p + factors · Σ over both halves of each of four blocks: lanes 2j and 2j + 1 of `sums` are the
 * halves of block j, and so are those of `lanes`, their integer scales.
 */
@inline
export function add_blocks(p: v128, sums: v128, lanes: v128, factors: v128): v128 {
  return madd(f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(sums, lanes)), factors, p);
}

/**
 * The same of a wide format: Σ of low nibbles + 16 · Σ of high ones, as integers, so that bytes
 * (product_sums.ts) give the same bits. ones and sixteens: in every 16-bit lane.
 */
@inline
export function add_nibbles(
  p: v128,
  low: v128,
  high: v128,
  ones: v128,
  sixteens: v128,
  factors: v128,
): v128 {
  const sums = i32x4.add(i32x4.dot_i16x8_s(low, ones), i32x4.dot_i16x8_s(high, sixteens));
  return madd(f32x4.convert_i32x4_s(sums), factors, p);
}

/**
 * p + factors · Σ of both parts of each of four blocks (`highPart`, format.ts), less the offset,
 * as integers. `lanes`: integer scales of the halves; `parts`: highPart in every 16-bit lane.
 */
@inline
export function add_parts<F>(
  p: v128,
  x: usize,
  half: u32,
  low: v128,
  high: v128,
  lanes: v128,
  parts: v128,
  offset: v128,
  factors: v128,
): v128 {
  const f = changetype<F>(0);
  const sums = half == 0 ? v128.load(x, RECORD_SUMS) : v128.load(x, RECORD_SUMS + 16);
  const most = isDefined(f.l) ? i16x8.mul(lanes, parts) : parts;
  const least = isDefined(f.l) ? i16x8.mul(lanes, offset) : offset;
  let both = i32x4.add(i32x4.dot_i16x8_s(low, lanes), i32x4.dot_i16x8_s(high, most));
  if (f.partShift != 0) both = i32x4.shr_s(both, f.partShift);
  const all = i32x4.add(both, i32x4.dot_i16x8_s(sums, least));
  return madd(f32x4.convert_i32x4_s(all), factors, p);
}

/** p and what a format's C, or C and M, add for the activations whose record is at x. */
@inline
export function add_least<F>(p: v128, x: usize, half: u32, c: v128, m: v128, y: v128): v128 {
  const f = changetype<F>(0);
  if (isDefined(f.m)) {
    const sums = half == 0 ? v128.load(x, RECORD_SUMS) : v128.load(x, RECORD_SUMS + 16);
    return add_blocks(p, sums, m, f32x4.mul(c, y));
  }
  if (isDefined(f.c)) {
    const sums = half == 0 ? v128.load(x, RECORD_REAL_SUMS) : v128.load(x, RECORD_REAL_SUMS + 16);
    return madd(c, sums, p);
  }
  return p;
}

/** Sums of a pass that began with nothing, as if they had begun with `start`. */
@inline
export function begun<F, S>(sums: v128, start: v128): v128 {
  // All that a format without an offset could add is 0.
  if (changetype<F>(0).offset == 0 && !has_signs<S>()) return sums;
  return changetype<S>(0).plus(sums, start);
}

/** What the sums of a pass begin with, in S's lanes: −offset · Σ of the activations at x. */
@inline
export function start<F, S>(x: usize, half: u32, pass: u32, offset: v128): v128 {
  const f = changetype<F>(0);
  if (f.offset == 0) return offset;
  if (isDefined(f.quarters)) {
    const at = x + 32 * pass;
    const sums = half == 0 ? v128.load(at, RECORD_QUARTERS) : v128.load(at, RECORD_QUARTERS + 16);
    return changetype<S>(0).times(sums, offset);
  }
  const sums = half == 0 ? v128.load(x, RECORD_SUMS) : v128.load(x, RECORD_SUMS + 16);
  if (has_nibbles<F, S>()) {
    // The high nibbles come second, and most low ones have no offset.
    const low: i32 = isDefined(f.lowOffset) ? f.lowOffset : 0;
    return changetype<S>(0).times(sums, i16x8.splat(<i16>(low + (f.offset - low) * pass)));
  }
  return changetype<S>(0).times(sums, offset);
}
