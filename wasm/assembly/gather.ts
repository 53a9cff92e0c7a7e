// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** Rows, of activations or of bytes, picked by a list of numbers and brought back from it. */
import { check_bytes, check_f32_rows, check_rows } from "./bounds";
import { add_row, add_scaled_row } from "./elementwise";
import { group_tokens, RECORD_BYTES, superblocks_of, records_bytes } from "./q8_tile";

/** out[j, i] = x[rows[j], i], zero for i in d..outStride. */
export function gather_rows_f32(
  x: usize,
  xStride: u32,
  xRows: u32,
  rows: usize,
  n: u32,
  out: usize,
  outStride: u32,
  d: u32,
): void {
  check_lists(x, xStride, xRows, rows, n, d);
  check_f32_rows(out, n, outStride, max(d, outStride));
  for (let j: u32 = 0; j < n; j++) {
    const to = out + ((j * outStride) << 2);
    memory.copy(to, x + ((row_at(rows, j, xRows) * xStride) << 2), <usize>d << 2);
    if (outStride > d) memory.fill(to + (<usize>d << 2), 0, <usize>(outStride - d) << 2);
  }
}

/** The q8 tile for [n, k] of the tokens rows[j] of the q8 tile for [xRows, k]. */
export function gather_q8(
  acts: usize,
  xRows: u32,
  k: u32,
  rows: usize,
  n: u32,
  dst: usize,
): void {
  if (n != 0 && xRows == 0) unreachable();
  check_bytes(acts, records_bytes(xRows, k));
  check_bytes(rows, <u64>n << 2);
  check_bytes(dst, records_bytes(n, k));
  const fromGroup = group_tokens(xRows), toGroup = group_tokens(n);
  const fromStep = fromGroup * RECORD_BYTES, toStep = toGroup * RECORD_BYTES;
  const superblocks = superblocks_of(k);
  const padded = n + (toGroup - n % toGroup) % toGroup;
  for (let j: u32 = 0; j < padded; j++) {
    let to = dst + (j / toGroup) * superblocks * toStep + (j % toGroup) * RECORD_BYTES;
    if (j >= n) {
      for (let s: u32 = 0; s < superblocks; s++, to += toStep) memory.fill(to, 0, RECORD_BYTES);
    } else {
      const t = row_at(rows, j, xRows);
      let from = acts + (t / fromGroup) * superblocks * fromStep + (t % fromGroup) * RECORD_BYTES;
      for (let s: u32 = 0; s < superblocks; s++, to += toStep, from += fromStep) {
        memory.copy(to, from, RECORD_BYTES);
      }
    }
  }
}

/** x[rows[j], i] += y[j, i], in the order of the list. */
export function scatter_add_f32(
  x: usize,
  xStride: u32,
  xRows: u32,
  rows: usize,
  n: u32,
  y: usize,
  yStride: u32,
  d: u32,
): void {
  check_lists(x, xStride, xRows, rows, n, d);
  check_f32_rows(y, n, yStride, d);
  for (let j: u32 = 0; j < n; j++) {
    add_row(x + ((row_at(rows, j, xRows) * xStride) << 2), y + ((j * yStride) << 2), d);
  }
}

/** x[rows[j], i] += factors[j] · y[i], in the order of the list. */
export function scatter_add_row_f32(
  x: usize,
  xStride: u32,
  xRows: u32,
  rows: usize,
  factors: usize,
  n: u32,
  y: usize,
  d: u32,
): void {
  check_lists(x, xStride, xRows, rows, n, d);
  check_bytes(factors, <u64>n << 2);
  check_bytes(y, <u64>d << 2);
  for (let j: u32 = 0; j < n; j++) {
    const to = x + ((row_at(rows, j, xRows) * xStride) << 2);
    add_scaled_row(to, y, load<f32>(factors + (j << 2)), d);
  }
}

/**
 * target[list[i]] = source[i], rows of `bytes` bytes, a multiple of 16, in the order of the list;
 * strides in bytes.
 */
export function scatter_rows(
  source: usize,
  sourceStride: u32,
  count: u32,
  list: usize,
  target: usize,
  targetStride: u32,
  targetRows: u32,
  bytes: u32,
): void {
  if ((bytes & 15) != 0 || (count != 0 && targetRows == 0)) unreachable();
  check_rows(source, count, sourceStride, bytes);
  check_bytes(list, <u64>count << 2);
  check_rows(target, targetRows, targetStride, bytes);
  for (let i: u32 = 0; i < count; i++) {
    copy_row(target + row_at(list, i, targetRows) * targetStride, source + i * sourceStride, bytes);
  }
}

@inline
function copy_row(to: usize, from: usize, bytes: u32): void {
  const end = from + bytes;
  for (; from != end; from += 16, to += 16) v128.store(to, v128.load(from));
}

@inline
function check_lists(x: usize, xStride: u32, xRows: u32, rows: usize, n: u32, d: u32): void {
  if (n != 0 && xRows == 0) unreachable();
  check_f32_rows(x, xRows, xStride, d);
  check_bytes(rows, <u64>n << 2);
}

/** The j-th number of the list; what is no row counts as the last one, and so stays in bounds. */
@inline
function row_at(rows: usize, j: u32, xRows: u32): u32 {
  return min(load<u32>(rows + (j << 2)), xRows - 1);
}
