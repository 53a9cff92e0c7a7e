// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** Weights of a file into packed rows: src/memory/row_layout.ts. */
import {
  TYPE_IQ4_NL,
  TYPE_IQ4_XS,
  TYPE_MXFP4,
  TYPE_Q2_K,
  TYPE_Q3_K,
  TYPE_Q4_0,
  TYPE_Q4_1,
  TYPE_Q4_K,
  TYPE_Q5_0,
  TYPE_Q5_1,
  TYPE_Q5_K,
  TYPE_Q6_K,
  TYPE_Q8_0,
} from "../../src/memory/row_layout";
import { check_bytes, check_rows } from "./bounds";
import { IQ4_XS, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K } from "./formats_256";
import { IQ4_NL, MXFP4, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 } from "./formats_32";
import { factors_at, quants_at, row_bytes, SCRATCH_BYTES } from "./superblock_form";

/** Blocks [rows, blocks] of a file to packed rows; traps on a type that is not quantised. */
export function repack(
  type: u32,
  src: usize,
  srcStride: u32,
  dst: usize,
  dstStride: u32,
  rows: u32,
  blocks: u32,
  scratch: usize,
): void {
  check_bytes(scratch, SCRATCH_BYTES);
  switch (type) {
    case TYPE_Q4_0: return pack_rows<Q4_0>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_Q4_1: return pack_rows<Q4_1>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_Q5_0: return pack_rows<Q5_0>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_Q5_1: return pack_rows<Q5_1>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_Q8_0: return pack_rows<Q8_0>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_Q2_K: return pack_rows<Q2_K>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_Q3_K: return pack_rows<Q3_K>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_Q4_K: return pack_rows<Q4_K>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_Q5_K: return pack_rows<Q5_K>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_Q6_K: return pack_rows<Q6_K>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_IQ4_NL:
      return pack_rows<IQ4_NL>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_IQ4_XS:
      return pack_rows<IQ4_XS>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_MXFP4:
      return pack_rows<MXFP4>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    default: unreachable();
  }
}

/** The quants of a superblock are brought into packed order in scratch, then packed. */
function pack_rows<F>(
  src: usize,
  srcStride: u32,
  dst: usize,
  dstStride: u32,
  rows: u32,
  blocks: u32,
  scratch: usize,
): void {
  const f = changetype<F>(0);
  const superblocks = blocks / f.superblockBlocks + u32(blocks % f.superblockBlocks != 0);
  check_rows(src, rows, srcStride, <u64>blocks * f.blockBytes);
  check_rows(dst, rows, dstStride, row_bytes<F>(superblocks));
  for (let r: u32 = 0; r < rows; r++) {
    let from = src + r * srcStride;
    const row = dst + r * dstStride;
    let left = blocks;
    for (let s: u32 = 0; s < superblocks; s++) {
      const count = min(left, f.superblockBlocks);
      const weights: u32 = count == f.superblockBlocks ? 256 : count * 32;
      for (let i: u32 = 0; i < weights; i += 16) v128.store(scratch + i, f.natural(from, i));
      memory.fill(scratch + weights, 0, 256 - weights); // zero weights: their factors are zero
      interleave(scratch, scratch + 256);
      f.pack(scratch + 256, quants_at<F>(row, s));
      const factors = factors_at<F>(row, s, superblocks);
      memory.fill(factors, 0, f.factorBytes);
      f.pack_factors(from, count, factors);
      left -= count;
      from += count * f.blockBytes;
    }
    const bytes = superblocks * (f.quantBytes + f.factorBytes);
    memory.fill(row + bytes, 0, <usize>row_bytes<F>(superblocks) - bytes);
  }
}

/**
 * Bytes 0..255 from the order of weights to that of packed rows: vector 2i of `to` holds weights
 * 2i, 2i + 1, 16 + 2i, 17 + 2i of blocks 0, 1, 2 and 3, vector 2i + 1 those of blocks 4 to 7.
 */
function interleave(from: usize, to: usize): void {
  for (let half: u32 = 0; half < 2; half++) {
    for (let eight: u32 = 0; eight < 2; eight++) {
      // Rows: blocks; each 16-byte row four dwords for four vectors.
      const at = from + 128 * half + 8 * eight;
      const a = halves_of_block(at), b = halves_of_block(at + 32);
      const c = halves_of_block(at + 64), d = halves_of_block(at + 96);
      const ab = i32x4.shuffle(a, b, 0, 4, 1, 5), cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
      const AB = i32x4.shuffle(a, b, 2, 6, 3, 7), CD = i32x4.shuffle(c, d, 2, 6, 3, 7);
      const out = to + 128 * eight + 16 * half;
      v128.store(out, i64x2.shuffle(ab, cd, 0, 2));
      v128.store(out, i64x2.shuffle(ab, cd, 1, 3), 32);
      v128.store(out, i64x2.shuffle(AB, CD, 0, 2), 64);
      v128.store(out, i64x2.shuffle(AB, CD, 1, 3), 96);
    }
  }
}

/** Byte pairs of eight bytes at ptr and of the eight 16 bytes behind them, in turns. */
@inline
function halves_of_block(ptr: usize): v128 {
  const a = v128.load64_zero(ptr), b = v128.load64_zero(ptr, 16);
  return i16x8.shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}

/** Copies rows of `bytes` bytes and zeroes the rest of each dstStride. */
export function repack_float(
  src: usize,
  srcStride: u32,
  dst: usize,
  dstStride: u32,
  rows: u32,
  bytes: u32,
): void {
  if (bytes > dstStride) unreachable();
  check_rows(src, rows, srcStride, bytes);
  check_rows(dst, rows, dstStride, dstStride);
  for (let r: u32 = 0; r < rows; r++) {
    memory.copy(dst + r * dstStride, src + r * srcStride, bytes);
    memory.fill(dst + r * dstStride + bytes, 0, dstStride - bytes);
  }
}
