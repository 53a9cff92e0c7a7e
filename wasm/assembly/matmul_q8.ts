// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** The products of quantised rows (row_layout.ts) with q8 tiles, by type. */
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
import { check_bytes, check_f32_rows, check_rows } from "./bounds";
import { IQ4_XS, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K } from "./formats_256";
import { IQ4_NL, MXFP4, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 } from "./formats_32";
import { NVFP4 } from "./formats_64";
import { IQ1_M, IQ1_S, IQ2_S, IQ2_XS, IQ2_XXS, IQ3_S, IQ3_XXS } from "./formats_codebook";
import {
  OddLevels,
  OddLevelsByHalves,
  SixLevels,
  SixLevelsByHalves,
  SixteenLevels,
} from "./formats_levels";
import { Q1_0, Q2_0, TQ1_0, TQ2_0 } from "./formats_ternary";
import { has_levels, has_parts, is_wide } from "./format";
import { gemm_few } from "./gemm_few_q8";
import { gemm } from "./gemm_q8";
import { gemv_natural, gemv_natural_rows } from "./gemv_natural";
import { gemv, gemv_each } from "./gemv_q8";
import { gemv_rows } from "./gemv_rows_q8";
import { is_natural } from "./natural";
import {
  can_sum_fours,
  can_sum_fours_of_one,
  Fours,
  has_nibbles,
  Pairs,
  Sevens,
  Signs,
  sums_by_fours,
} from "./product_sums";
import { GROUP_TOKENS, RECORD_BYTES, records_bytes, superblocks_of } from "./q8_tile";
import { row_bytes, tile_bytes } from "./superblock_form";

/**
 * Up to so many tokens it pays to unpack rows for each four anew, where blocks have 32 and where
 * they have 256 weights, whose factors take longer: measured in NOTES.md.
 */
const FEW_TOKENS: u32 = 16;
const FEW_TOKENS_256: u32 = 8;
/** Where they are looked up, which V8 does 128 bits at a time, with all that goes with it. */
const FEW_TOKENS_LEVELS: u32 = 2;
const EACH_TOKENS_LEVELS: u32 = 3;
const EACH_TOKENS_BYTES: u32 = 6;
const EACH_TOKENS_PARTS: u32 = 2;

/** out[t, r] = Σ_i w[r, i] · act[t, i]; traps on a type that is not quantised. */
export function matmul_q8(
  type: u32,
  w: usize,
  rowStride: u32,
  rows: u32,
  k: u32,
  acts: usize,
  n: u32,
  out: usize,
  outStride: u32,
): void {
  matmul(type, w, rowStride, rows, k, acts, n, out, outStride, 4, false);
}

/** The same; more than four tokens, but a few, by rows that are unpacked in registers, too. */
export function matmul_q8_few(
  type: u32,
  w: usize,
  rowStride: u32,
  rows: u32,
  k: u32,
  acts: usize,
  n: u32,
  out: usize,
  outStride: u32,
): void {
  matmul(type, w, rowStride, rows, k, acts, n, out, outStride, 4, true);
}

/** The same; one token's rows are read two side by side, not four. */
export function matmul_q8_two_streams(
  type: u32,
  w: usize,
  rowStride: u32,
  rows: u32,
  k: u32,
  acts: usize,
  n: u32,
  out: usize,
  outStride: u32,
): void {
  matmul(type, w, rowStride, rows, k, acts, n, out, outStride, 2, false);
}

function matmul(
  type: u32,
  w: usize,
  rowStride: u32,
  rows: u32,
  k: u32,
  acts: usize,
  n: u32,
  out: usize,
  outStride: u32,
  streams: u32,
  few: bool,
): void {
  check_bytes(acts, tile_bytes(n, k));
  check_f32_rows(out, n, outStride, rows);
  switch (type) {
    case TYPE_Q4_0:
      return product<Q4_0>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_E0M4: // packed as Q4_1
    case TYPE_Q4_1:
      return product<Q4_1>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_Q5_0:
      return product<Q5_0>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_Q5_1:
      return product<Q5_1>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_Q8_0:
      return product<Q8_0>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_Q2_K:
      return product<Q2_K>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_Q3_K:
      return product<Q3_K>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_Q4_K:
      return product<Q4_K>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_Q5_K:
      return product<Q5_K>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_Q6_K:
      return product<Q6_K>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_IQ4_NL:
      return product<IQ4_NL>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_IQ4_XS:
      return product<IQ4_XS>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_MXFP4:
      return product<MXFP4>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_NVFP4S: // packed as NVFP4
    case TYPE_NVFP4:
      return product<NVFP4>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_IQ2_XXS:
      return product<IQ2_XXS>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_IQ2_XS:
      return product<IQ2_XS>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_IQ3_XXS:
      return product<IQ3_XXS>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_IQ1_S:
      return product<IQ1_S>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_IQ3_S:
      return product<IQ3_S>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_IQ2_S:
      return product<IQ2_S>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_IQ1_M:
      return product<IQ1_M>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_TQ1_0:
      return product<TQ1_0>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_TQ1_0_W: // packed as TQ2_0
    case TYPE_TQ2_0:
      return product<TQ2_0>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_Q1_0:
      return product<Q1_0>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_Q2_0:
      return product<Q2_0>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_IQ1_M_W:
      return product<OddLevelsByHalves>(
        w, rowStride, rows, k, acts, n, out, outStride, streams, few,
      );
    case TYPE_IQ1_S_W:
    case TYPE_IQ3_S_W:
      return product<OddLevels>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_IQ2_S_W:
    case TYPE_IQ2_XS_W:
      return product<SixLevelsByHalves>(
        w, rowStride, rows, k, acts, n, out, outStride, streams, few,
      );
    case TYPE_IQ2_XXS_W:
      return product<SixLevels>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    case TYPE_IQ3_XXS_W:
      return product<SixteenLevels>(w, rowStride, rows, k, acts, n, out, outStride, streams, few);
    default:
      unreachable();
  }
}

function few_tokens<F>(few: bool): u32 {
  const f = changetype<F>(0);
  if (has_levels<F>() || is_wide<F>() && !isDefined(f.isBytes)) return FEW_TOKENS_LEVELS;
  if (!few) return GROUP_TOKENS;
  return f.superblockBlocks == 1 ? FEW_TOKENS_256 : FEW_TOKENS;
}

/** Up to so many tokens it pays to go through rows of nibbles for each, bytes or looked up. */
function each_tokens<F>(): u32 {
  return isDefined(changetype<F>(0).isBytes) ? EACH_TOKENS_BYTES : EACH_TOKENS_LEVELS;
}

function product<F>(
  w: usize,
  rowStride: u32,
  rows: u32,
  k: u32,
  acts: usize,
  n: u32,
  out: usize,
  outStride: u32,
  streams: u32,
  few: bool,
): void {
  const superblocks = superblocks_of(k);
  check_rows(w, rows, rowStride, row_bytes<F>(superblocks));
  if (superblocks == 0) unreachable();
  const forms = acts + <usize> records_bytes(n, k);
  if (n == 1) {
    if (is_natural<F>()) gemv_natural<F>(w, rowStride, rows, superblocks, acts, out, forms);
    else if (can_sum_fours_of_one<F>() && sums_by_fours<F>()) {
      gemv<F, Fours>(w, rowStride, rows, superblocks, acts, RECORD_BYTES, out, forms, streams);
    } else gemv<F, Pairs>(w, rowStride, rows, superblocks, acts, RECORD_BYTES, out, forms, streams);
  } else if (can_sum_fours<F>() && sums_by_fours<F>()) {
    several<F, Fours>(w, rowStride, rows, superblocks, acts, forms, n, out, outStride, few);
  } else if (isDefined(changetype<F>(0).isSevenBits)) {
    several<F, Sevens>(w, rowStride, rows, superblocks, acts, forms, n, out, outStride, few);
  } else {
    several<F, Pairs>(w, rowStride, rows, superblocks, acts, forms, n, out, outStride, few);
  }
}

/** Several tokens. */
@inline
function several<F, S>(
  w: usize,
  rowStride: u32,
  rows: u32,
  superblocks: u32,
  acts: usize,
  forms: usize,
  n: u32,
  out: usize,
  outStride: u32,
  few: bool,
): void {
  if (has_nibbles<F, S>()) {
    if (n <= each_tokens<F>()) {
      gemv_each<F, S>(w, rowStride, rows, superblocks, acts, forms, n, out, outStride);
    } else gemm<F, Signs>(w, rowStride, rows, superblocks, acts, forms, n, out, outStride);
  } else if (has_parts<F>() && n <= EACH_TOKENS_PARTS) {
    gemv_each<F, Pairs>(w, rowStride, rows, superblocks, acts, forms, n, out, outStride);
  } else if (is_natural<F>() || has_parts<F>() || n > few_tokens<F>(few)) {
    gemm<F, S>(w, rowStride, rows, superblocks, acts, forms, n, out, outStride);
  } else {
    gemm_few<F, S>(w, rowStride, rows, superblocks, acts, forms, n, out, outStride);
  }
}

/** out[j] = Σ_i w[list[j], i] · act[i], j in 0..count, of one token. */
export function matmul_q8_rows(
  type: u32,
  w: usize,
  rowStride: u32,
  rows: u32,
  k: u32,
  acts: usize,
  list: usize,
  count: u32,
  out: usize,
): void {
  check_bytes(acts, tile_bytes(1, k));
  check_bytes(list, <u64> count << 2);
  check_bytes(out, <u64> count << 2);
  switch (type) {
    case TYPE_Q4_0:
      return listed<Q4_0>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_E0M4: // packed as Q4_1
    case TYPE_Q4_1:
      return listed<Q4_1>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_Q5_0:
      return listed<Q5_0>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_Q5_1:
      return listed<Q5_1>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_Q8_0:
      return listed<Q8_0>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_Q2_K:
      return listed<Q2_K>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_Q3_K:
      return listed<Q3_K>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_Q4_K:
      return listed<Q4_K>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_Q5_K:
      return listed<Q5_K>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_Q6_K:
      return listed<Q6_K>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_IQ4_NL:
      return listed<IQ4_NL>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_IQ4_XS:
      return listed<IQ4_XS>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_MXFP4:
      return listed<MXFP4>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_NVFP4S: // packed as NVFP4
    case TYPE_NVFP4:
      return listed<NVFP4>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_IQ2_XXS:
      return listed<IQ2_XXS>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_IQ2_XS:
      return listed<IQ2_XS>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_IQ3_XXS:
      return listed<IQ3_XXS>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_IQ1_S:
      return listed<IQ1_S>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_IQ3_S:
      return listed<IQ3_S>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_IQ2_S:
      return listed<IQ2_S>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_IQ1_M:
      return listed<IQ1_M>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_TQ1_0:
      return listed<TQ1_0>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_TQ1_0_W: // packed as TQ2_0
    case TYPE_TQ2_0:
      return listed<TQ2_0>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_Q1_0:
      return listed<Q1_0>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_Q2_0:
      return listed<Q2_0>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_IQ1_M_W:
      return listed<OddLevelsByHalves>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_IQ1_S_W:
    case TYPE_IQ3_S_W:
      return listed<OddLevels>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_IQ2_S_W:
    case TYPE_IQ2_XS_W:
      return listed<SixLevelsByHalves>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_IQ2_XXS_W:
      return listed<SixLevels>(w, rowStride, rows, k, acts, list, count, out);
    case TYPE_IQ3_XXS_W:
      return listed<SixteenLevels>(w, rowStride, rows, k, acts, list, count, out);
    default:
      unreachable();
  }
}

function listed<F>(
  w: usize,
  rowStride: u32,
  rows: u32,
  k: u32,
  acts: usize,
  list: usize,
  count: u32,
  out: usize,
): void {
  const superblocks = superblocks_of(k);
  check_rows(w, rows, rowStride, row_bytes<F>(superblocks));
  if (superblocks == 0 || rows == 0) unreachable();
  const sums = acts + <usize> records_bytes(1, k);
  if (is_natural<F>()) {
    gemv_natural_rows<F>(w, rowStride, rows, superblocks, acts, list, count, out, sums);
  } else if (can_sum_fours_of_one<F>() && sums_by_fours<F>()) {
    gemv_rows<F, Fours>(w, rowStride, rows, superblocks, acts, list, count, out, sums);
  } else {
    gemv_rows<F, Pairs>(w, rowStride, rows, superblocks, acts, list, count, out, sums);
  }
}
