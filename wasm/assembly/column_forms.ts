// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Several tokens by a matrix that is kept by columns: sixteen rows at a time are brought into the
 * form that gemm_q8.ts multiplies, so that the product has the bits of the one with rows.
 */
import { BLOCK, column_bytes } from "./columns";
import { is_wide } from "./format";
import { multiply_panel } from "./gemm_q8";
import { superblocks_of } from "./q8_tile";
import { f16_at } from "./simd";
import { FORM_D, FORM_QUANTS, form_bytes, PANEL_ROWS } from "./superblock_form";

/** Rows by tokens; `forms` is room for PANEL_ROWS rows of forms. */
export function multiply_forms<F>(
  w: usize,
  rows: u32,
  blocks: u32,
  acts: usize,
  n: u32,
  out: usize,
  outStride: u32,
  forms: usize,
): void {
  const superblocks = superblocks_of(blocks * BLOCK);
  const formRow = superblocks * form_bytes<F>();
  const columnBytes = column_bytes<F>(rows);
  const blockBytes = changetype<F>(0).blockBytes * rows;
  for (let panel: u32 = 0; panel < rows; panel += PANEL_ROWS) {
    for (let b: u32 = 0; b < superblocks << 3; b++) {
      const form = forms + (b >> 3) * form_bytes<F>();
      if (b < blocks) {
        take_block_apart<F>(w + b * blockBytes, columnBytes, panel, form, formRow, b & 7);
      } else {
        for (let r: u32 = 0; r < PANEL_ROWS; r++) {
          store<f32>(form + r * formRow + 4 * (b & 7), 0, FORM_D);
        }
      }
    }
    multiply_panel<F>(forms, formRow, PANEL_ROWS, superblocks, acts, n, out, outStride, panel);
  }
}

/** Block j of a superblock of sixteen rows from `panel` on, into their forms. */
function take_block_apart<F>(
  w: usize,
  columnBytes: u32,
  panel: u32,
  form: usize,
  formRow: u32,
  j: u32,
): void {
  const scales = w + BLOCK * columnBytes + 2 * panel;
  for (let r: u32 = 0; r < PANEL_ROWS; r++) {
    store<f32>(form + r * formRow + 4 * j, f16_at(scales + 2 * r), FORM_D);
  }
  const to = form + FORM_QUANTS + 4 * j;
  if (is_wide<F>()) {
    const from = w + (panel & ~31), shift = (panel & 16) >> 1;
    spread_nibbles(from, columnBytes, shift, to, formRow);
    spread_nibbles(from, columnBytes, shift + 4, to + 256, formRow);
  } else {
    spread_nibbles(w + ((panel & ~63) >> 1), columnBytes, (panel & 48) >> 2, to, formRow);
  }
}

/** The nibbles at bit `shift` of the 16-bit lanes of 32 columns, from columns into rows. */
function spread_nibbles(w: usize, columnBytes: u32, shift: u32, to: usize, formRow: u32): void {
  for (let place: u32 = 0; place < 8; place++, to += 32, w += 2 * columnBytes) {
    const far = w + 16 * columnBytes;
    const a = nibbles(w, shift), b = nibbles(w + columnBytes, shift);
    const c = nibbles(far, shift), d = nibbles(far + columnBytes, shift);
    const ab = i8x16.shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const cd = i8x16.shuffle(c, d, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const AB = i8x16.shuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    const CD = i8x16.shuffle(c, d, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    store_four(to, formRow, i16x8.shuffle(ab, cd, 0, 8, 1, 9, 2, 10, 3, 11));
    store_four(to + 2 * formRow, formRow, i16x8.shuffle(ab, cd, 4, 12, 5, 13, 6, 14, 7, 15));
    store_four(to + 4 * formRow, formRow, i16x8.shuffle(AB, CD, 0, 8, 1, 9, 2, 10, 3, 11));
    store_four(to + 6 * formRow, formRow, i16x8.shuffle(AB, CD, 4, 12, 5, 13, 6, 14, 7, 15));
  }
}

/** Sixteen nibbles of a column as bytes: rows 0, 8, 1, 9, 2, 10, 3, 11, then 4, 12, 5, … */
@inline
function nibbles(column: usize, shift: u32): v128 {
  const low = i16x8.splat(15);
  const x = v128.and(i16x8.shr_u(v128.load(column), shift), low);
  const y = v128.and(i16x8.shr_u(v128.load(column, 16), shift), low);
  return i8x16.narrow_i16x8_u(x, y);
}

/** Dwords of rows 0, 8, 1, 9. */
@inline
function store_four(to: usize, formRow: u32, dwords: v128): void {
  v128.store_lane<u32>(to, dwords, 0);
  v128.store_lane<u32>(to + 8 * formRow, dwords, 1);
  v128.store_lane<u32>(to + formRow, dwords, 2);
  v128.store_lane<u32>(to + 9 * formRow, dwords, 3);
}
