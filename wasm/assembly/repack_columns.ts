// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** Weights of a file into a matrix by columns: src/memory/column_layout.ts. */
import { COLUMN_GROUP_ROWS, COLUMN_SCRATCH_BYTES } from "../../src/memory/column_layout";
import {
  TYPE_E0M4,
  TYPE_MXFP4,
  TYPE_NVFP4,
  TYPE_NVFP4S,
  TYPE_Q3_K,
  TYPE_Q4_0,
  TYPE_Q4_1,
  TYPE_Q4_K,
  TYPE_Q5_0,
  TYPE_Q5_K,
  TYPE_Q6_K,
  TYPE_Q8_0,
} from "../../src/memory/row_layout";
import { check_bytes, check_rows } from "./bounds";
import {
  all_factors,
  BLOCK,
  blocks_in,
  check_blocks,
  column_bytes,
  factors_of,
  has_minima,
  has_small_floats,
  is_super,
  quants_of,
  scales_halves,
  stores_bytes,
  superblock_at,
} from "./columns";
import { minimum_k, scale_k } from "./file_bits";
import { halves_of, has_levels, least_of, scale_of } from "./format";
import { Q3_K, Q4_K, Q5_K, Q6_K } from "./formats_256";
import { E0M4, MXFP4, Q4_0, Q4_1, Q5_0, Q8_0 } from "./formats_32";
import { NVFP4, NVFP4S } from "./formats_64";
import { Pairs } from "./product_sums";
import { FORM_D, FORM_L, take_apart } from "./superblock_form";
import { F16_REBIAS, F16_SIGN, F16_SIZE, F16_SMALLEST } from "./weight_bits";

const GROUP: u32 = COLUMN_GROUP_ROWS;
/** In the scratch, behind the quants [GROUP][256]. */
const RECORD: u32 = GROUP * 256;
const FORM: u32 = RECORD + 128;

/** File rows firstRow .. firstRow + count - 1 of a matrix of `rows` rows into their places. */
export function repack_columns(
  type: u32,
  src: usize,
  srcStride: u32,
  dst: usize,
  rows: u32,
  firstRow: u32,
  count: u32,
  blocks: u32,
  scratch: usize,
): void {
  if (((rows | firstRow | count) & <u32>(COLUMN_GROUP_ROWS - 1)) != 0) unreachable();
  if (<u64>firstRow + count > <u64>rows) unreachable();
  check_bytes(scratch, COLUMN_SCRATCH_BYTES);
  switch (type) {
    case TYPE_Q4_0: return pack<Q4_0>(src, srcStride, dst, rows, firstRow, count, blocks, scratch);
    case TYPE_Q4_1: return pack<Q4_1>(src, srcStride, dst, rows, firstRow, count, blocks, scratch);
    case TYPE_E0M4: return pack<E0M4>(src, srcStride, dst, rows, firstRow, count, blocks, scratch);
    case TYPE_Q5_0: return pack<Q5_0>(src, srcStride, dst, rows, firstRow, count, blocks, scratch);
    case TYPE_Q8_0: return pack<Q8_0>(src, srcStride, dst, rows, firstRow, count, blocks, scratch);
    case TYPE_Q3_K: return pack<Q3_K>(src, srcStride, dst, rows, firstRow, count, blocks, scratch);
    case TYPE_Q4_K: return pack<Q4_K>(src, srcStride, dst, rows, firstRow, count, blocks, scratch);
    case TYPE_Q5_K: return pack<Q5_K>(src, srcStride, dst, rows, firstRow, count, blocks, scratch);
    case TYPE_Q6_K: return pack<Q6_K>(src, srcStride, dst, rows, firstRow, count, blocks, scratch);
    case TYPE_MXFP4:
      return pack<MXFP4>(src, srcStride, dst, rows, firstRow, count, blocks, scratch);
    case TYPE_NVFP4:
      return pack<NVFP4>(src, srcStride, dst, rows, firstRow, count, blocks, scratch);
    case TYPE_NVFP4S:
      return pack<NVFP4S>(src, srcStride, dst, rows, firstRow, count, blocks, scratch);
    default: unreachable();
  }
}

/** `blocks`: of the file. */
function pack<F>(
  src: usize,
  srcStride: u32,
  dst: usize,
  rows: u32,
  firstRow: u32,
  count: u32,
  blocks: u32,
  scratch: usize,
): void {
  const f = changetype<F>(0);
  if (blocks >> 20 != 0) unreachable();
  const thirtyTwos = blocks_in<F>(blocks);
  check_rows(src, count, srcStride, <u64>blocks * f.blockBytes);
  check_blocks<F>(dst, rows, thirtyTwos);
  const columnBytes = column_bytes<F>(rows);
  const factors = all_factors<F>(dst, rows, thirtyTwos);
  for (let b: u32 = 0; b < thirtyTwos; b += 8) {
    const here = min(thirtyTwos - b, 8);
    for (let r: u32 = 0; r < count; r += GROUP) {
      const row = firstRow + r;
      let from = src + r * srcStride + b / (8 / f.superblockBlocks) * f.blockBytes;
      for (let g: u32 = 0; g < GROUP; g++, from += srcStride) {
        const tile = scratch + (g << 8);
        for (let i: u32 = 0; i < here << 5; i += 16) v128.store(tile + i, f.natural(from, i));
        pack_factors<F>(from, factors, rows, row + g, b, here, scratch + RECORD);
      }
      for (let j: u32 = 0; j < here; j++) {
        const to = quants_of<F>(dst, rows, b + j) + column_bytes<F>(row);
        for (let i: u32 = 0; i < BLOCK; i++) {
          pack_column<F>(scratch + (j << 5) + i, to + i * columnBytes);
        }
      }
    }
  }
}

/** Factors of one row of `count` blocks from block b on; `record` is scratch. */
@inline
function pack_factors<F>(
  file: usize,
  factors: usize,
  rows: u32,
  row: u32,
  b: u32,
  count: u32,
  record: usize,
): void {
  const f = changetype<F>(0);
  if (!is_super<F>()) {
    for (let j: u32 = 0; j < count; j++) {
      const to = factors_of<F>(factors, rows, b + j) + 2 * row, from = file + j * f.blockBytes;
      store<u16>(to, has_levels<F>() ? upper_half(load<u8>(from)) : load<u16>(from));
      if (has_minima<F>()) store<u16>(to + 2 * rows, load<u16>(from, 2));
    }
    return;
  }
  const header = superblock_at<F>(factors, rows, b >> 3) + 4 * row;
  if (has_small_floats<F>()) {
    store<f32>(header, f.whole(file));
    for (let j: u32 = 0; j < count; j++) {
      const to = factors_of<F>(factors, rows, b + j) + row;
      store<u8>(to, <u8>f.small_float(file, 2 * j));
      store<u8>(to + rows, <u8>f.small_float(file, 2 * j + 1));
    }
    return;
  }
  memory.fill(record, 0, 32);
  f.pack_factors(file, record);
  if (scales_halves<F>()) {
    const form = record + (FORM - RECORD);
    take_apart<F, Pairs>(record - f.quantBytes, 1, form); // the quants there mean nothing
    store<f32>(header, load<f32>(form, FORM_D));
    for (let j: u32 = 0; j < 8; j++) {
      const to = factors_of<F>(factors, rows, b + j) + row;
      store<i8>(to, <i8>load<i16>(form + 4 * j, FORM_L));
      store<i8>(to + rows, <i8>load<i16>(form + 4 * j + 2, FORM_L));
    }
    return;
  }
  const size = i32x4.splat(F16_SIZE), rebias = i32x4.splat(F16_REBIAS);
  const smallest = i32x4.splat(F16_SMALLEST), sign = i32x4.splat(F16_SIGN);
  const halves = halves_of<F>(record - 16, size, rebias, smallest, sign);
  store<f32>(header, scale_of<F>(halves));
  store<f32>(header + 4 * rows, least_of<F>(halves));
  for (let j: u32 = 0; j < 8; j++) {
    const to = factors_of<F>(factors, rows, b + j) + row;
    store<u8>(to, <u8>scale_k(file + 4, j));
    store<u8>(to + rows, <u8>minimum_k(file + 4, j));
  }
}

/** A column of a group's rows, 256 bytes apart: 32 bytes, or twice as many. */
@inline
function pack_column<F>(from: usize, to: usize): void {
  for (let lane: u32 = 0; lane < 16; lane++, to += 2) {
    const at = from + ((8 * (lane & 1) + 4 * (lane >> 3) + ((lane & 7) >> 1)) << 8);
    const a = <u32>load<u8>(at), b = <u32>load<u8>(at, 16 << 8);
    const c = <u32>load<u8>(at, 32 << 8), d = <u32>load<u8>(at, 48 << 8);
    if (stores_bytes<F>()) {
      store<u16>(to, <u16>(a | (b << 8)));
      store<u16>(to, <u16>(c | (d << 8)), 32);
    } else {
      store<u16>(to, <u16>(a | (b << 4) | (c << 8) | (d << 12)));
    }
  }
}

/** MXFP4's 2^(e − 128) as the upper half of an f32: nothing is lost, subnormals included. */
@inline
function upper_half(e: u8): u16 {
  return e > 1 ? (<u16>e - 1) << 7 : <u16>(0x20 << e);
}
