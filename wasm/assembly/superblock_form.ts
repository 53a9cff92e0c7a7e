// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * A superblock of weights taken apart: what prefill and the embedding work on, whatever the
 * format. Formats are written into this form, panel by panel, behind the records of the q8 tile.
 *
 *   byte 0         32            64             96             128            384 (or 640)
 *   ├─ f32 [8] D ──┼─ f32 [8] C ─┼─ i16 [16] L ─┼─ i16 [16] M ─┼─ quants u8 ──┤
 *
 * Quants lie as in row_layout.ts. With q the quant of a weight in half h of block j, the weight is
 *
 *   D[j] · L[2j + h] · (q − offset) + C[j]                  of formats without M
 *   D[j] · L[2j + h] · (q − offset) − C[j] · M[2j + h]      of formats with M
 *
 * where L and C are there only if the format has them. A wide format has 8-bit weights: 256 bytes
 * of low nibbles, then 256 of high ones; low + 16 · (high − offset) stands for q − offset.
 */
import { d_of, k1_of, k2_of, lanes_of, least_of, scale_of } from "./format";
import { records_bytes, superblocks_of } from "./q8_tile";
import { F16_MASK } from "./simd";

/** Offsets in a form. */
export const FORM_D = 0;
export const FORM_C = 32;
export const FORM_L = 64;
export const FORM_M = 96;
export const FORM_QUANTS = 128;
export const FORM_BYTES_MAX: u32 = 640;

/** Room that repack() and dequantize_row() ask for. */
export const SCRATCH_BYTES: u32 = 640;

/** Rows that are taken apart at once: their forms stay in the L2 cache beside the tile. */
export const PANEL_ROWS: u32 = 16;

/** Bytes of the q8 tile for [n, k]: records, and room for the forms of a panel. */
@inline
export function tile_bytes(n: u32, k: u32): u64 {
  const forms: u64 = n == 1 ? 1 : <u64>PANEL_ROWS * superblocks_of(k);
  return records_bytes(n, k) + forms * FORM_BYTES_MAX;
}

/** Bytes of a form of format F. */
@inline
export function form_bytes<F>(): u32 {
  return isDefined(changetype<F>(0).high) ? 640 : 384;
}

/** Bytes of a packed row: a multiple of 16, because factors are read 16 bytes at a time. */
@inline
export function row_bytes<F>(superblocks: u32): u64 {
  const f = changetype<F>(0);
  return (<u64>superblocks * (f.quantBytes + f.factorBytes) + 15) & ~<u64>15;
}

/** `count` packed superblocks, quants from w and factor records from `factors` on, into forms. */
export function take_apart<F>(w: usize, factors: usize, count: u32, form: usize): void {
  const f = changetype<F>(0);
  const zero = i32x4.splat(0);
  const k0 = f.k0(zero), k1 = k1_of<F>(zero), k2 = k2_of<F>(zero);
  const mask = i32x4.splat(F16_MASK);
  let at = factors - 16;
  for (; count != 0; count--) {
    const lanes = lanes_of<F>(at), scale = scale_of<F>(at), least = least_of<F>(at);
    v128.store(form, d_of<F>(at, 0, lanes, scale, mask), FORM_D);
    v128.store(form, d_of<F>(at, 1, lanes, scale, mask), FORM_D + 16);
    if (isDefined(f.c)) {
      v128.store(form, f.c(at, 0, lanes, least, mask), FORM_C);
      v128.store(form, f.c(at, 1, lanes, least, mask), FORM_C + 16);
    }
    if (isDefined(f.l)) {
      v128.store(form, f.l(at, 0, lanes), FORM_L);
      v128.store(form, f.l(at, 1, lanes), FORM_L + 16);
    }
    if (isDefined(f.m)) {
      v128.store(form, f.m(at, 0), FORM_M);
      v128.store(form, f.m(at, 1), FORM_M + 16);
    }
    store_places<F>(w, form, 0, k0, k1, k2);
    store_places<F>(w, form, 2, k0, k1, k2);
    store_places<F>(w, form, 4, k0, k1, k2);
    store_places<F>(w, form, 6, k0, k1, k2);
    store_places<F>(w, form, 8, k0, k1, k2);
    store_places<F>(w, form, 10, k0, k1, k2);
    store_places<F>(w, form, 12, k0, k1, k2);
    store_places<F>(w, form, 14, k0, k1, k2);
    w += f.quantBytes;
    at += f.factorBytes;
    form += form_bytes<F>();
  }
}

/** The quants of places v and v + 1. */
@inline
function store_places<F>(w: usize, form: usize, v: u32, k0: v128, k1: v128, k2: v128): void {
  const f = changetype<F>(0);
  v128.store(form + FORM_QUANTS + 16 * v, f.quants(w, v, k0, k1, k2));
  v128.store(form + FORM_QUANTS + 16 * v + 16, f.quants(w, v + 1, k0, k1, k2));
  if (isDefined(f.high)) {
    v128.store(form + FORM_QUANTS + 16 * v + 256, f.high(w, v, k0, k1, k2));
    v128.store(form + FORM_QUANTS + 16 * v + 272, f.high(w, v + 1, k0, k1, k2));
  }
}
