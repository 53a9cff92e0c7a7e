// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** Activations to int8 per 32. Formula: src/reference/ops.ts quantizeQ8; layout: q8_tile.ts. */
import { check_bytes, check_f32_rows } from "./bounds";
import {
  group_tokens,
  RECORD_BYTES,
  RECORD_QUARTERS,
  RECORD_REAL_SUMS,
  RECORD_SCALES,
  RECORD_SUMS,
  records_bytes,
  superblocks_of,
} from "./q8_tile";
import { tile_bytes } from "./superblock_form";

/** Blocks whose largest value is below 2^-100 count as zero: 127 / largest stays finite. */
const SMALLEST_AMAX: f32 = 7.888609052210118e-31;
/** 1.5 · 2^23: adding it rounds to an integer in the low bits of the sum. */
const ROUND: f32 = 12582912.0;

/** Bytes of the tile for [n, k], exact as f64. */
export function q8_bytes(n: u32, k: u32): f64 {
  return <f64>tile_bytes(n, k);
}

/**
 * @param x   f32 [n, xStride], k columns read.
 * @param dst tile of q8_bytes(n, k) bytes.
 * A block with NaN gets a NaN scale, so that all of it comes out of the product as NaN.
 */
export function quantize_q8(x: usize, xStride: u32, n: u32, k: u32, dst: usize): void {
  check_f32_rows(x, n, xStride, k);
  check_bytes(dst, records_bytes(n, k));
  const group = group_tokens(n);
  const superblocks = superblocks_of(k);
  const step = group * RECORD_BYTES;
  for (let t: u32 = 0; t < n; t++) {
    const first = dst + (t / group) * superblocks * step + (t % group) * RECORD_BYTES;
    for (let s: u32 = 0; s < superblocks; s++) {
      quantize_superblock(
        x + ((t * xStride + s * 256) << 2),
        min(k - s * 256, 256),
        first + s * step,
      );
    }
  }
  for (let t = n; t % group != 0; t++) {
    const first = dst + (t / group) * superblocks * step + (t % group) * RECORD_BYTES;
    for (let s: u32 = 0; s < superblocks; s++) memory.fill(first + s * step, 0, RECORD_BYTES);
  }
}

/** One record from `count` ≤ 256 floats at x. */
function quantize_superblock(x: usize, count: u32, record: usize): void {
  for (let j: u32 = 0; j < 8; j++) {
    if (j * 32 + 32 <= count) {
      quantize_block(x + j * 128, record, j);
    } else {
      quantize_partial_block(x + j * 128, count > j * 32 ? count - j * 32 : 0, record, j);
    }
  }
}

/** A block of fewer than 32 floats: value by value. */
function quantize_partial_block(x: usize, count: u32, record: usize, j: u32): void {
  let largest: f32 = 0;
  for (let i: u32 = 0; i < count; i++) largest = max<f32>(largest, abs(load<f32>(x + (i << 2))));
  const inverse = inverse_scale(largest);
  const lane = record + 4 * j;
  let total: i32 = 0;
  for (let quarter: u32 = 0; quarter < 4; quarter++) {
    let sum: i32 = 0;
    for (let i = quarter * 8; i < quarter * 8 + 8; i++) {
      const value: f32 = i < count ? nearest(load<f32>(x + (i << 2)) * inverse) : 0;
      const quant = <i32>value;
      sum += quant;
      store<i8>(lane + ((i & 14) << 4) + ((i >> 3) & 2) + (i & 1), <i8>quant);
    }
    store<i16>(lane + ((quarter & 1) << 5) + (quarter & 2), <i16>-sum, RECORD_QUARTERS);
    total += sum;
  }
  finish_block(lane, largest, total);
}

function quantize_block(x: usize, record: usize, j: u32): void {
  const largest = largest_of_32(x);
  const inverse = f32x4.splat(inverse_scale(largest));
  const lane = record + 4 * j;
  let total: i32 = 0;
  for (let quarter: u32 = 0; quarter < 2; quarter++) {
    const from = x + (quarter << 5);
    const a = round_x4(from, inverse), b = round_x4(from + 16, inverse);
    const c = round_x4(from + 64, inverse), d = round_x4(from + 80, inverse);
    const sums = pair_sums(i32x4.add(a, b), i32x4.add(c, d));
    const first = i32x4.extract_lane(sums, 0), second = i32x4.extract_lane(sums, 1);
    store<i32>(lane + (quarter << 5), (-first & 0xffff) | (-second << 16), RECORD_QUARTERS);
    total += first + second;
    const bytes = i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
    // Pairs of the first half beside pairs of the second.
    const out = i16x8.shuffle(bytes, bytes, 0, 4, 1, 5, 2, 6, 3, 7);
    const to = lane + (quarter << 7);
    v128.store_lane<u32>(to, out, 0);
    v128.store_lane<u32>(to, out, 1, 32);
    v128.store_lane<u32>(to, out, 2, 64);
    v128.store_lane<u32>(to, out, 3, 96);
  }
  finish_block(lane, largest, total);
}

/**
 * The largest magnitude of 32 floats; NaN if there is one. As integers, floats without their signs
 * are in the same order, NaN above infinity, and integers have a maximum in one instruction.
 */
@inline
function largest_of_32(x: usize): f32 {
  const size = i32x4.splat(0x7fffffff);
  let a = v128.and(v128.load(x), size), b = v128.and(v128.load(x, 16), size);
  a = i32x4.max_s(a, v128.and(v128.load(x, 32), size));
  b = i32x4.max_s(b, v128.and(v128.load(x, 48), size));
  a = i32x4.max_s(a, v128.and(v128.load(x, 64), size));
  b = i32x4.max_s(b, v128.and(v128.load(x, 80), size));
  a = i32x4.max_s(a, v128.and(v128.load(x, 96), size));
  b = i32x4.max_s(b, v128.and(v128.load(x, 112), size));
  a = i32x4.max_s(a, b);
  a = i32x4.max_s(a, i32x4.shuffle(a, a, 2, 3, 0, 1));
  a = i32x4.max_s(a, i32x4.shuffle(a, a, 1, 0, 3, 2));
  return f32x4.extract_lane(a, 0);
}

/** Four floats at x by `inverse`, rounded to the nearest, ties to even; NaN becomes anything. */
@inline
function round_x4(x: usize, inverse: v128): v128 {
  const rounded = f32x4.add(f32x4.mul(v128.load(x), inverse), f32x4.splat(ROUND));
  return i32x4.sub(rounded, f32x4.splat(ROUND)); // as integers: what is left are the low bits
}

/** [Σa, Σb, …]. */
@inline
function pair_sums(a: v128, b: v128): v128 {
  const sums = i32x4.add(i32x4.shuffle(a, b, 0, 4, 1, 5), i32x4.shuffle(a, b, 2, 6, 3, 7));
  return i32x4.add(sums, i32x4.shuffle(sums, sums, 2, 3, 0, 1));
}
@inline
function inverse_scale(largest: f32): f32 {
  return largest < SMALLEST_AMAX ? 0 : <f32>127 / largest;
}

/** Scale and sums of the block whose dword is at `lane`; its quarters are stored. */
@inline
function finish_block(lane: usize, largest: f32, total: i32): void {
  const a = load<i32>(lane, RECORD_QUARTERS), b = load<i32>(lane, RECORD_QUARTERS + 32);
  const low = (a + b) & 0xffff, high = (a >> 16) + (b >> 16);
  store<i32>(lane, low | (high << 16), RECORD_SUMS);
  const scale: f32 = largest < SMALLEST_AMAX ? 0 : largest / 127;
  store<f32>(lane, scale, RECORD_SCALES);
  store<f32>(lane, scale * <f32>total, RECORD_REAL_SUMS);
}
