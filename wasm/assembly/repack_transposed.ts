// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** Float rows of a file into rows that are its columns: one neuron's down weights side by side. */
import { check_rows } from "./bounds";

/** Rows that are read side by side: their weights of a column are written together. */
const ROWS: u32 = 16;

/** Weights of 2 or 4 bytes: (r, c) goes to dst + c · dstStride + r · weightBytes. */
export function repack_transposed(
  weightBytes: u32,
  src: usize,
  srcStride: u32,
  dst: usize,
  dstStride: u32,
  rows: u32,
  columns: u32,
): void {
  if (weightBytes != 2 && weightBytes != 4) unreachable();
  check_rows(src, rows, srcStride, <u64>columns * weightBytes);
  check_rows(dst, columns, dstStride, <u64>rows * weightBytes);
  for (let r: u32 = 0; r < rows; r += ROWS) {
    const count = min(rows - r, ROWS);
    const from = src + r * srcStride, to = dst + r * weightBytes;
    if (weightBytes == 2) transpose<u16>(from, srcStride, to, dstStride, count, columns);
    else transpose<u32>(from, srcStride, to, dstStride, count, columns);
  }
}

function transpose<T>(
  src: usize,
  srcStride: u32,
  dst: usize,
  dstStride: u32,
  rows: u32,
  columns: u32,
): void {
  for (let c: u32 = 0; c < columns; c++) {
    let from = src + c * sizeof<T>();
    const to = dst + c * dstStride;
    for (let r: u32 = 0; r < rows; r++, from += srcStride) {
      store<T>(to + r * sizeof<T>(), load<T>(from));
    }
  }
}
