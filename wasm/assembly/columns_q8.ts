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
  superblock_factors_bytes,
} from "./columns";
import { Q3_K, Q4_K, Q5_K, Q6_K } from "./formats_256";
import { MXFP4, Q4_0, Q4_1, Q5_0, Q8_0 } from "./formats_32";
import { NVFP4 } from "./formats_64";
import { is_wide } from "./format";
import { can_sum_fours, Fours, Pairs, Signs, sums_by_fours } from "./product_sums";
import { RECORD_BYTES, RECORD_SCALES, records_bytes } from "./q8_tile";
import { fetch_block, LINE_BYTES } from "./read_ahead";
import { tile_bytes } from "./superblock_form";

/** In the scratch, behind a superblock's listed columns: where each run's ends; what was read. */
const ENDS: u32 = 2048;
const SEEN: u32 = 2112;

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
 * Superblock by superblock: the columns that count are listed run by run (a run is a block, or half
 * of one: `runs_halves`), fetched, and added up. `lists`: COLUMN_LISTS_BYTES of scratch.
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
  // In bounds: factors take more room than a column.
  const last = <u32>((<u64>(<u32>memory.size()) << 16) - column_bytes<F>(rows));
  const runsPerBlock: u32 = runs_halves<F>() ? 2 : 1;
  let read: u32 = 0, seen: u32 = 0;
  for (let first: u32 = 0; first < blocks; first += 8, acts += RECORD_BYTES) {
    const runs = runsPerBlock * min(blocks - first, 8);
    let end = lists;
    for (let run: u32 = 0; run < runs; run++) {
      const b = first + block_of<F>(run), half = runs_halves<F>() ? run & 1 : 0;
      const lane = acts + 4 * (b & 7);
      end = columns == 0
        ? list_columns<F>(lane, quants_of<F>(w, rows, b), column_bytes<F>(rows), 0, half, end)
        : list_columns<F>(lane, columns + 4 * BLOCK * b, 4, last, half, end);
      store<u32>(lists + 4 * run, <u32>end, ENDS);
    }
    seen |= fetch_columns(lists, end, column_bytes<F>(rows));
    const superblock = superblock_at<F>(allFactors, rows, first >> 3);
    const factorsBytes = superblock_factors_bytes<F>(rows, min(blocks - first, 8));
    if (end != lists) seen |= fetch_block(superblock, factorsBytes);
    read += <u32>(end - lists) >> 3;
    let list = lists;
    for (let run: u32 = 0; run < runs; run++) {
      const b = first + block_of<F>(run);
      const lane = acts + 4 * (b & 7), scale = load<f32>(lane, RECORD_SCALES);
      const listEnd = <usize>load<u32>(lists + 4 * run, ENDS);
      // What is not finite is not skipped: its products are NaN.
      if (listEnd != list || scale - scale != 0) {
        add_listed_columns<F>(
          superblock, factors_at<F>(allFactors, rows, b, run), rows,
          lane, runs_halves<F>() ? run & 1 : 0, out, list, listEnd,
        );
      }
      list = listEnd;
    }
  }
  store<u32>(lists, seen, SEEN); // lest a compiler finds that nobody wants what was fetched
  return read;
}

/**
 * Reads a word of each line of the listed columns, eight side by side: a miss is waited for with
 * many others, where between products it would be alone (NOTES.md).
 */
function fetch_columns(list: usize, end: usize, columnBytes: u32): u32 {
  let seen: u32 = 0;
  const last = end - 8;
  for (let at = list; at < end; at += 64) {
    const a = load<u32>(at), b = load<u32>(min(at + 8, last));
    const c = load<u32>(min(at + 16, last)), d = load<u32>(min(at + 24, last));
    const e = load<u32>(min(at + 32, last)), f = load<u32>(min(at + 40, last));
    const g = load<u32>(min(at + 48, last)), h = load<u32>(min(at + 56, last));
    for (let l: u32 = 0; l < columnBytes; l += LINE_BYTES) {
      seen |= load<u32>(a + l) | load<u32>(b + l) | load<u32>(c + l) | load<u32>(d + l);
      seen |= load<u32>(e + l) | load<u32>(f + l) | load<u32>(g + l) | load<u32>(h + l);
    }
  }
  return seen;
}

@inline
function block_of<F>(run: u32): u32 {
  return runs_halves<F>() ? run >> 1 : run;
}

/** Where the factors of a run of block b are that are not its superblock's. */
@inline
function factors_at<F>(allFactors: usize, rows: u32, b: u32, run: u32): usize {
  const factors = factors_of<F>(allFactors, rows, b);
  return scales_halves<F>() ? factors + (run & 1) * rows : factors;
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
