// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** Rows of activations picked by a list of numbers, and sums brought back to where they belong. */
import { check_bytes, check_f32_rows } from "./bounds";
import { add_row } from "./elementwise";

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
