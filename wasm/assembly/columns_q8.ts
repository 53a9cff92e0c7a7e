// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Products with a matrix that is kept by columns (column_layout.ts): out[r] = Σ_i w[r, i] · act[i]
 * as a sum over columns, of which those whose quantised activation is zero are not read. The
 * integers, and so the sums over a block, are those of the dense product.
 */
import { COLUMN_GROUP_ROWS } from "../../src/memory/column_layout";
import { TYPE_Q4_0, TYPE_Q8_0 } from "../../src/memory/row_layout";
import { check_bytes, check_f32_rows } from "./bounds";
import { multiply_forms } from "./column_forms";
import { BLOCK, check_blocks, column_bytes } from "./columns";
import { is_wide } from "./format";
import { Q4_0, Q8_0 } from "./formats_32";
import { RECORD_BYTES, RECORD_SCALES, RECORD_SUMS, records_bytes } from "./q8_tile";
import { f16_bits_to_f32x4, F16_MASK, madd, opaque, TWO_POW_112 } from "./simd";
import { tile_bytes } from "./superblock_form";

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
  if (type == TYPE_Q4_0) return product<Q4_0>(w, rows, k, acts, n, out, outStride);
  if (type != TYPE_Q8_0) unreachable();
  return product<Q8_0>(w, rows, k, acts, n, out, outStride);
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
  const blocks = (k >> 5) + u32((k & 31) != 0);
  check_blocks<F>(w, rows, blocks);
  if (blocks == 0) unreachable();
  const forms = acts + <usize>records_bytes(n, k);
  if (n == 1) return add_columns<F>(w, rows, blocks, acts, out, forms);
  multiply_forms<F>(w, rows, blocks, acts, n, out, outStride, forms);
  return k;
}

// --- one token -----------------------------------------------------------------------------------

/** `list`: 256 bytes of scratch. */
function add_columns<F>(
  w: usize,
  rows: u32,
  blocks: u32,
  acts: usize,
  out: usize,
  list: usize,
): u32 {
  memory.fill(out, 0, <usize>rows << 2);
  const columnBytes = column_bytes<F>(rows);
  let read: u32 = 0;
  for (let b: u32 = 0; b < blocks; b++) {
    const lane = acts + (b >> 3) * RECORD_BYTES + 4 * (b & 7);
    const end = list_columns(lane, w, columnBytes, list);
    const scale = load<f32>(lane, RECORD_SCALES);
    // What is not finite is not skipped: its products are NaN.
    if (end != list || scale - scale != 0) {
      read += <u32>(end - list) >> 3;
      add_block<F>(w + BLOCK * columnBytes, columnBytes, lane, scale, out, list, end);
    }
    w += changetype<F>(0).blockBytes * rows;
  }
  return read;
}

/** Addresses and int8 activations, as i32, of a block's columns that count; the list's end. */
@inline
function list_columns(lane: usize, w: usize, columnBytes: u32, list: usize): usize {
  for (let place: u32 = 0; place < 8; place++) {
    const four = load<i32>(lane + 32 * place);
    if (four == 0) continue;
    const first = w + 2 * place * columnBytes;
    list = list_column(first, (four << 24) >> 24, list);
    list = list_column(first + columnBytes, (four << 16) >> 24, list);
    list = list_column(first + 16 * columnBytes, (four << 8) >> 24, list);
    list = list_column(first + 17 * columnBytes, four >> 24, list);
  }
  return list;
}

@inline
function list_column(column: usize, activation: i32, list: usize): usize {
  store<u32>(list, <u32>column);
  store<i32>(list, activation, 4);
  return activation == 0 ? list : list + 8;
}

/** out += the listed columns of a block by their activations and scales. */
@inline
function add_block<F>(
  scales: usize,
  columnBytes: u32,
  lane: usize,
  scale: f32,
  out: usize,
  list: usize,
  end: usize,
): void {
  // −8 · Σ of the activations: it ends in 16 bits, whatever it passes on the way.
  const offset = 8 * (<i32>load<i16>(lane, RECORD_SUMS) + <i32>load<i16>(lane, RECORD_SUMS + 2));
  const start = i16x8.splat(<i16>offset);
  const low = i16x8.splat(<i16>opaque(15, columnBytes));
  const even = i32x4.splat(opaque(1, columnBytes)), odd = i32x4.splat(opaque(1 << 16, columnBytes));
  const mask = i32x4.splat(opaque(F16_MASK, columnBytes));
  const owed = f32x4.splat(TWO_POW_112);
  const factor = f32x4.splat(scale);
  const rest = i32x4.splat(offset);
  scales -= 16; // V8 pairs extending loads only where neither offset is 0
  for (let c: u32 = 0; c < columnBytes; c += 32) {
    let a0 = start, a1 = start, a2 = start, a3 = start;
    let b0 = start, b1 = start, b2 = start, b3 = start;
    for (let at = list; at != end; at += 8) {
      const column = <usize>load<u32>(at) + c;
      const by = v128.load_splat<i16>(at, 4);
      const x = v128.load(column), y = v128.load(column, 16);
      a0 = i16x8.add(a0, i16x8.mul(v128.and(x, low), by));
      b0 = i16x8.add(b0, i16x8.mul(v128.and(y, low), by));
      a1 = i16x8.add(a1, i16x8.mul(v128.and(i16x8.shr_u(x, 4), low), by));
      b1 = i16x8.add(b1, i16x8.mul(v128.and(i16x8.shr_u(y, 4), low), by));
      a2 = i16x8.add(a2, i16x8.mul(v128.and(i16x8.shr_u(x, 8), low), by));
      b2 = i16x8.add(b2, i16x8.mul(v128.and(i16x8.shr_u(y, 8), low), by));
      a3 = i16x8.add(a3, i16x8.mul(i16x8.shr_u(x, 12), by));
      b3 = i16x8.add(b3, i16x8.mul(i16x8.shr_u(y, 12), by));
    }
    if (is_wide<F>()) {
      add_wide(out, scales, a0, a1, b0, b1, even, odd, rest, mask, owed, factor);
      add_wide(out + 64, scales + 32, a2, a3, b2, b3, even, odd, rest, mask, owed, factor);
      out += 128;
      scales += 64;
    } else {
      add_sixteen(out, scales, a0, b0, even, odd, mask, owed, factor);
      add_sixteen(out + 64, scales + 32, a1, b1, even, odd, mask, owed, factor);
      add_sixteen(out + 128, scales + 64, a2, b2, even, odd, mask, owed, factor);
      add_sixteen(out + 192, scales + 96, a3, b3, even, odd, mask, owed, factor);
      out += 256;
      scales += 128;
    }
  }
}

/** Sixteen outputs: the even lanes of a and b, then the odd ones. */
@inline
function add_sixteen(
  out: usize,
  scales: usize,
  a: v128,
  b: v128,
  even: v128,
  odd: v128,
  mask: v128,
  owed: v128,
  factor: v128,
): void {
  add_eight(
    out, scales, i32x4.dot_i16x8_s(a, even), i32x4.dot_i16x8_s(b, even), mask, owed, factor,
  );
  add_eight(
    out + 32, scales + 16, i32x4.dot_i16x8_s(a, odd), i32x4.dot_i16x8_s(b, odd),
    mask, owed, factor,
  );
}

/** The same of 8-bit weights: 16 · (high − 8) + (low − 8) + 8, whose last part is in −rest. */
@inline
function add_wide(
  out: usize,
  scales: usize,
  a: v128,
  A: v128,
  b: v128,
  B: v128,
  even: v128,
  odd: v128,
  rest: v128,
  mask: v128,
  owed: v128,
  factor: v128,
): void {
  add_eight(
    out, scales, wide(a, A, even, rest), wide(b, B, even, rest), mask, owed, factor,
  );
  add_eight(
    out + 32, scales + 16, wide(a, A, odd, rest), wide(b, B, odd, rest), mask, owed, factor,
  );
}

@inline
function wide(low: v128, high: v128, which: v128, rest: v128): v128 {
  const sum = i32x4.add(
    i32x4.dot_i16x8_s(low, which),
    i32x4.shl(i32x4.dot_i16x8_s(high, which), 4),
  );
  return i32x4.sub(sum, rest);
}

@inline
function add_eight(
  out: usize,
  scales: usize,
  a: v128,
  b: v128,
  mask: v128,
  owed: v128,
  factor: v128,
): void {
  const d = f32x4.mul(f16_bits_to_f32x4(v128.load_ext<i16>(scales, 16), mask), owed);
  const e = f32x4.mul(f16_bits_to_f32x4(v128.load_ext<i16>(scales, 24), mask), owed);
  const p = madd(f32x4.convert_i32x4_s(a), f32x4.mul(d, factor), v128.load(out));
  const q = madd(f32x4.convert_i32x4_s(b), f32x4.mul(e, factor), v128.load(out, 16));
  v128.store(out, p);
  v128.store(out, q, 16);
}
