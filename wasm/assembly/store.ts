// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * New keys and values into the cache, each to its place in the block that the sequence's table
 * names: src/memory/kv_layout.ts. Contract:
 * wasm/kernels.ts. T = i16 stores integers and a scale per head and position: the largest element
 * becomes ±KV_LEVEL_MAX. What is not finite gives a scale that is not, so that it stays visible.
 */
import { KV_BLOCK_POSITIONS, KV_LEVEL_MAX } from "../../src/memory/kv_layout";
import { key_piece_bytes, padded_dim, scales_of, value_piece_bytes } from "./attention_call";
import { check_bytes, check_f32_rows } from "./bounds";

/** Rows that two integer values of each column lie in, side by side. */
const PAIRED_ROWS: u32 = KV_BLOCK_POSITIONS / 2;
/** Scales below it count as 0. */
const SMALLEST: f32 = 1e-36;

export function store_keys_i16(
  src: usize,
  srcStride: u32,
  cache: usize,
  table: usize,
  blocks: u32,
  p0: u32,
  n: u32,
  kvHeads: u32,
  headDim: u32,
): void {
  store_keys<i16>(src, srcStride, cache, table, blocks, p0, n, kvHeads, headDim);
}

export function store_keys_f32(
  src: usize,
  srcStride: u32,
  cache: usize,
  table: usize,
  blocks: u32,
  p0: u32,
  n: u32,
  kvHeads: u32,
  headDim: u32,
): void {
  store_keys<f32>(src, srcStride, cache, table, blocks, p0, n, kvHeads, headDim);
}

export function store_values_i16(
  src: usize,
  srcStride: u32,
  cache: usize,
  table: usize,
  blocks: u32,
  p0: u32,
  n: u32,
  kvHeads: u32,
  headDim: u32,
): void {
  store_values<i16>(src, srcStride, cache, table, blocks, p0, n, kvHeads, headDim);
}

export function store_values_f32(
  src: usize,
  srcStride: u32,
  cache: usize,
  table: usize,
  blocks: u32,
  p0: u32,
  n: u32,
  kvHeads: u32,
  headDim: u32,
): void {
  store_values<f32>(src, srcStride, cache, table, blocks, p0, n, kvHeads, headDim);
}

/** Element i of head g of token t goes to column (p0 + t) % 32 of row i, or of row pair i / 2. */
function store_keys<T>(
  src: usize,
  srcStride: u32,
  cache: usize,
  table: usize,
  blocks: u32,
  p0: u32,
  n: u32,
  kvHeads: u32,
  headDim: u32,
): void {
  const pieceBytes = key_piece_bytes<T>(headDim);
  check(src, srcStride, cache, table, blocks, p0, n, kvHeads, headDim, pieceBytes);
  for (let t: u32 = 0; t < n; t++) {
    const position = p0 + t, column = (position % KV_BLOCK_POSITIONS) << 2;
    let piece = cache + block_at(table, position, blocks) * kvHeads * pieceBytes;
    let from = src + ((t * srcStride) << 2);
    for (let g: u32 = 0; g < kvHeads; g++) {
      if (isFloat<T>()) {
        store_key_floats(from, piece + column, headDim);
      } else {
        const scale = scale_of(from, headDim);
        store<f32>(scales_of(piece, headDim) + column, scale);
        store_key_integers(from, piece + column, headDim, scale);
      }
      from += headDim << 2;
      piece += pieceBytes;
    }
  }
}

/** Elements 128 bytes apart. */
function store_key_floats(from: usize, to: usize, headDim: u32): void {
  for (let i = headDim; i != 0; i -= 4) {
    const x = v128.load(from);
    v128.store_lane<u32>(to, x, 0);
    v128.store_lane<u32>(to, x, 1, 128);
    v128.store_lane<u32>(to, x, 2, 256);
    v128.store_lane<u32>(to, x, 3, 384);
    from += 16;
    to += 512;
  }
}

/** Pairs of elements 128 bytes apart. */
function store_key_integers(from: usize, to: usize, headDim: u32, scale: f32): void {
  const inverse = inverse_of(scale);
  for (let i = headDim; i != 0; i -= 4) {
    const x = integers(v128.load(from), inverse);
    const both = i16x8.narrow_i32x4_s(x, x);
    v128.store_lane<u32>(to, both, 0);
    v128.store_lane<u32>(to, both, 1, 128);
    from += 16;
    to += 256;
  }
}

/**
 * Head g of token t goes to row (p0 + t) % 32; of integers to one half of row (p0 + t) % 16.
 * Columns behind headDim are left as they are.
 */
function store_values<T>(
  src: usize,
  srcStride: u32,
  cache: usize,
  table: usize,
  blocks: u32,
  p0: u32,
  n: u32,
  kvHeads: u32,
  headDim: u32,
): void {
  const padded = padded_dim(headDim), pieceBytes = value_piece_bytes<T>(headDim);
  check(src, srcStride, cache, table, blocks, p0, n, kvHeads, headDim, pieceBytes);
  for (let t: u32 = 0; t < n; t++) {
    const position = p0 + t, row = position % KV_BLOCK_POSITIONS;
    let piece = cache + block_at(table, position, blocks) * kvHeads * pieceBytes;
    let from = src + ((t * srcStride) << 2);
    for (let g: u32 = 0; g < kvHeads; g++) {
      if (isFloat<T>()) {
        memory.copy(piece + ((row * padded) << 2), from, headDim << 2);
      } else {
        const scale = scale_of(from, headDim);
        store<f32>(scales_of(piece, padded) + (row << 2), scale);
        const to = piece + ((row % PAIRED_ROWS * padded) << 2) + (row / PAIRED_ROWS << 1);
        store_value_integers(from, to, headDim, scale);
      }
      from += headDim << 2;
      piece += pieceBytes;
    }
  }
}

/** Elements 4 bytes apart: another position's lie between them. */
function store_value_integers(from: usize, to: usize, headDim: u32, scale: f32): void {
  const inverse = inverse_of(scale);
  for (let i = headDim; i != 0; i -= 4) {
    const x = integers(v128.load(from), inverse);
    v128.store_lane<u16>(to, x, 0);
    v128.store_lane<u16>(to, x, 2, 4);
    v128.store_lane<u16>(to, x, 4, 8);
    v128.store_lane<u16>(to, x, 6, 12);
    from += 16;
    to += 16;
  }
}

/** Number of the block that holds a position of the sequence; what is no block is the last one. */
@inline
export function block_at(table: usize, position: u32, blocks: u32): u32 {
  return min(load<u32>(table + (position / KV_BLOCK_POSITIONS << 2)), blocks - 1);
}

/** What a unit of a head's integers is worth; not finite where an element is not. */
function scale_of(from: usize, headDim: u32): f32 {
  let top = f32x4.splat(0);
  for (let i = headDim; i != 0; i -= 4, from += 16) {
    top = f32x4.max(top, f32x4.abs(v128.load(from)));
  }
  const halves = f32x4.max(top, i32x4.shuffle(top, top, 2, 3, 0, 1));
  const all = f32x4.max(halves, i32x4.shuffle(halves, halves, 1, 0, 3, 2));
  return f32x4.extract_lane(all, 0) / <f32>KV_LEVEL_MAX;
}

/** 1 / scale; 0 where elements are so small that it would not be finite. */
@inline
function inverse_of(scale: f32): f32 {
  return scale > SMALLEST ? 1 / scale : 0;
}

/** To the nearest; what is not a number becomes 0. */
@inline
function integers(x: v128, inverse: f32): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(x, f32x4.splat(inverse))));
}

/** Traps unless everything that positions p0 .. p0+n-1 touch is in the memory. */
function check(
  src: usize,
  srcStride: u32,
  cache: usize,
  table: usize,
  blocks: u32,
  p0: u32,
  n: u32,
  kvHeads: u32,
  headDim: u32,
  pieceBytes: u32,
): void {
  if ((headDim & 3) != 0 || headDim >> 16 != 0 || kvHeads >> 16 != 0) unreachable();
  check_f32_rows(src, n, srcStride, <u64>kvHeads * headDim);
  const positions = <u64>p0 + n;
  const blockHeads = <u64>blocks * kvHeads;
  if (positions >> 31 != 0 || blocks == 0 || blockHeads >> 32 != 0) unreachable();
  check_bytes(cache, blockHeads * pieceBytes);
  check_bytes(table, (positions + KV_BLOCK_POSITIONS - 1) / KV_BLOCK_POSITIONS << 2);
}
