// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** What is common to all that work on matrices by columns (column_layout.ts): sizes, places. */
import { check_bytes } from "./bounds";
import { has_levels, is_wide } from "./format";

/** Columns of a block. */
export const BLOCK: u32 = 32;

/** Scratch of one token's product: 256 columns with their activations, and ends of 16 runs. */
export const COLUMN_LISTS_BYTES: u32 = 2116;

/** Has a weight two nibbles? */
@inline
export function stores_bytes<F>(): bool {
  return is_wide<F>() || changetype<F>(0).offset >= 16;
}

/** Has each half of a block its own scale? */
@inline
export function scales_halves<F>(): bool {
  return isDefined(changetype<F>(0).l) || has_small_floats<F>();
}

/** What the codes stand for, by code; or nothing. */
@inline
export function levels_of<F>(): v128 {
  if (has_levels<F>()) return changetype<F>(0).levels();
  return i32x4.splat(0);
}

/** Quants of nibbles in lanes of 8 or 16 bits: themselves, or levels, of which the first is 0. */
@inline
export function looked_up<F>(nibbles: v128, levels: v128): v128 {
  return has_levels<F>() ? i8x16.relaxed_swizzle(levels, nibbles) : nibbles;
}

/**
 * Are columns added up half a block at a time? Where halves have scales of their own, and of
 * levels, because 32 products of up to 12 · 127 do not fit into 16 bits.
 */
@inline
export function runs_halves<F>(): bool {
  return scales_halves<F>() || has_levels<F>();
}

/** Have halves of blocks floats of eight bits, and a superblock what these are multiplied by? */
@inline
export function has_small_floats<F>(): bool {
  return isDefined(changetype<F>(0).small_float);
}

/** Has a superblock factors, and a block small integers, or small floats? */
@inline
export function is_super<F>(): bool {
  return changetype<F>(0).superblockBlocks == 1 || has_small_floats<F>();
}

/** Blocks of 32 columns in `blocks` blocks of a file. */
@inline
export function blocks_in<F>(blocks: u32): u32 {
  return blocks * (8 / changetype<F>(0).superblockBlocks);
}

/** Has a block two f16 of each row, a scale and a minimum? */
@inline
export function has_minima<F>(): bool {
  return !is_super<F>() && isDefined(changetype<F>(0).c);
}

/** Bytes of a row's factors in a block. */
@inline
function factor_bytes<F>(): u32 {
  return has_minima<F>() ? 4 : 2;
}

/** Bytes of a column's quants. */
@inline
export function column_bytes<F>(rows: u32): u32 {
  return stores_bytes<F>() ? rows : rows >> 1;
}

/** Where block b's quants begin. */
@inline
export function quants_of<F>(w: usize, rows: u32, b: u32): usize {
  return w + b * (BLOCK * column_bytes<F>(rows));
}

/** Where the factors of a matrix of `blocks` blocks begin. */
@inline
export function all_factors<F>(w: usize, rows: u32, blocks: u32): usize {
  return quants_of<F>(w, rows, blocks);
}

/** Bytes in front of a superblock's factors: f32 [rows] of scales, and of minima if it has them. */
@inline
function header_bytes<F>(rows: u32): u32 {
  if (!is_super<F>()) return 0;
  return scales_halves<F>() ? rows << 2 : rows << 3;
}

/** Where superblock s's factors begin; factors: those of the matrix. */
@inline
export function superblock_at<F>(factors: usize, rows: u32, s: u32): usize {
  return factors + s * superblock_factors_bytes<F>(rows, 8);
}

/** Bytes of the factors of a superblock that has `blocks` blocks. */
@inline
export function superblock_factors_bytes<F>(rows: u32, blocks: u32): u32 {
  return header_bytes<F>(rows) + factor_bytes<F>() * blocks * rows;
}

/** Where block b's factors begin: two bytes a row, and as many behind them of minima. */
@inline
export function factors_of<F>(factors: usize, rows: u32, b: u32): usize {
  const first = superblock_at<F>(factors, rows, b >> 3) + header_bytes<F>(rows);
  return first + factor_bytes<F>() * (b & 7) * rows;
}

/** Traps unless all blocks, quants and factors, lie inside the memory. */
@inline
export function check_blocks<F>(w: usize, rows: u32, blocks: u32): void {
  check_bytes(w, <u64>blocks * (BLOCK * column_bytes<F>(rows)) + factors_bytes<F>(rows, blocks));
}

/** Traps unless the factors of all blocks do. */
@inline
export function check_factors<F>(factors: usize, rows: u32, blocks: u32): void {
  check_bytes(factors, factors_bytes<F>(rows, blocks));
}

@inline
function factors_bytes<F>(rows: u32, blocks: u32): u64 {
  if (rows >> 20 != 0 || blocks >> 24 != 0) unreachable(); // products stay under 2^63
  return (<u64>blocks + 7 >> 3) * header_bytes<F>(rows) + factor_bytes<F>() * <u64>blocks * rows;
}
