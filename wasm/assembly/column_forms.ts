// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Several tokens by a matrix that is kept by columns: sixteen rows at a time are brought into the
 * form that gemm_q8.ts multiplies, so that the product has the bits of the one with rows.
 */
import {
  all_factors,
  BLOCK,
  column_bytes,
  factors_of,
  has_minima,
  has_small_floats,
  is_super,
  levels_of,
  looked_up,
  quants_of,
  scales_halves,
  stores_bytes,
  superblock_at,
} from "./columns";
import { has_levels } from "./format";
import { small_integer, small_power } from "./formats_64";
import { multiply_panel } from "./gemm_q8";
import { superblocks_of } from "./q8_tile";
import { f16_at, madd } from "./simd";
import { FORM_C, FORM_D, FORM_L, FORM_QUANTS, form_bytes, PANEL_ROWS } from "./superblock_form";

/** Rows by tokens; `forms` is room for PANEL_ROWS rows of forms. */
export function multiply_forms<F, S>(
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
  const formRow = superblocks * form_bytes<F, S>();
  const factors = all_factors<F>(w, rows, blocks);
  for (let panel: u32 = 0; panel < rows; panel += PANEL_ROWS) {
    for (let b: u32 = 0; b < superblocks << 3; b++) {
      const form = forms + (b >> 3) * form_bytes<F, S>();
      if (b < blocks) {
        take_block_apart<F>(w, factors, rows, b, panel, form, formRow);
      } else {
        for (let r: u32 = 0; r < PANEL_ROWS; r++) {
          store<f32>(form + r * formRow + 4 * (b & 7), 0, FORM_D);
          if (has_minima<F>()) store<f32>(form + r * formRow + 4 * (b & 7), 0, FORM_C);
        }
      }
    }
    multiply_panel<F, S>(forms, formRow, PANEL_ROWS, superblocks, acts, n, out, outStride, panel);
  }
}

/** Block b of sixteen rows from `panel` on, into the forms of their superblock. */
function take_block_apart<F>(
  w: usize,
  allFactors: usize,
  rows: u32,
  b: u32,
  panel: u32,
  form: usize,
  formRow: u32,
): void {
  const columnBytes = column_bytes<F>(rows);
  const block = quants_of<F>(w, rows, b);
  const header = superblock_at<F>(allFactors, rows, b >> 3) + 4 * panel;
  const factors = factors_of<F>(allFactors, rows, b);
  for (let r: u32 = 0; r < PANEL_ROWS; r++) {
    const to = form + r * formRow + 4 * (b & 7);
    put_factors<F>(factors, header + 4 * r, rows, panel + r, to);
  }
  const to = form + FORM_QUANTS + 4 * (b & 7);
  if (!stores_bytes<F>()) {
    spread<F>(block + ((panel & ~63) >> 1), columnBytes, (panel & 48) >> 2, to, formRow, false);
    return;
  }
  const from = block + (panel & ~31), shift = (panel & 16) >> 1;
  spread<F>(from, columnBytes, shift, to, formRow, true);
}

/** D, and C or L, of a row in a block, into its form. */
@inline
function put_factors<F>(factors: usize, header: usize, rows: u32, row: u32, to: usize): void {
  if (!is_super<F>()) {
    if (has_levels<F>()) store<u32>(to, <u32>load<u16>(factors + 2 * row) << 16, FORM_D);
    else store<f32>(to, f16_at(factors + 2 * row), FORM_D);
    if (has_minima<F>()) store<f32>(to, f16_at(factors + 2 * rows + 2 * row), FORM_C);
    return;
  }
  const d = load<f32>(header);
  if (has_small_floats<F>()) {
    const a = load<u8>(factors + row), b = load<u8>(factors + rows + row);
    store<f32>(to, d * small_power(a, b), FORM_D);
    store<i16>(to, small_integer(a, max(a, b)), FORM_L);
    store<i16>(to, small_integer(b, max(a, b)), FORM_L + 2);
    return;
  }
  if (scales_halves<F>()) {
    store<f32>(to, d, FORM_D);
    store<i16>(to, <i16>load<i8>(factors + row), FORM_L);
    store<i16>(to, <i16>load<i8>(factors + rows + row), FORM_L + 2);
    return;
  }
  const scale = d * <f32>load<u8>(factors + row);
  const least = load<f32>(header + 4 * rows) * <f32>load<u8>(factors + rows + row);
  store<f32>(to, scale, FORM_D);
  // As the formats do it, rounded once; a scalar sum would be rounded twice.
  const offset = f32x4.splat(<f32>changetype<F>(0).offset);
  v128.store_lane<u32>(to, madd(f32x4.splat(scale), offset, f32x4.splat(least)), 0, FORM_C);
}

/** Nibbles at bit `shift` of the 16-bit lanes of 32 columns, or bytes, from columns into rows. */
function spread<F>(
  w: usize,
  columnBytes: u32,
  shift: u32,
  to: usize,
  formRow: u32,
  asBytes: bool,
): void {
  for (let place: u32 = 0; place < 8; place++, to += 32, w += 2 * columnBytes) {
    const far = w + 16 * columnBytes;
    const a = quants<F>(w, shift, asBytes), b = quants<F>(w + columnBytes, shift, asBytes);
    const c = quants<F>(far, shift, asBytes), d = quants<F>(far + columnBytes, shift, asBytes);
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

/** Sixteen quants of a column as bytes: rows 0, 8, 1, 9, 2, 10, 3, 11, then 4, 12, 5, … */
@inline
function quants<F>(column: usize, shift: u32, asBytes: bool): v128 {
  const low = looked_up<F>(nibbles(column, shift), levels_of<F>());
  return asBytes ? i8x16.add(low, i16x8.shl(nibbles(column, shift + 4), 4)) : low;
}


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
