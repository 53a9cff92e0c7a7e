// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** Decoding by some of a matrix's rows, which a list names: sums of gemv_q8.ts. */
import { h0_of, h1_of, h2_of, has_levels } from "./format";
import { add_superblocks, LOOKED_UP_AT, sixteens_of, sum_of } from "./gemv_q8";
import { add_levels } from "./gemv_levels";
import { add_looked_up, is_looked_up, prepare_looked_up } from "./looked_up";
import { offset_of, quant_table } from "./product_sums";
import { RECORD_BYTES } from "./q8_tile";
import { LINE_BYTES } from "./read_ahead";
import { opaque, store_lanes, sum_lanes_4 } from "./simd";
import { superblock_bytes } from "./superblock_form";
import { F16_REBIAS, F16_SIGN, F16_SIZE, F16_SMALLEST } from "./weight_bits";

/** Rows that are fetched side by side: they fit into the L1 cache. */
const FETCHED_ROWS: u32 = 8;

/**
 * The listed rows by one token, four side by side. They are too short for the prefetcher, so eight
 * at a time are fetched before they are computed with. A number that is no row counts as the last
 * one.
 */
export function gemv_rows<F, S>(
  w: usize,
  rowStride: u32,
  rows: u32,
  superblocks: u32,
  acts: usize,
  list: usize,
  count: u32,
  out: usize,
  sums: usize,
): void {
  const last = rows - 1, rowBytes = superblocks * superblock_bytes<F>();
  prepare_looked_up<F, S>(acts, RECORD_BYTES, superblocks, sums + LOOKED_UP_AT);
  let seen = fetch_rows(w, rowStride, rowBytes, list, 0, count, last);
  for (let j: u32 = 0; j < count; j += 4) {
    if (j % FETCHED_ROWS == 0) {
      seen |= fetch_rows(w, rowStride, rowBytes, list, j + FETCHED_ROWS, count, last);
    }
    // Places behind the end are the last one again.
    const a = listed(list, j, count, last), b = listed(list, j + 1, count, last);
    const c = listed(list, j + 2, count, last), d = listed(list, j + 3, count, last);
    memory.fill(sums, 0, 128);
    add_listed<F, S>(
      w + a * rowStride, w + b * rowStride, w + c * rowStride, w + d * rowStride,
      superblocks, acts, sums,
    );
    const p = sum_of(sums, superblocks), q = sum_of(sums + 32, superblocks);
    const r = sum_of(sums + 64, superblocks), t = sum_of(sums + 96, superblocks);
    store_lanes(out + 4 * j, 4, count - j, sum_lanes_4(p, q, r, t));
  }
  store<u32>(sums, seen); // lest a compiler finds that nobody wants what was fetched
}

/**
 * Reads a word of each line of the listed rows j to j + 7, side by side: a miss is waited for with
 * many others, where between products it would be alone (NOTES.md). Behind the end: nothing.
 */
function fetch_rows(
  w: usize,
  rowStride: u32,
  rowBytes: u32,
  list: usize,
  j: u32,
  count: u32,
  last: u32,
): u32 {
  if (j >= count) return 0;
  const a = w + listed(list, j, count, last) * rowStride;
  const b = w + listed(list, j + 1, count, last) * rowStride;
  const c = w + listed(list, j + 2, count, last) * rowStride;
  const d = w + listed(list, j + 3, count, last) * rowStride;
  const e = w + listed(list, j + 4, count, last) * rowStride;
  const f = w + listed(list, j + 5, count, last) * rowStride;
  const g = w + listed(list, j + 6, count, last) * rowStride;
  const h = w + listed(list, j + 7, count, last) * rowStride;
  let seen: u32 = 0;
  for (let l: u32 = 0; l < rowBytes; l += LINE_BYTES) {
    seen |= load<u32>(a + l) | load<u32>(b + l) | load<u32>(c + l) | load<u32>(d + l);
    seen |= load<u32>(e + l) | load<u32>(f + l) | load<u32>(g + l) | load<u32>(h + l);
  }
  return seen;
}

@inline
function listed(list: usize, j: u32, count: u32, last: u32): u32 {
  return min(load<u32>(list + 4 * min(j, count - 1)), last);
}

/** sums[4, 8] += the rows a to d by token. */
function add_listed<F, S>(
  a: usize,
  b: usize,
  c: usize,
  d: usize,
  superblocks: u32,
  acts: usize,
  sums: usize,
): void {
  if (is_looked_up<F>()) {
    const scratch = sums + LOOKED_UP_AT;
    add_looked_up<F, S>(a, b, superblocks, acts, RECORD_BYTES, sums, scratch, 0);
    add_looked_up<F, S>(c, d, superblocks, acts, RECORD_BYTES, sums + 64, scratch, 0);
    return;
  }
  if (has_levels<F>()) {
    const scratch = sums + LOOKED_UP_AT;
    add_levels<F, S>(a, b - a, superblocks, acts, RECORD_BYTES, sums, 1, scratch, 0);
    add_levels<F, S>(c, d - c, superblocks, acts, RECORD_BYTES, sums + 64, 1, scratch, 0);
    return;
  }
  const format = changetype<F>(0);
  const zero = i32x4.splat(opaque(0, superblocks));
  const k0 = format.k0(zero), k1 = quant_table<F, S>(zero);
  const h0 = h0_of<F>(zero), h1 = h1_of<F>(zero), h2 = h2_of<F>(zero);
  const offset = i16x8.splat(<i16>opaque(offset_of<F, S>(), superblocks));
  const ones = i16x8.splat(<i16>opaque(1, superblocks));
  const sixteens = sixteens_of<F>(ones, superblocks);
  const size = i32x4.splat(opaque(F16_SIZE, superblocks));
  const rebias = i32x4.splat(opaque(F16_REBIAS, superblocks));
  const smallest = i32x4.splat(opaque(F16_SMALLEST, superblocks));
  const sign = i32x4.splat(opaque(F16_SIGN, superblocks));
  let at: u32 = 0;
  for (let s: u32 = 0; s < superblocks; s++) {
    add_superblocks<F, S>(
      a + at, b + at, acts, sums,
      k0, k1, h0, h1, h2, offset, ones, sixteens, size, rebias, smallest, sign,
    );
    add_superblocks<F, S>(
      c + at, d + at, acts, sums + 64,
      k0, k1, h0, h1, h2, offset, ones, sixteens, size, rebias, smallest, sign,
    );
    at += superblock_bytes<F>();
    acts += RECORD_BYTES;
  }
}
