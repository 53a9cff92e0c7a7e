// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * The products of matmul_float_f32.ts, of many tokens: the same sums in the same order, hence the
 * same bits. Rows of 16 bits are widened once for all tokens, some rows at a time, which stay in
 * the L2 cache; and columns pass in blocks, so that what four tokens have of a block stays in the
 * L1 cache while all these rows pass. Between blocks sums wait in scratch. Contract:
 * wasm/kernels.ts.
 */
import { check_bytes, check_f32_rows, check_rows } from "./bounds";
import { dequantize_row_bf16, dequantize_row_f16 } from "./dequantize";
import { join_pair, madd, opaque, store_lanes, sum_lanes_4 } from "./simd";

/** Bytes of rows that pass while they stay in the L2 cache, and how many rows at most. */
const PANEL_BYTES: u32 = 256 << 10;
const PANEL_ROWS: u32 = 64;
/** Columns of a block at most: of four tokens and two rows 28 KiB. */
const BLOCK_COLUMNS: u32 = 1200;
const TILE_TOKENS: u32 = 4;
/** Sums of two rows and four tokens, eight lanes each. */
const PAIR_BYTES: u32 = 2 * TILE_TOKENS * 32;
const SUMS_BYTES: u32 = (PANEL_ROWS >> 1) * PAIR_BYTES;

const TYPE_F32: u32 = 0;
const TYPE_F16: u32 = 1;
const TYPE_BF16: u32 = 30;

/** Bytes of scratch, exact as f64. */
export function matmul_long_scratch_bytes(): f64 {
  return <f64>(SUMS_BYTES + PANEL_BYTES);
}

export function matmul_long_f32(
  type: u32,
  w: usize,
  rowStride: u32,
  rows: u32,
  k: u32,
  x: usize,
  xStride: u32,
  n: u32,
  out: usize,
  outStride: u32,
  scratch: usize,
): void {
  if (type != TYPE_F32 && type != TYPE_F16 && type != TYPE_BF16) unreachable();
  const columns = (<u64>k + 15) & ~15;
  check_rows(w, rows, rowStride, columns << (type == TYPE_F32 ? 2 : 1));
  check_f32_rows(x, n, xStride, columns);
  check_f32_rows(out, n, outStride, rows);
  check_bytes(scratch, SUMS_BYTES + PANEL_BYTES);
  const widenedBytes = <u32>columns << 2;
  const panelRows = min(PANEL_ROWS, PANEL_BYTES / max<u32>(widenedBytes, 1) & ~1);
  if (columns > PANEL_BYTES >> 3) unreachable();
  const panel = scratch + SUMS_BYTES;
  for (let first: u32 = 0; first < rows; first += panelRows) {
    const count = min(panelRows, rows - first);
    let from = w + first * rowStride, step = rowStride;
    if (type != TYPE_F32) {
      widen_rows(type, from, rowStride, count, <u32>columns, panel);
      from = panel;
      step = widenedBytes;
    }
    for (let t: u32 = 0; t < n; t += TILE_TOKENS) {
      const valid = min(n - t, TILE_TOKENS);
      const tokens = x + ((t * xStride) << 2);
      multiply_blocks(from, step, count, <u32>columns, tokens, xStride << 2, valid, scratch);
      const to = out + ((t * outStride + first) << 2);
      store_sums(scratch, count, to, outStride << 2, valid);
    }
  }
}

function widen_rows(
  type: u32,
  w: usize,
  rowStride: u32,
  rows: u32,
  columns: u32,
  to: usize,
): void {
  for (let r: u32 = 0; r < rows; r++) {
    if (type == TYPE_F16) dequantize_row_f16(w, columns, to);
    else dequantize_row_bf16(w, columns, to);
    w += rowStride;
    to += columns << 2;
  }
}

/** Sums of `rows` rows and `valid` tokens, at most four, two rows at a time. */
function multiply_blocks(
  w: usize,
  rowStep: u32,
  rows: u32,
  columns: u32,
  x: usize,
  xStep: u32,
  valid: u32,
  sums: usize,
): void {
  memory.fill(sums, 0, ((rows + 1) >> 1) * PAIR_BYTES);
  const blocks = (columns + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS;
  // Tokens beyond `valid` are the first one again.
  const x1 = valid > 1 ? xStep : 0, x2 = valid > 2 ? 2 * xStep : 0, x3 = valid > 3 ? 3 * xStep : 0;
  for (let block: u32 = 0; block < blocks; block++) {
    const begin = columns * block / blocks & ~7, end = columns * (block + 1) / blocks & ~7;
    const steps = (end - begin) >> 3;
    const at = x + (begin << 2);
    let from = w + (begin << 2), to = sums;
    for (let r: u32 = 0; r < rows; r += 2) {
      const second = r + 1 < rows ? rowStep : 0; // an odd last row is computed twice
      add_products(from, second, steps, at, at + x1, at + x2, at + x3, to);
      from += 2 * rowStep;
      to += PAIR_BYTES;
    }
  }
}

/** sums += products of two rows, rowStep bytes apart, and four tokens, eight columns a step. */
function add_products(
  w: usize,
  rowStep: u32,
  steps: u32,
  x: usize,
  x1: usize,
  x2: usize,
  x3: usize,
  sums: usize,
): void {
  let a00 = v128.load(sums), a01 = v128.load(sums, 16);
  let a10 = v128.load(sums, 32), a11 = v128.load(sums, 48);
  let a20 = v128.load(sums, 64), a21 = v128.load(sums, 80);
  let a30 = v128.load(sums, 96), a31 = v128.load(sums, 112);
  let b00 = v128.load(sums, 128), b01 = v128.load(sums, 144);
  let b10 = v128.load(sums, 160), b11 = v128.load(sums, 176);
  let b20 = v128.load(sums, 192), b21 = v128.load(sums, 208);
  let b30 = v128.load(sums, 224), b31 = v128.load(sums, 240);
  for (let s = steps; s != 0; s--) {
    const v = w + rowStep;
    const w0 = v128.load(w), w1 = v128.load(w, 16);
    const v0 = v128.load(v), v1 = v128.load(v, 16);
    let y0 = v128.load(x), y1 = v128.load(x, 16);
    a00 = madd(w0, y0, a00);
    a01 = madd(w1, y1, a01);
    b00 = madd(v0, y0, b00);
    b01 = madd(v1, y1, b01);
    y0 = v128.load(x1), y1 = v128.load(x1, 16);
    a10 = madd(w0, y0, a10);
    a11 = madd(w1, y1, a11);
    b10 = madd(v0, y0, b10);
    b11 = madd(v1, y1, b11);
    y0 = v128.load(x2), y1 = v128.load(x2, 16);
    a20 = madd(w0, y0, a20);
    a21 = madd(w1, y1, a21);
    b20 = madd(v0, y0, b20);
    b21 = madd(v1, y1, b21);
    y0 = v128.load(x3), y1 = v128.load(x3, 16);
    a30 = madd(w0, y0, a30);
    a31 = madd(w1, y1, a31);
    b30 = madd(v0, y0, b30);
    b31 = madd(v1, y1, b31);
    w += 32;
    x += 32;
    x1 += 32;
    x2 += 32;
    x3 += 32;
  }
  v128.store(sums, a00), v128.store(sums, a01, 16);
  v128.store(sums, a10, 32), v128.store(sums, a11, 48);
  v128.store(sums, a20, 64), v128.store(sums, a21, 80);
  v128.store(sums, a30, 96), v128.store(sums, a31, 112);
  v128.store(sums, b00, 128), v128.store(sums, b01, 144);
  v128.store(sums, b10, 160), v128.store(sums, b11, 176);
  v128.store(sums, b20, 192), v128.store(sums, b21, 208);
  v128.store(sums, b30, 224), v128.store(sums, b31, 240);
}

/** out[t, r] of `rows` rows and `valid` tokens: the sums' lanes, in the order of one token's. */
function store_sums(sums: usize, rows: u32, out: usize, outStep: u32, valid: u32): void {
  const zero = i32x4.splat(opaque(0, valid));
  for (let r: u32 = 0; r < rows; r++) {
    const a0 = join_pair(v128.load(sums), v128.load(sums, 16), 1, zero);
    const a1 = join_pair(v128.load(sums, 32), v128.load(sums, 48), 1, zero);
    const a2 = join_pair(v128.load(sums, 64), v128.load(sums, 80), 1, zero);
    const a3 = join_pair(v128.load(sums, 96), v128.load(sums, 112), 1, zero);
    store_lanes(out, outStep, valid, sum_lanes_4(a0, a1, a2, a3));
    sums += PAIR_BYTES >> 1;
    out += 4;
  }
}
