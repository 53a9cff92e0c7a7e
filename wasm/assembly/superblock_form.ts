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
 * of low nibbles, then 256 of high ones; low − lowOffset + 16 · (high − offset) stands for
 * q − offset. Where they are multiplied as bytes (product_sums.ts) it is low + 16 · high, once; or
 * its size, and 256 bytes of signs (make_sizes()).
 */
import { COLUMN_LISTS_BYTES } from "./columns";
import {
  d_of,
  h0_of,
  h1_of,
  h2_of,
  halves_of,
  has_parts,
  lanes_of,
  least_of,
  plane_of,
  scale_of,
  SHORT,
  upper_main_of,
  upper_plane_of,
} from "./format";
import { looked_up_bytes } from "./looked_up";
import { is_natural, take_natural_apart } from "./natural";
import {
  Fours,
  has_nibbles,
  has_signs,
  lower_of,
  offset_of,
  quant_table,
  upper_of,
} from "./product_sums";
import { records_bytes, superblocks_of } from "./q8_tile";
import { dot_i8, opaque } from "./simd";
import { F16_REBIAS, F16_SIGN, F16_SIZE, F16_SMALLEST } from "./weight_bits";

/** Offsets in a form. */
export const FORM_D = 0;
export const FORM_C = 32;
export const FORM_L = 64;
export const FORM_M = 96;
export const FORM_QUANTS = 128;
export const FORM_SIGNS = 384;
export const FORM_BYTES_MAX: u32 = 640;

/** Room that repack() and dequantize_row() ask for. */
export const SCRATCH_BYTES: u32 = 640;

/** Rows that are taken apart at once: their forms stay in the L2 cache beside the tile. */
export const PANEL_ROWS: u32 = 16;

/**
 * Bytes of the q8 tile for [n, k]: records, and room for the forms of a panel, or, of one token,
 * for its activations in another order (gemv_natural.ts), sums and quants (gemv_q8.ts, which has
 * them in a panel's room where several tokens go one by one), or lists of columns (columns_q8.ts).
 */
@inline
export function tile_bytes(n: u32, k: u32): u64 {
  const superblocks = <u64>superblocks_of(k);
  const forms = n == 1
    ? max<u64>(FORM_BYTES_MAX + looked_up_bytes(superblocks), COLUMN_LISTS_BYTES)
    : PANEL_ROWS * superblocks * FORM_BYTES_MAX;
  return records_bytes(n, k) + max<u64>(forms, 512 * superblocks);
}

/** Bytes of a form of format F for sums S. */
@inline
export function form_bytes<F, S>(): u32 {
  return has_nibbles<F, S>() || has_signs<S>() ? 640 : 384;
}

/** Bytes of a packed row: a multiple of 16, because factors are read 16 bytes at a time. */
@inline
export function row_bytes<F>(superblocks: u32): u64 {
  return (<u64>superblocks * superblock_bytes<F>() + 15) & ~<u64>15;
}

/** Bytes of a packed superblock of format F: quants, and the factor record behind them. */
@inline
export function superblock_bytes<F>(): u32 {
  const f = changetype<F>(0);
  return f.quantBytes + f.factorBytes;
}

/** `count` packed superblocks from w on into forms. */
export function take_apart<F, S>(w: usize, count: u32, form: usize): void {
  if (is_natural<F>()) take_natural_apart<F, S>(w, count, form, form_bytes<F, S>());
  else take_interleaved_apart<F, S>(w, count, form);
}

@inline
function take_interleaved_apart<F, S>(w: usize, count: u32, form: usize): void {
  const f = changetype<F>(0);
  // Compilers know that there are less than 2^24 superblocks, wherever this is inlined.
  const zero = i32x4.splat(opaque(0, count << 5));
  const k0 = f.k0(zero), k1 = quant_table<F, S>(zero);
  const h0 = h0_of<F>(zero), h1 = h1_of<F>(zero), h2 = h2_of<F>(zero);
  const size = i32x4.splat(F16_SIZE), rebias = i32x4.splat(F16_REBIAS);
  const smallest = i32x4.splat(F16_SMALLEST), sign = i32x4.splat(F16_SIGN);
  for (; count != 0; count--) {
    const at = w + f.quantBytes - SHORT;
    const lanes = lanes_of<F>(at, h0, h1, h2);
    const halves = halves_of<F>(at, size, rebias, smallest, sign);
    const scale = scale_of<F>(halves), least = least_of<F>(halves);
    const d0 = d_of<F>(at, 0, lanes, scale, h0, h1), d1 = d_of<F>(at, 1, lanes, scale, h0, h1);
    v128.store(form, d0, FORM_D);
    v128.store(form, d1, FORM_D + 16);
    if (isDefined(f.c)) {
      v128.store(form, f.c(at, 0, lanes, least, h0, h1, d0), FORM_C);
      v128.store(form, f.c(at, 1, lanes, least, h0, h1, d1), FORM_C + 16);
    }
    if (isDefined(f.l)) {
      v128.store(form, f.l(at, 0, lanes, h0), FORM_L);
      v128.store(form, f.l(at, 1, lanes, h0), FORM_L + 16);
    }
    if (isDefined(f.m)) {
      v128.store(form, f.m(at, 0), FORM_M);
      v128.store(form, f.m(at, 1), FORM_M + 16);
    }
    store_quants<F, S>(w, form + FORM_QUANTS, k0, k1);
    w += superblock_bytes<F>();
    form += form_bytes<F, S>();
  }
}

/** The quants of a superblock, as gemv_q8.ts unpacks them. */
@inline
function store_quants<F, S>(w: usize, to: usize, k0: v128, k1: v128): void {
  const f = changetype<F>(0);
  let y0 = plane_of<F>(w, 0), y1 = plane_of<F>(w, 1);
  let Y0 = upper_plane_of<F>(w, 0, y0), Y1 = upper_plane_of<F>(w, 1, y1);
  let m0 = v128.load(w), m1 = v128.load(w, 16);
  let M0 = upper_main_of<F>(w, 0, m0), M1 = upper_main_of<F>(w, 1, m1);
  const end = to + 128;
  for (; to != end; to += 32) {
    if (!isDefined(f.mainStep)) {
      m0 = v128.load(w), m1 = v128.load(w, 16);
      M0 = upper_main_of<F>(w, 0, m0), M1 = upper_main_of<F>(w, 1, m1);
      w += 32;
    }
    if (has_parts<F>()) {
      v128.store(to, f.whole(f.lower(m0, y0, k0, k1), f.lower_high(m0, y0, k0, k1)));
      v128.store(to, f.whole(f.lower(m1, y1, k0, k1), f.lower_high(m1, y1, k0, k1)), 16);
      v128.store(to, f.whole(f.upper(M0, Y0, k0, k1), f.upper_high(M0, Y0, k0, k1)), 128);
      v128.store(to, f.whole(f.upper(M1, Y1, k0, k1), f.upper_high(M1, Y1, k0, k1)), 144);
    } else {
      v128.store(to, lower_of<F, S>(m0, y0, k0, k1));
      v128.store(to, lower_of<F, S>(m1, y1, k0, k1), 16);
      v128.store(to, upper_of<F, S>(M0, Y0, k0, k1), 128);
      v128.store(to, upper_of<F, S>(M1, Y1, k0, k1), 144);
    }
    if (has_nibbles<F, S>()) {
      v128.store(to, f.lower_high(m0, y0, k0, k1), 256);
      v128.store(to, f.lower_high(m1, y1, k0, k1), 272);
      v128.store(to, f.upper_high(M0, Y0, k0, k1), 384);
      v128.store(to, f.upper_high(M1, Y1, k0, k1), 400);
    }
    if (isDefined(f.mainStep)) {
      m0 = i16x8.shr_u(m0, f.mainStep), m1 = i16x8.shr_u(m1, f.mainStep);
      M0 = i16x8.shr_u(M0, f.mainStep), M1 = i16x8.shr_u(M1, f.mainStep);
    }
    if (isDefined(f.planeStep)) {
      y0 = i16x8.shr_u(y0, f.planeStep), y1 = i16x8.shr_u(y1, f.planeStep);
      if (isDefined(f.planeUpperAt)) {
        Y0 = i16x8.shr_u(Y0, f.planeStep), Y1 = i16x8.shr_u(Y1, f.planeStep);
      } else {
        Y0 = y0, Y1 = y1;
      }
    }
  }
}

/**
 * Bytes of a row's quants into sizes, and signs (0 or −1) 256 behind them, with the C of Signs
 * (product_sums.ts). True: a weight is −128, whose size takes more than 7 bits.
 */
export function make_sizes<F, S>(form: usize, superblocks: u32): bool {
  const offset = i8x16.splat(<i8>opaque(offset_of<F, Fours>(), superblocks));
  const none = i8x16.splat(<i8>opaque(0, superblocks));
  const ones = i8x16.splat(<i8>opaque(1, superblocks));
  const minus = i16x8.splat(<i16>opaque(-1, superblocks));
  let all0 = none, all1 = none;
  for (; superblocks != 0; superblocks--) {
    const end = form + 256;
    let c0 = none, c1 = none;
    for (let at = form; at != end; at += 32) {
      const q0 = i8x16.sub(v128.load(at, FORM_QUANTS), offset);
      const q1 = i8x16.sub(v128.load(at, FORM_QUANTS + 16), offset);
      const m0 = i8x16.lt_s(q0, none), m1 = i8x16.lt_s(q1, none);
      const s0 = i8x16.sub(v128.xor(q0, m0), m0), s1 = i8x16.sub(v128.xor(q1, m1), m1);
      v128.store(at, s0, FORM_QUANTS);
      v128.store(at, s1, FORM_QUANTS + 16);
      v128.store(at, m0, FORM_SIGNS);
      v128.store(at, m1, FORM_SIGNS + 16);
      all0 = v128.or(all0, s0), all1 = v128.or(all1, s1);
      c0 = i32x4.add(c0, i32x4.dot_i16x8_s(dot_i8(i8x16.min_s(q0, none), ones), minus));
      c1 = i32x4.add(c1, i32x4.dot_i16x8_s(dot_i8(i8x16.min_s(q1, none), ones), minus));
    }
    v128.store(form, c0, FORM_C);
    v128.store(form, c1, FORM_C + 16);
    form += form_bytes<F, S>();
  }
  return i8x16.bitmask(v128.or(all0, all1)) != 0;
}
