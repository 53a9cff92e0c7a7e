// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Short convolutions over the last few tokens, channel by channel, and the rows that they keep:
 * src/memory/convolution_layout.ts. Contract: wasm/kernels.ts.
 */
import { KV_BLOCK_POSITIONS } from "../../src/memory/kv_layout";
import { check_bytes, check_f32_rows } from "./bounds";
import { madd } from "./simd";
import { block_at } from "./store";

const BLOCK_ROWS: u32 = KV_BLOCK_POSITIONS;

/** Row p0 + t = a[t] ⊙ b[t], into the ring; the last rows of a block into the block, too. */
export function store_products_f32(
  a: usize,
  b: usize,
  stride: u32,
  ring: usize,
  ringRows: u32,
  ends: usize,
  endRows: u32,
  table: usize,
  blocks: u32,
  p0: u32,
  n: u32,
  width: u32,
): void {
  check_f32_rows(a, n, stride, width);
  check_f32_rows(b, n, stride, width);
  check(ring, ringRows, ends, endRows, table, blocks, p0, n, width);
  const rowBytes = width << 2;
  for (let t: u32 = 0; t < n; t++) {
    const position = p0 + t;
    const row = ring + position % ringRows * rowBytes;
    multiply(a + ((t * stride) << 2), b + ((t * stride) << 2), row, width);
    if (!is_end(position, endRows)) continue;
    memory.copy(end_row(ends, endRows, table, blocks, position, rowBytes), row, rowBytes);
  }
}

/** out[t] = gate[t] ⊙ Σ_i weights[i] ⊙ row p0 + t - taps + 1 + i; rows before 0 are zero. */
export function short_convolution_f32(
  gate: usize,
  gateStride: u32,
  ring: usize,
  ringRows: u32,
  ends: usize,
  taps: u32,
  table: usize,
  blocks: u32,
  weights: usize,
  out: usize,
  outStride: u32,
  p0: u32,
  n: u32,
  width: u32,
): void {
  const endRows = taps - 1;
  check_f32_rows(gate, n, gateStride, width);
  check_f32_rows(out, n, outStride, outStride);
  if (outStride < width) unreachable();
  check(ring, ringRows, ends, endRows, table, blocks, p0, n, width);
  const rowBytes = width << 2;
  check_bytes(weights, <u64>taps * rowBytes);
  for (let t: u32 = 0; t < n; t++) {
    const to = out + ((t * outStride) << 2);
    memory.fill(to, 0, outStride << 2);
    const end = p0 + t + 1;
    // Rows of positions from `end` - taps on, as far as there are any.
    for (let i = taps > end ? taps - end : 0; i < taps; i++) {
      const position = end + i - taps;
      // Rows of this step are in the ring, and so are those behind the last end of a block.
      const row = position < p0 && is_end(position, endRows)
        ? end_row(ends, endRows, table, blocks, position, rowBytes)
        : ring + position % ringRows * rowBytes;
      add_product(to, weights + i * rowBytes, row, width);
    }
    multiply(to, gate + ((t * gateStride) << 2), to, width);
  }
}

/** It is one of the last rows of its block. */
@inline
function is_end(position: u32, endRows: u32): bool {
  return position % BLOCK_ROWS >= BLOCK_ROWS - endRows;
}

/** Where such a row is. */
@inline
function end_row(
  ends: usize,
  endRows: u32,
  table: usize,
  blocks: u32,
  position: u32,
  rowBytes: u32,
): usize {
  const place = position % BLOCK_ROWS + endRows - BLOCK_ROWS;
  return ends + (block_at(table, position, blocks) * endRows + place) * rowBytes;
}

/** to = x ⊙ y. */
@inline
function multiply(x: usize, y: usize, to: usize, width: u32): void {
  for (let i: usize = 0, end = <usize>width << 2; i < end; i += 16) {
    v128.store(to + i, f32x4.mul(v128.load(x + i), v128.load(y + i)));
  }
}

/** to += x ⊙ y. */
@inline
function add_product(to: usize, x: usize, y: usize, width: u32): void {
  for (let i: usize = 0, end = <usize>width << 2; i < end; i += 16) {
    v128.store(to + i, madd(v128.load(x + i), v128.load(y + i), v128.load(to + i)));
  }
}

/** Traps unless all rows that positions up to p0+n-1 touch are in the memory, each with a place. */
function check(
  ring: usize,
  ringRows: u32,
  ends: usize,
  endRows: u32,
  table: usize,
  blocks: u32,
  p0: u32,
  n: u32,
  width: u32,
): void {
  const positions = <u64>p0 + n;
  if ((width & 3) != 0 || width >> 20 != 0 || positions >> 31 != 0 || blocks == 0) unreachable();
  if (endRows == 0 || endRows >= BLOCK_ROWS) unreachable();
  if (<u64>n + endRows > <u64>ringRows) unreachable();
  const rowBytes = <u64>width << 2;
  check_bytes(ring, ringRows * rowBytes);
  check_bytes(ends, <u64>blocks * endRows * rowBytes);
  check_bytes(table, (positions + BLOCK_ROWS - 1) / BLOCK_ROWS << 2);
}
