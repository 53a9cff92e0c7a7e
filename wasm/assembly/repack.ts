// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** Weights of a file into packed rows: src/memory/row_layout.ts. */
import {
  TYPE_E0M4,
  TYPE_IQ1_M,
  TYPE_IQ1_M_W,
  TYPE_IQ1_S,
  TYPE_IQ1_S_W,
  TYPE_IQ2_S,
  TYPE_IQ2_S_W,
  TYPE_IQ2_XS,
  TYPE_IQ2_XS_W,
  TYPE_IQ2_XXS,
  TYPE_IQ2_XXS_W,
  TYPE_IQ3_S,
  TYPE_IQ3_S_W,
  TYPE_IQ3_XXS,
  TYPE_IQ3_XXS_W,
  TYPE_IQ4_NL,
  TYPE_IQ4_XS,
  TYPE_MXFP4,
  TYPE_NVFP4,
  TYPE_NVFP4S,
  TYPE_Q1_0,
  TYPE_Q2_0,
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
  TYPE_TQ1_0,
  TYPE_TQ1_0_W,
  TYPE_TQ2_0,
} from "../../src/memory/row_layout";
import { check_bytes, check_rows } from "./bounds";
import { IQ4_XS, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K } from "./formats_256";
import { E0M4, IQ4_NL, MXFP4, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 } from "./formats_32";
import { NVFP4, NVFP4S } from "./formats_64";
import { IQ1_M, IQ1_S, IQ2_S, IQ2_XS, IQ2_XXS, IQ3_S, IQ3_XXS } from "./formats_codebook";
import {
  OddLevels,
  OddLevelsByHalves,
  pack_codes,
  SixLevels,
  SixLevelsByHalves,
  SixteenLevels,
} from "./formats_levels";
import { Q1_0, Q2_0, TQ1_0, TQ2_0 } from "./formats_ternary";
import { is_natural } from "./natural";
import { row_bytes, SCRATCH_BYTES, superblock_bytes } from "./superblock_form";

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
    case TYPE_E0M4: return pack_rows<E0M4>(src, srcStride, dst, dstStride, rows, blocks, scratch);
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
    case TYPE_NVFP4:
      return pack_rows<NVFP4>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_NVFP4S:
      return pack_rows<NVFP4S>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_TQ2_0:
      return pack_rows<TQ2_0>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_IQ2_XXS:
      return pack_rows<IQ2_XXS>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_IQ2_XS:
      return pack_rows<IQ2_XS>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_IQ3_XXS:
      return pack_rows<IQ3_XXS>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_IQ1_S:
      return pack_rows<IQ1_S>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_IQ3_S:
      return pack_rows<IQ3_S>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_IQ2_S:
      return pack_rows<IQ2_S>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_IQ1_M:
      return pack_rows<IQ1_M>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_TQ1_0:
      return pack_rows<TQ1_0>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_Q1_0:
      return pack_rows<Q1_0>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_Q2_0:
      return pack_rows<Q2_0>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_TQ1_0_W:
      return write_out<TQ1_0, TQ2_0>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_IQ1_M_W:
      return write_out<IQ1_M, OddLevelsByHalves>(
        src, srcStride, dst, dstStride, rows, blocks, scratch,
      );
    case TYPE_IQ1_S_W:
      return write_out<IQ1_S, OddLevels>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_IQ2_S_W:
      return write_out<IQ2_S, SixLevelsByHalves>(
        src, srcStride, dst, dstStride, rows, blocks, scratch,
      );
    case TYPE_IQ2_XS_W:
      return write_out<IQ2_XS, SixLevelsByHalves>(
        src, srcStride, dst, dstStride, rows, blocks, scratch,
      );
    case TYPE_IQ2_XXS_W:
      return write_out<IQ2_XXS, SixLevels>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_IQ3_S_W:
      return write_out<IQ3_S, OddLevels>(src, srcStride, dst, dstStride, rows, blocks, scratch);
    case TYPE_IQ3_XXS_W:
      return write_out<IQ3_XXS, SixteenLevels>(
        src, srcStride, dst, dstStride, rows, blocks, scratch,
      );
    default: unreachable();
  }
}

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
  const whole = blocks / f.superblockBlocks, rest = blocks % f.superblockBlocks;
  const superblocks = whole + u32(rest != 0);
  const bytes = superblocks * superblock_bytes<F>();
  const wholeBytes = f.superblockBlocks * f.blockBytes;
  check_rows(src, rows, srcStride, <u64>blocks * f.blockBytes);
  check_rows(dst, rows, dstStride, row_bytes<F>(superblocks));
  for (let r: u32 = 0; r < rows; r++) {
    let from = src + r * srcStride;
    const row = dst + r * dstStride;
    for (let s: u32 = 0; s < superblocks; s++) {
      if (s == whole) {
        // Blocks of zeros fill up the last superblock.
        memory.fill(scratch, 0, wholeBytes);
        memory.copy(scratch, from, rest * f.blockBytes);
        from = scratch;
      }
      const to = row + s * superblock_bytes<F>();
      if (is_natural<F>()) {
        memory.copy(to, from, wholeBytes);
      } else {
        f.pack(from, to);
        f.pack_factors(from, to + f.quantBytes);
      }
      from += wholeBytes;
    }
    memory.fill(row + bytes, 0, <usize>row_bytes<F>(superblocks) - bytes);
  }
}

/** Rows of the natural format N, of whole superblocks, as those of F (formats_levels.ts). */
function write_out<N, F>(
  src: usize,
  srcStride: u32,
  dst: usize,
  dstStride: u32,
  rows: u32,
  superblocks: u32,
  scratch: usize,
): void {
  const blockBytes = changetype<N>(0).blockBytes, bytes = superblocks * superblock_bytes<F>();
  check_rows(src, rows, srcStride, <u64>superblocks * blockBytes);
  check_rows(dst, rows, dstStride, row_bytes<F>(superblocks));
  for (let r: u32 = 0; r < rows; r++) {
    let from = src + r * srcStride, to = dst + r * dstStride;
    for (let s: u32 = 0; s < superblocks; s++) {
      pack_codes<N, F>(from, to, scratch);
      from += blockBytes;
      to += superblock_bytes<F>();
    }
    memory.fill(to, 0, <usize>row_bytes<F>(superblocks) - bytes);
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
