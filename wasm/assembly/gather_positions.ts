// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Keys and values of listed positions side by side, in blocks of their own that lie as the cache's
 * do, so that attention reads them as it reads a sequence. Contract: wasm/chosen_kernels.ts; layout
 * of the cache: src/memory/kv_layout.ts.
 */
import {
  BLOCK_POSITIONS,
  key_piece_bytes,
  padded_dim,
  scales_of,
  value_piece_bytes,
} from "./attention_call";
import { check_bytes } from "./bounds";
import { block_at } from "./store";

/** Rows that two integer values of each column lie in, side by side. */
const PAIRED_ROWS: u32 = BLOCK_POSITIONS / 2;
/** From one dimension of keys, or pair of them, to the next. */
const ROW_BYTES: u32 = BLOCK_POSITIONS * 4;

export function gather_positions_i16(
  keys: usize,
  values: usize,
  table: usize,
  blocks: u32,
  list: usize,
  count: u32,
  positions: u32,
  headDim: u32,
  valueDim: u32,
  toKeys: usize,
  toValues: usize,
  toTable: usize,
): void {
  gather_positions<i16>(
    keys, values, table, blocks, list, count, positions, headDim, valueDim,
    toKeys, toValues, toTable,
  );
}

export function gather_positions_f32(
  keys: usize,
  values: usize,
  table: usize,
  blocks: u32,
  list: usize,
  count: u32,
  positions: u32,
  headDim: u32,
  valueDim: u32,
  toKeys: usize,
  toValues: usize,
  toTable: usize,
): void {
  gather_positions<f32>(
    keys, values, table, blocks, list, count, positions, headDim, valueDim,
    toKeys, toValues, toTable,
  );
}

function gather_positions<T>(
  keys: usize,
  values: usize,
  table: usize,
  blocks: u32,
  list: usize,
  count: u32,
  positions: u32,
  headDim: u32,
  valueDim: u32,
  toKeys: usize,
  toValues: usize,
  toTable: usize,
): void {
  if ((headDim & 3) != 0 || headDim >> 16 != 0 || valueDim > headDim) unreachable();
  if (blocks == 0 || count >> 24 != 0 || positions >> 31 != 0) unreachable();
  if (count == 0 || positions == 0) return;
  const keyBytes = key_piece_bytes<T>(headDim), valueBytes = value_piece_bytes<T>(valueDim);
  const made = (count + BLOCK_POSITIONS - 1) / BLOCK_POSITIONS;
  check_bytes(keys, <u64>blocks * keyBytes);
  check_bytes(values, <u64>blocks * valueBytes);
  check_bytes(list, <u64>count << 2);
  check_bytes(table, (<u64>positions + BLOCK_POSITIONS - 1) / BLOCK_POSITIONS << 2);
  check_bytes(toKeys, <u64>made * keyBytes);
  check_bytes(toValues, <u64>made * valueBytes);
  check_bytes(toTable, <u64>made << 2);
  for (let block: u32 = 0; block < made; block++) store<u32>(toTable + (block << 2), block);
  for (let i: u32 = 0; i < count; i++) {
    const position = min(load<u32>(list + (i << 2)), positions - 1);
    const from = block_at(table, position, blocks), row = position % BLOCK_POSITIONS;
    const to = i / BLOCK_POSITIONS, toRow = i % BLOCK_POSITIONS;
    copy_key<T>(keys + from * keyBytes, row, toKeys + to * keyBytes, toRow, headDim);
    copy_value<T>(values + from * valueBytes, row, toValues + to * valueBytes, toRow, valueDim);
  }
}

/** A column of words, and the scale of integers. */
function copy_key<T>(piece: usize, row: u32, toPiece: usize, toRow: u32, headDim: u32): void {
  let from = piece + (row << 2), to = toPiece + (toRow << 2);
  for (let i: u32 = isFloat<T>() ? headDim : headDim >> 1; i != 0; i -= 2) {
    const a = load<u32>(from), b = load<u32>(from, ROW_BYTES);
    store<u32>(to, a);
    store<u32>(to, b, ROW_BYTES);
    from += 2 * ROW_BYTES;
    to += 2 * ROW_BYTES;
  }
  if (isFloat<T>()) return;
  const scale = load<f32>(scales_of(piece, headDim) + (row << 2));
  store<f32>(scales_of(toPiece, headDim) + (toRow << 2), scale);
}

/** A row of floats; or one half of each word of a row, into one half of another's. */
function copy_value<T>(piece: usize, row: u32, toPiece: usize, toRow: u32, valueDim: u32): void {
  const padded = padded_dim(valueDim);
  if (isFloat<T>()) {
    memory.copy(toPiece + ((toRow * padded) << 2), piece + ((row * padded) << 2), padded << 2);
    return;
  }
  const from = piece + ((row % PAIRED_ROWS * padded) << 2);
  const to = toPiece + ((toRow % PAIRED_ROWS * padded) << 2);
  const fromShift = <i32>(row / PAIRED_ROWS << 4), isUpper = toRow >= PAIRED_ROWS;
  const low = i32x4.splat(0xffff);
  for (let at: u32 = 0; at < padded << 2; at += 16) {
    const half = v128.and(i32x4.shr_u(v128.load(from + at), fromShift), low);
    // Lower halves come first: what was in the upper one before is of no use.
    v128.store(to + at, isUpper ? v128.or(v128.load(to + at), i32x4.shl(half, 16)) : half);
  }
  const scale = load<f32>(scales_of(piece, padded) + (row << 2));
  store<f32>(scales_of(toPiece, padded) + (toRow << 2), scale);
}
