// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** Weights of a file into packed rows: src/memory/row_layout.ts. */
import { SUPERBLOCK_BLOCKS } from "../../src/memory/row_layout";
import { check_rows } from "./bounds";

const Q4_0_BLOCK_BYTES = 18;
const Q8_0_BLOCK_BYTES = 34;

/**
 * Q4_0 blocks [rows, blocks] to packed rows: the 8 x 8 matrix of byte pairs of each superblock is
 * transposed; scales move to the end; missing blocks become zero weights with scale zero.
 */
export function repack_q4_0(
  src: usize,
  srcStride: u32,
  dst: usize,
  dstStride: u32,
  rows: u32,
  blocks: u32,
): void {
  const superblocks = superblocks_of_blocks(blocks);
  check_rows(src, rows, srcStride, <u64>blocks * Q4_0_BLOCK_BYTES);
  check_rows(dst, rows, dstStride, <u64>superblocks * (128 + 16));
  for (let r: u32 = 0; r < rows; r++) {
    const from = src + r * srcStride;
    const to = dst + r * dstStride;
    for (let s: u32 = 0; s < superblocks; s++) {
      const first = s * SUPERBLOCK_BLOCKS;
      const blocksAt = from + first * Q4_0_BLOCK_BYTES;
      const scalesAt = to + superblocks * 128 + s * 16;
      if (first + 8 <= blocks) {
        transpose_pairs(blocksAt, Q4_0_BLOCK_BYTES, to + s * 128, 32, 0);
        for (let j: u32 = 0; j < 8; j++) {
          store<u16>(scalesAt + 2 * j, load<u16>(blocksAt + j * Q4_0_BLOCK_BYTES));
        }
      } else {
        for (let j: u32 = 0; j < 8; j++) {
          const block = blocksAt + j * Q4_0_BLOCK_BYTES;
          const real = first + j < blocks;
          store<u16>(scalesAt + 2 * j, real ? load<u16>(block) : 0);
          for (let i: u32 = 0; i < 8; i++) {
            const pair: u16 = real ? load<u16>(block + 2 * i, 2) : 0x8888;
            store<u16>(to + s * 128 + i * 16 + 2 * j, pair);
          }
        }
      }
    }
  }
}

/** The same for Q8_0 blocks; bytes are stored with the top bit flipped. */
export function repack_q8_0(
  src: usize,
  srcStride: u32,
  dst: usize,
  dstStride: u32,
  rows: u32,
  blocks: u32,
): void {
  const superblocks = superblocks_of_blocks(blocks);
  check_rows(src, rows, srcStride, <u64>blocks * Q8_0_BLOCK_BYTES);
  check_rows(dst, rows, dstStride, <u64>superblocks * (256 + 16));
  for (let r: u32 = 0; r < rows; r++) {
    const from = src + r * srcStride;
    const to = dst + r * dstStride;
    for (let s: u32 = 0; s < superblocks; s++) {
      const first = s * SUPERBLOCK_BLOCKS;
      const blocksAt = from + first * Q8_0_BLOCK_BYTES;
      const scalesAt = to + superblocks * 256 + s * 16;
      if (first + 8 <= blocks) {
        // Pairs 0..7 go to places 0 1 4 5 8 9 12 13, pairs 8..15 to the places between.
        transpose_pairs(blocksAt, Q8_0_BLOCK_BYTES, to + s * 256, 64, 0x80808080);
        transpose_pairs(blocksAt + 16, Q8_0_BLOCK_BYTES, to + s * 256 + 32, 64, 0x80808080);
        for (let j: u32 = 0; j < 8; j++) {
          store<u16>(scalesAt + 2 * j, load<u16>(blocksAt + j * Q8_0_BLOCK_BYTES));
        }
      } else {
        for (let j: u32 = 0; j < 8; j++) {
          const block = blocksAt + j * Q8_0_BLOCK_BYTES;
          const real = first + j < blocks;
          store<u16>(scalesAt + 2 * j, real ? load<u16>(block) : 0);
          for (let p: u32 = 0; p < 16; p++) {
            const place = ((p & 6) << 1) | (p & 1) | ((p & 8) >> 2);
            const pair: u16 = real ? load<u16>(block + 2 * p, 2) : 0;
            store<u16>(to + s * 256 + place * 16 + 2 * j, pair ^ 0x8080);
          }
        }
      }
    }
  }
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
@inline
function superblocks_of_blocks(blocks: u32): u32 {
  return (blocks >> 3) + u32((blocks & 7) != 0);
}

/**
 * Transposes the 8 x 8 matrix of byte pairs whose row j is at src + 2 + j·srcStep. Output rows
 * 2m and 2m + 1 go to dst + m·dstStep and 16 bytes behind it; every word is XORed with `flip`.
 */
function transpose_pairs(src: usize, srcStep: u32, dst: usize, dstStep: u32, flip: i32): void {
  const mask = i32x4.splat(flip);
  const a0 = v128.xor(v128.load(src, 2), mask);
  const a1 = v128.xor(v128.load(src + srcStep, 2), mask);
  const a2 = v128.xor(v128.load(src + 2 * srcStep, 2), mask);
  const a3 = v128.xor(v128.load(src + 3 * srcStep, 2), mask);
  const a4 = v128.xor(v128.load(src + 4 * srcStep, 2), mask);
  const a5 = v128.xor(v128.load(src + 5 * srcStep, 2), mask);
  const a6 = v128.xor(v128.load(src + 6 * srcStep, 2), mask);
  const a7 = v128.xor(v128.load(src + 7 * srcStep, 2), mask);
  const b0 = i16x8.shuffle(a0, a1, 0, 8, 1, 9, 2, 10, 3, 11);
  const b1 = i16x8.shuffle(a2, a3, 0, 8, 1, 9, 2, 10, 3, 11);
  const b2 = i16x8.shuffle(a4, a5, 0, 8, 1, 9, 2, 10, 3, 11);
  const b3 = i16x8.shuffle(a6, a7, 0, 8, 1, 9, 2, 10, 3, 11);
  const b4 = i16x8.shuffle(a0, a1, 4, 12, 5, 13, 6, 14, 7, 15);
  const b5 = i16x8.shuffle(a2, a3, 4, 12, 5, 13, 6, 14, 7, 15);
  const b6 = i16x8.shuffle(a4, a5, 4, 12, 5, 13, 6, 14, 7, 15);
  const b7 = i16x8.shuffle(a6, a7, 4, 12, 5, 13, 6, 14, 7, 15);
  store_columns(dst, b0, b1, b2, b3);
  store_columns(dst + dstStep, swap(b0), swap(b1), swap(b2), swap(b3));
  store_columns(dst + 2 * dstStep, b4, b5, b6, b7);
  store_columns(dst + 3 * dstStep, swap(b4), swap(b5), swap(b6), swap(b7));
}

/** The two 64-bit halves exchanged. */
@inline
function swap(a: v128): v128 {
  return i64x2.shuffle(a, a, 1, 0);
}

/** i32 lanes 0 of a, b, c, d make the vector at dst, lanes 1 the one behind it. */
@inline
function store_columns(dst: usize, a: v128, b: v128, c: v128, d: v128): void {
  const ab = i32x4.shuffle(a, b, 0, 4, 1, 5);
  const cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
  v128.store(dst, i64x2.shuffle(ab, cd, 0, 2));
  v128.store(dst, i64x2.shuffle(ab, cd, 1, 3), 16);
}
