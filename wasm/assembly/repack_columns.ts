// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** Weights of a file into a matrix by columns: src/memory/column_layout.ts. */
import { COLUMN_GROUP_ROWS } from "../../src/memory/column_layout";
import { TYPE_Q4_0, TYPE_Q8_0 } from "../../src/memory/row_layout";
import { check_rows } from "./bounds";
import { BLOCK, check_blocks, column_bytes } from "./columns";
import { is_wide } from "./format";
import { Q4_0, Q8_0 } from "./formats_32";

/** File rows firstRow .. firstRow + count - 1 of a matrix of `rows` rows into their places. */
export function repack_columns(
  type: u32,
  src: usize,
  srcStride: u32,
  dst: usize,
  rows: u32,
  firstRow: u32,
  count: u32,
  blocks: u32,
): void {
  if (((rows | firstRow | count) & <u32>(COLUMN_GROUP_ROWS - 1)) != 0) unreachable();
  if (<u64>firstRow + count > <u64>rows) unreachable();
  switch (type) {
    case TYPE_Q4_0: return pack<Q4_0>(src, srcStride, dst, rows, firstRow, count, blocks);
    case TYPE_Q8_0: return pack<Q8_0>(src, srcStride, dst, rows, firstRow, count, blocks);
    default: unreachable();
  }
}

function pack<F>(
  src: usize,
  srcStride: u32,
  dst: usize,
  rows: u32,
  firstRow: u32,
  count: u32,
  blocks: u32,
): void {
  const blockBytes = changetype<F>(0).blockBytes;
  check_rows(src, count, srcStride, <u64>blocks * blockBytes);
  check_blocks<F>(dst, rows, blocks);
  const columnBytes = column_bytes<F>(rows);
  const groupRows: u32 = is_wide<F>() ? 32 : 64;
  for (let b: u32 = 0; b < blocks; b++) {
    const block = dst + b * blockBytes * rows;
    const scales = block + BLOCK * columnBytes;
    for (let r: u32 = 0; r < count; r++) {
      const file = src + r * srcStride + b * blockBytes;
      store<u16>(scales + 2 * (firstRow + r), load<u16>(file));
    }
    for (let r: u32 = 0; r < count; r += groupRows) {
      const file = src + r * srcStride + b * blockBytes + 2;
      const to = block + column_bytes<F>(firstRow + r);
      for (let i: u32 = 0; i < BLOCK; i++) {
        pack_column<F>(file, srcStride, i, to + i * columnBytes);
      }
    }
  }
}

/** Column i of a group's rows: 32 bytes. */
@inline
function pack_column<F>(file: usize, stride: u32, i: u32, to: usize): void {
  for (let lane: u32 = 0; lane < 16; lane++) {
    const row = 8 * (lane & 1) + 4 * (lane >> 3) + ((lane & 7) >> 1);
    const from = file + row * stride;
    let bits: u32;
    if (is_wide<F>()) {
      bits = (<u32>load<u8>(from + i) | (<u32>load<u8>(from + 16 * stride + i) << 8)) ^ 0x8080;
    } else {
      const at = from + (i & 15), half = (i >> 4) << 2;
      bits = ((<u32>load<u8>(at) >> half) & 15) |
        (((<u32>load<u8>(at + 16 * stride) >> half) & 15) << 4) |
        (((<u32>load<u8>(at + 32 * stride) >> half) & 15) << 8) |
        (((<u32>load<u8>(at + 48 * stride) >> half) & 15) << 12);
    }
    store<u16>(to + 2 * lane, <u16>bits);
  }
}
