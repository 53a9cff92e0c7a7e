// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Products with a matrix that is kept by columns (column_layout.ts): out[r] = Σ_i w[r, i] · act[i]
 * as a sum over columns, of which those whose quantised activation is zero are not read. The
 * integers, and so the sums over a block, are those of the dense product.
 */
import { COLUMN_GROUP_ROWS } from "../../src/memory/column_layout";
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
import { check_bytes, check_f32_rows } from "./bounds";
import { add_listed_columns } from "./column_sums";
import { multiply_forms } from "./column_forms";
import {
  all_factors,
  BLOCK,
  blocks_in,
  check_blocks,
  check_factors,
  column_bytes,
  factors_of,
  quants_of,
  runs_halves,
  scales_halves,
  superblock_at,
} from "./columns";
import { Q3_K, Q4_K, Q5_K, Q6_K } from "./formats_256";
import { MXFP4, Q4_0, Q4_1, Q5_0, Q8_0 } from "./formats_32";
import { NVFP4 } from "./formats_64";
import { is_wide } from "./format";
import { can_sum_fours, Fours, Pairs, Signs, sums_by_fours } from "./product_sums";
import { RECORD_BYTES, RECORD_SCALES, records_bytes } from "./q8_tile";
import { tile_bytes } from "./superblock_form";

/** Two lists of columns in the scratch, and behind each other where they end. */
const LIST_BYTES: u32 = 256;
const ENDS: u32 = 512;
const SEEN: u32 = 520;

/**
 * out[t, r] = Σ_i w[r, i] · act[t, i]; one token reads only columns whose activation is not zero.
 * Returns how many columns were read.
 */
export function matmul_q8_columns(
  type: u32,
  w: usize,
  rows: u32,
  k: u32,
  acts: usize,
  n: u32,
  out: usize,
  outStride: u32,
): u32 {
  if ((rows & <u32>(COLUMN_GROUP_ROWS - 1)) != 0) unreachable();
  check_bytes(acts, tile_bytes(n, k));
  check_f32_rows(out, n, outStride, rows);
  switch (type) {
    case TYPE_Q4_0: return product<Q4_0>(w, rows, k, acts, n, out, outStride);
    case TYPE_E0M4: // packed as Q4_1
    case TYPE_Q4_1: return product<Q4_1>(w, rows, k, acts, n, out, outStride);
    case TYPE_Q5_0: return product<Q5_0>(w, rows, k, acts, n, out, outStride);
    case TYPE_Q8_0: return product<Q8_0>(w, rows, k, acts, n, out, outStride);
    case TYPE_Q3_K: return product<Q3_K>(w, rows, k, acts, n, out, outStride);
    case TYPE_Q4_K: return product<Q4_K>(w, rows, k, acts, n, out, outStride);
    case TYPE_Q5_K: return product<Q5_K>(w, rows, k, acts, n, out, outStride);
    case TYPE_Q6_K: return product<Q6_K>(w, rows, k, acts, n, out, outStride);
    case TYPE_MXFP4: return product<MXFP4>(w, rows, k, acts, n, out, outStride);
    case TYPE_NVFP4S: // packed as NVFP4
    case TYPE_NVFP4: return product<NVFP4>(w, rows, k, acts, n, out, outStride);
    default: unreachable();
  }
  return 0;
}

/**
 * The same of one token, where the quants of column i lie at the i-th address of `columns` and the
 * matrix's factors at `factors`. What is no address of a column counts as the memory's last one.
 */
export function matmul_q8_columns_at(
  type: u32,
  factors: usize,
  columns: usize,
  rows: u32,
  k: u32,
  acts: usize,
  out: usize,
): u32 {
  if ((rows & <u32>(COLUMN_GROUP_ROWS - 1)) != 0) unreachable();
  check_bytes(acts, tile_bytes(1, k));
  check_bytes(out, <u64>rows << 2);
  switch (type) {
    case TYPE_Q4_0: return product_at<Q4_0>(factors, columns, rows, k, acts, out);
    case TYPE_E0M4: // packed as Q4_1
    case TYPE_Q4_1: return product_at<Q4_1>(factors, columns, rows, k, acts, out);
    case TYPE_Q5_0: return product_at<Q5_0>(factors, columns, rows, k, acts, out);
    case TYPE_Q8_0: return product_at<Q8_0>(factors, columns, rows, k, acts, out);
    case TYPE_Q3_K: return product_at<Q3_K>(factors, columns, rows, k, acts, out);
    case TYPE_Q4_K: return product_at<Q4_K>(factors, columns, rows, k, acts, out);
    case TYPE_Q5_K: return product_at<Q5_K>(factors, columns, rows, k, acts, out);
    case TYPE_Q6_K: return product_at<Q6_K>(factors, columns, rows, k, acts, out);
    case TYPE_MXFP4: return product_at<MXFP4>(factors, columns, rows, k, acts, out);
    case TYPE_NVFP4S: // packed as NVFP4
    case TYPE_NVFP4: return product_at<NVFP4>(factors, columns, rows, k, acts, out);
    default: unreachable();
  }
  return 0;
}

function product<F>(
  w: usize,
  rows: u32,
  k: u32,
  acts: usize,
  n: u32,
  out: usize,
  outStride: u32,
): u32 {
  const blocks = blocks_of<F>(k);
  check_blocks<F>(w, rows, blocks);
  if (blocks == 0) unreachable();
  const forms = acts + <usize>records_bytes(n, k);
  if (n == 1) {
    return add_columns<F>(w, 0, all_factors<F>(w, rows, blocks), rows, blocks, acts, out, forms);
  }
  if (can_sum_fours<F>() && sums_by_fours<F>()) {
    multiply_forms<F, Fours>(w, rows, blocks, acts, n, out, outStride, forms);
  } else {
    if (is_wide<F>()) multiply_forms<F, Signs>(w, rows, blocks, acts, n, out, outStride, forms);
    else multiply_forms<F, Pairs>(w, rows, blocks, acts, n, out, outStride, forms);
  }
  return k;
}

function product_at<F>(
  factors: usize,
  columns: usize,
  rows: u32,
  k: u32,
  acts: usize,
  out: usize,
): u32 {
  const blocks = blocks_of<F>(k);
  if (blocks == 0) unreachable();
  check_factors<F>(factors, rows, blocks);
  check_bytes(columns, <u64>blocks << 7);
  const lists = acts + <usize>records_bytes(1, k);
  return add_columns<F>(0, columns, factors, rows, blocks, acts, out, lists);
}

@inline
function blocks_of<F>(k: u32): u32 {
  const columns: u32 = 32 * (8 / changetype<F>(0).superblockBlocks);
  return blocks_in<F>(k / columns + u32(k % columns != 0));
}

/**
 * One token; columns: addresses of all columns' quants, or 0: they lie at w one behind the other.
 * Run by run: a run is a block, or half of one (`runs_halves`). While a run
 * is added up, the columns of the next one that has any are fetched. `lists`: 640 bytes of scratch.
 */
function add_columns<F>(
  w: usize,
  columns: usize,
  allFactors: usize,
  rows: u32,
  blocks: u32,
  acts: usize,
  out: usize,
  lists: usize,
): u32 {
  memory.fill(out, 0, <usize>rows << 2);
  const runs = runs_halves<F>() ? blocks << 1 : blocks;
  let read: u32 = 0, seen: u32 = 0, turn: u32 = 0;
  let run = find_run<F>(w, columns, rows, 0, runs, acts, lists, 0);
  while (run < runs) {
    const next = find_run<F>(w, columns, rows, run + 1, runs, acts, lists, turn ^ 1);
    const list = lists + turn * LIST_BYTES, end = <usize>load<u32>(lists + 4 * turn, ENDS);
    const after = lists + (turn ^ 1) * LIST_BYTES;
    const afterEnd = <usize>load<u32>(lists + 4 * (turn ^ 1), ENDS);
    const b = block_of<F>(run);
    const half = runs_halves<F>() ? run & 1 : 0;
    const factors = factors_at<F>(allFactors, rows, run);
    const nextFactors = next < runs ? factors_at<F>(allFactors, rows, next) : factors;
    read += <u32>(end - list) >> 3;
    seen |= add_listed_columns<F>(
      superblock_at<F>(allFactors, rows, b >> 3), factors, rows,
      acts + (b >> 3) * RECORD_BYTES + 4 * (b & 7), half,
      out, list, end, nextFactors, after, afterEnd,
    );
    run = next;
    turn ^= 1;
  }
  store<u32>(lists, seen, SEEN); // lest a compiler finds that nobody wants what was fetched
  return read;
}

@inline
function block_of<F>(run: u32): u32 {
  return runs_halves<F>() ? run >> 1 : run;
}

/** Where the factors of a run are that are not its superblock's. */
@inline
function factors_at<F>(allFactors: usize, rows: u32, run: u32): usize {
  const factors = factors_of<F>(allFactors, rows, block_of<F>(run));
  return scales_halves<F>() ? factors + (run & 1) * rows : factors;
}

/** The first run from `run` on with columns that count; they are listed. */
function find_run<F>(
  w: usize,
  columns: usize,
  rows: u32,
  run: u32,
  runs: u32,
  acts: usize,
  lists: usize,
  turn: u32,
): u32 {
  const list = lists + turn * LIST_BYTES;
  // In bounds: factors take more room than a column.
  const last = <u32>((<u64>(<u32>memory.size()) << 16) - column_bytes<F>(rows));
  let end = list;
  for (; run < runs; run++) {
    const b = block_of<F>(run);
    const lane = acts + (b >> 3) * RECORD_BYTES + 4 * (b & 7);
    const half = runs_halves<F>() ? run & 1 : 0;
    end = columns == 0
      ? list_columns<F>(lane, quants_of<F>(w, rows, b), column_bytes<F>(rows), 0, half, list)
      : list_columns<F>(lane, columns + 4 * BLOCK * b, 4, last, half, list);
    const scale = load<f32>(lane, RECORD_SCALES);
    // What is not finite is not skipped: its products are NaN.
    if (end != list || scale - scale != 0) break;
  }
  store<u32>(lists + 4 * turn, <u32>end, ENDS);
  return run;
}

/**
 * Addresses and int8 activations, as i32, of a run's columns that count; the list's end. first: of
 * the block's columns, `step` bytes apart, or, with the last address that may be, of their
 * addresses.
 */
@inline
function list_columns<F>(
  lane: usize,
  first: usize,
  step: u32,
  last: u32,
  half: u32,
  list: usize,
): usize {
  for (let place: u32 = 0; place < 8; place++, first += 2 * step) {
    let four = load<i32>(lane + 32 * place);
    if (runs_halves<F>()) four = half == 0 ? four & 0xffff : four & 0xffff0000;
    if (four == 0) continue;
    list = list_column(first, last, (four << 24) >> 24, list);
    list = list_column(first + step, last, (four << 16) >> 24, list);
    list = list_column(first + 16 * step, last, (four << 8) >> 24, list);
    list = list_column(first + 17 * step, last, four >> 24, list);
  }
  return list;
}

@inline
function list_column(column: usize, last: u32, activation: i32, list: usize): usize {
  store<u32>(list, last == 0 ? <u32>column : min(load<u32>(column), last));
  store<i32>(list, activation, 4);
  return activation == 0 ? list : list + 8;
}
