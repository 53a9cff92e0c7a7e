// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** What is common to all that work on matrices by columns (column_layout.ts): sizes, checks. */
import { check_bytes } from "./bounds";
import { is_wide } from "./format";

/** Columns of a block. */
export const BLOCK: u32 = 32;

/** Bytes of a column's quants. */
@inline
export function column_bytes<F>(rows: u32): u32 {
  return is_wide<F>() ? rows : rows >> 1;
}

/** Traps unless all blocks lie inside the memory. */
@inline
export function check_blocks<F>(w: usize, rows: u32, blocks: u32): void {
  if (rows >> 24 != 0) unreachable(); // the product below stays under 2^63
  check_bytes(w, <u64>blocks * changetype<F>(0).blockBytes * rows);
}
