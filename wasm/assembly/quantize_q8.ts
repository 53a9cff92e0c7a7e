// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** Activations to int8 per 32. Formula: src/reference/ops.ts quantizeQ8; layout: q8_tile.ts. */
import { check_bytes, check_f32_rows } from "./bounds";
import {
  group_tokens,
  RECORD_BYTES,
  RECORD_SCALES,
  RECORD_SUMS,
  superblocks_of,
  tile_bytes,
} from "./q8_tile";
import { TWO_POW_56 } from "./simd";

/** Blocks whose largest value is below 2^-100 count as zero: 127 / largest stays finite. */
const SMALLEST_AMAX: f32 = 7.888609052210118e-31;

/** Bytes of the tile for [n, k], exact as f64. */
export function q8_bytes(n: u32, k: u32): f64 {
  return <f64>tile_bytes(n, k);
}

/**
 * @param x   f32 [n, xStride], k columns read.
 * @param dst tile of q8_bytes(n, k) bytes.
 * NaN quantises to 0 with a NaN scale, so that it comes out of the product as NaN.
 */
export function quantize_q8(x: usize, xStride: u32, n: u32, k: u32, dst: usize): void {
  check_f32_rows(x, n, xStride, k);
  check_bytes(dst, tile_bytes(n, k));
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
  memory.fill(record + RECORD_SUMS + 16, 0, 16);
  for (let j: u32 = 0; j < 8; j++) {
    if (j * 32 + 32 <= count) {
      quantize_block(x + j * 128, record, j);
    } else {
      quantize_partial_block(x + j * 128, count > j * 32 ? count - j * 32 : 0, record, j);
    }
  }
}

/** A block of fewer than 32 floats: copied beside zeros into the record's own bytes first. */
function quantize_partial_block(x: usize, count: u32, record: usize, j: u32): void {
  let largest: f32 = 0;
  for (let i: u32 = 0; i < count; i++) largest = max<f32>(largest, abs(load<f32>(x + (i << 2))));
  const inverse = inverse_scale(largest);
  let sum: i32 = 0;
  for (let i: u32 = 0; i < 32; i++) {
    const value: f32 = i < count ? nearest(load<f32>(x + (i << 2)) * inverse) : 0;
    const quant = <i32>value;
    sum += quant;
    store<i8>(record + place_of_pair(i >> 1) * 16 + 2 * j + (i & 1), <i8>quant);
  }
  finish_block(record, j, largest, sum);
}

function quantize_block(x: usize, record: usize, j: u32): void {
  let top = f32x4.splat(0);
  for (let i: u32 = 0; i < 128; i += 16) top = f32x4.max(top, f32x4.abs(v128.load(x + i)));
  top = f32x4.max(top, i32x4.shuffle(top, top, 2, 3, 0, 1));
  const largest = max<f32>(f32x4.extract_lane(top, 0), f32x4.extract_lane(top, 1));
  const inverse = f32x4.splat(inverse_scale(largest));
  let sums = i32x4.splat(0);
  for (let i: u32 = 0; i < 16; i += 4) {
    const a = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(x + (i << 3)), inverse)));
    const b = i32x4.trunc_sat_f32x4_s(
      f32x4.nearest(f32x4.mul(v128.load(x + (i << 3), 16), inverse)),
    );
    sums = i32x4.add(sums, i32x4.add(a, b));
    const words = i16x8.narrow_i32x4_s(a, b);
    const bytes = i8x16.narrow_i16x8_s(words, words);
    const out = record + place_of_pair(i) * 16 + 2 * j;
    // Pairs i, i+1 are neighbours in the order of places; so are i+2, i+3.
    v128.store_lane<u16>(out, bytes, 0);
    v128.store_lane<u16>(out, bytes, 1, 16);
    const next = record + place_of_pair(i + 2) * 16 + 2 * j;
    v128.store_lane<u16>(next, bytes, 2);
    v128.store_lane<u16>(next, bytes, 3, 16);
  }
  sums = i32x4.add(sums, i32x4.shuffle(sums, sums, 2, 3, 0, 1));
  finish_block(record, j, largest, i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1));
}

/** Where pair p lies among the vectors: 0 1 8 9 2 3 10 11 … read backwards. */
@inline
function place_of_pair(p: u32): u32 {
  return ((p & 6) << 1) | (p & 1) | ((p & 8) >> 2);
}
@inline
function inverse_scale(largest: f32): f32 {
  return largest < SMALLEST_AMAX ? 0 : <f32>127 / largest;
}
@inline
function finish_block(record: usize, j: u32, largest: f32, sum: i32): void {
  store<i16>(record + 2 * j, <i16>(-8 * sum), RECORD_SUMS);
  const scale: f32 = largest < SMALLEST_AMAX ? 0 : largest / 127;
  store<f32>(record + 4 * j, scale * TWO_POW_56, RECORD_SCALES);
}
