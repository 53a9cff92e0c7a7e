// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Prefill: out[t, r] = Σ_i w[r, i] · act[t, i] for several tokens t and rows of any format F. A
 * panel of rows is taken apart (superblock_form.ts), then tiles of two rows by four tokens
 * multiply the forms: a quant is unpacked once for all tokens, and there is one product to tune.
 */
import { GROUP_TOKENS, RECORD_BYTES, RECORD_SCALES } from "./q8_tile";
import { has_signs, offset_of, SignsOf128, widens_by_lanes } from "./product_sums";
import { fetch_block } from "./read_ahead";
import { join_pair, opaque, store_lanes, sum_lanes_4 } from "./simd";
import {
  FORM_C,
  FORM_D,
  FORM_L,
  FORM_M,
  FORM_QUANTS,
  FORM_SIGNS,
  form_bytes,
  make_sizes,
  PANEL_ROWS,
  superblock_bytes,
  take_apart,
} from "./superblock_form";
import { add_least, begun, start } from "./widen";

/** From sizes to their signs. */
const SIGNS_BEHIND: usize = FORM_SIGNS - FORM_QUANTS;

/** Rows by tokens, summed by S; `forms` is room for PANEL_ROWS rows of forms. */
export function gemm<F, S>(
  w: usize,
  rowStride: u32,
  rows: u32,
  superblocks: u32,
  acts: usize,
  forms: usize,
  n: u32,
  out: usize,
  outStride: u32,
): void {
  const formRow = superblocks * form_bytes<F, S>();
  const rowBytes = superblocks * superblock_bytes<F>();
  for (let panel: u32 = 0; panel < rows; panel += PANEL_ROWS) {
    const count = min(PANEL_ROWS, rows - panel);
    // Behind the last row, which may be shorter than a stride, there may be no memory.
    const bytes = (count - 1) * rowStride + rowBytes;
    // The store, which forms overwrite, is lest a compiler finds that nobody wants what was read.
    store<u32>(forms, fetch_block(w + panel * rowStride, bytes));
    for (let r: u32 = 0; r < count; r++) {
      take_apart<F, S>(w + (panel + r) * rowStride, superblocks, forms + r * formRow);
    }
    multiply_panel<F, S>(forms, formRow, count, superblocks, acts, n, out, outStride, panel);
  }
}

/** `count` rows of forms, rows panel .. of the product, by all tokens. */
@inline
export function multiply_panel<F, S>(
  forms: usize,
  formRow: u32,
  count: u32,
  superblocks: u32,
  acts: usize,
  n: u32,
  out: usize,
  outStride: u32,
  panel: u32,
): void {
  if (has_signs<S>() && make_all_sizes<F, S>(forms, formRow, count, superblocks)) {
    tiles<F, SignsOf128>(forms, formRow, count, superblocks, acts, n, out, outStride, panel);
  } else tiles<F, S>(forms, formRow, count, superblocks, acts, n, out, outStride, panel);
}

/** Bytes of rows of forms into sizes and signs. True: some size takes more than 7 bits. */
function make_all_sizes<F, S>(forms: usize, formRow: u32, count: u32, superblocks: u32): bool {
  let isLarge = false;
  for (let r: u32 = 0; r < count; r++, forms += formRow) {
    isLarge = make_sizes<F, S>(forms, superblocks) || isLarge;
  }
  return isLarge;
}

function tiles<F, S>(
  forms: usize,
  formRow: u32,
  count: u32,
  superblocks: u32,
  acts: usize,
  n: u32,
  out: usize,
  outStride: u32,
  panel: u32,
): void {
  const groupBytes = superblocks * RECORD_BYTES * GROUP_TOKENS;
  for (let t: u32 = 0; t < n; t += GROUP_TOKENS) {
    const group = acts + (t >> 2) * groupBytes;
    for (let r: u32 = 0; r < count; r += 2) {
      const second = r + 1 < count ? formRow : 0; // an odd last row is computed twice
      const to = out + ((t * outStride + panel + r) << 2);
      tile<F, S>(forms + r * formRow, second, superblocks, group, to, outStride << 2, n - t);
    }
  }
}

/**
 * Two rows of forms, rowStep bytes apart (0: one row), by four tokens, of which `valid` are
 * stored. A superblock is one pass over its vectors, or two where 16-bit sums ask for it: quarters.
 */
function tile<F, S>(
  form: usize,
  rowStep: u32,
  superblocks: u32,
  acts: usize,
  out: usize,
  tokenStep: u32,
  valid: u32,
): void {
  const f = changetype<F>(0), sum = changetype<S>(0);
  const zero = i32x4.splat(opaque(0, superblocks));
  const offset = i16x8.splat(<i16>opaque(offset_of<F, S>(), superblocks));
  const ones = i16x8.splat(<i16>opaque(1, superblocks));
  const passBytes: u32 = isDefined(f.quarters) ? 128 : 256;
  let p00 = f32x4.splat(0), p01 = p00, p10 = p00, p11 = p00, p20 = p00, p21 = p00, p30 = p00;
  let p31 = p00, q00 = p00, q01 = p00, q10 = p00, q11 = p00, q20 = p00, q21 = p00, q30 = p00;
  let q31 = p00;
  for (let s = superblocks; s != 0; s--) {
    let w = form + FORM_QUANTS;
    let x = acts;
    let pass: u32 = 0;
    do {
      let a00 = i32x4.splat(0), a01 = a00, a10 = a00, a11 = a00, a20 = a00, a21 = a00, a30 = a00;
      let a31 = a00, b00 = a00, b01 = a00, b10 = a00, b11 = a00, b20 = a00, b21 = a00, b30 = a00;
      let b31 = a00;
      let l0 = ones, l1 = ones, g0 = ones, g1 = ones;
      if (widens_by_lanes<F, S>()) {
        const v = form + rowStep;
        l0 = v128.load(form, FORM_L), l1 = v128.load(form, FORM_L + 16);
        g0 = v128.load(v, FORM_L), g1 = v128.load(v, FORM_L + 16);
      }
      // A loop, not copies: Binaryen would reorder those until nothing fits the registers, and two
      // turns in one are no faster.
      const end = x + passBytes;
      for (; x != end; x += 32, w += 32) {
        const v = w + rowStep;
        const w0 = v128.load(w), w1 = v128.load(w, 16);
        const v0 = v128.load(v), v1 = v128.load(v, 16);
        if (has_signs<S>()) {
          const m0 = v128.load(w, SIGNS_BEHIND), m1 = v128.load(w, SIGNS_BEHIND + 16);
          const n0 = v128.load(v, SIGNS_BEHIND), n1 = v128.load(v, SIGNS_BEHIND + 16);
          let x0 = v128.load(x), x1 = v128.load(x, 16);
          a00 = sum.add(a00, v128.xor(x0, m0), w0, l0);
          a01 = sum.add(a01, v128.xor(x1, m1), w1, l1);
          b00 = sum.add(b00, v128.xor(x0, n0), v0, g0);
          b01 = sum.add(b01, v128.xor(x1, n1), v1, g1);
          x0 = v128.load(x, RECORD_BYTES), x1 = v128.load(x, RECORD_BYTES + 16);
          a10 = sum.add(a10, v128.xor(x0, m0), w0, l0);
          a11 = sum.add(a11, v128.xor(x1, m1), w1, l1);
          b10 = sum.add(b10, v128.xor(x0, n0), v0, g0);
          b11 = sum.add(b11, v128.xor(x1, n1), v1, g1);
          x0 = v128.load(x, 2 * RECORD_BYTES), x1 = v128.load(x, 2 * RECORD_BYTES + 16);
          a20 = sum.add(a20, v128.xor(x0, m0), w0, l0);
          a21 = sum.add(a21, v128.xor(x1, m1), w1, l1);
          b20 = sum.add(b20, v128.xor(x0, n0), v0, g0);
          b21 = sum.add(b21, v128.xor(x1, n1), v1, g1);
          x0 = v128.load(x, 3 * RECORD_BYTES), x1 = v128.load(x, 3 * RECORD_BYTES + 16);
          a30 = sum.add(a30, v128.xor(x0, m0), w0, l0);
          a31 = sum.add(a31, v128.xor(x1, m1), w1, l1);
          b30 = sum.add(b30, v128.xor(x0, n0), v0, g0);
          b31 = sum.add(b31, v128.xor(x1, n1), v1, g1);
          continue;
        }
        let x0 = v128.load(x), x1 = v128.load(x, 16);
        a00 = sum.add(a00, x0, w0, l0);
        a01 = sum.add(a01, x1, w1, l1);
        b00 = sum.add(b00, x0, v0, g0);
        b01 = sum.add(b01, x1, v1, g1);
        x0 = v128.load(x, RECORD_BYTES), x1 = v128.load(x, RECORD_BYTES + 16);
        a10 = sum.add(a10, x0, w0, l0);
        a11 = sum.add(a11, x1, w1, l1);
        b10 = sum.add(b10, x0, v0, g0);
        b11 = sum.add(b11, x1, v1, g1);
        x0 = v128.load(x, 2 * RECORD_BYTES), x1 = v128.load(x, 2 * RECORD_BYTES + 16);
        a20 = sum.add(a20, x0, w0, l0);
        a21 = sum.add(a21, x1, w1, l1);
        b20 = sum.add(b20, x0, v0, g0);
        b21 = sum.add(b21, x1, v1, g1);
        x0 = v128.load(x, 3 * RECORD_BYTES), x1 = v128.load(x, 3 * RECORD_BYTES + 16);
        a30 = sum.add(a30, x0, w0, l0);
        a31 = sum.add(a31, x1, w1, l1);
        b30 = sum.add(b30, x0, v0, g0);
        b31 = sum.add(b31, x1, v1, g1);
      }
      x = acts;
      const v = form + rowStep;
      const d0 = v128.load(form, FORM_D), d1 = v128.load(form, FORM_D + 16);
      const e0 = v128.load(v, FORM_D), e1 = v128.load(v, FORM_D + 16);
      const cw0 = v128.load(form, FORM_C), cw1 = v128.load(form, FORM_C + 16);
      const cv0 = v128.load(v, FORM_C), cv1 = v128.load(v, FORM_C + 16);
      const mw0 = v128.load(form, FORM_M), mw1 = v128.load(form, FORM_M + 16);
      const mv0 = v128.load(v, FORM_M), mv1 = v128.load(v, FORM_M + 16);
      if (isDefined(f.l) && !isDefined(sum.widens)) {
        l0 = v128.load(form, FORM_L), l1 = v128.load(form, FORM_L + 16);
        g0 = v128.load(v, FORM_L), g1 = v128.load(v, FORM_L + 16);
      }
      // The rows' sums begin with the same, but where halves' scales, or sizes, are theirs.
      const o0 = offset_in<F, S>(offset, l0), o1 = offset_in<F, S>(offset, l1);
      const r0 = offset_in<F, S>(offset, g0), r1 = offset_in<F, S>(offset, g1);
      let y0 = v128.load(x, RECORD_SCALES), y1 = v128.load(x, RECORD_SCALES + 16);
      let z0 = start<F, S>(x, 0, pass, o0), z1 = start<F, S>(x, 1, pass, o1);
      if (has_signs<S>()) z0 = cw0, z1 = cw1;
      p00 = sum.add_blocks(p00, begun<F, S>(a00, z0), l0, f32x4.mul(d0, y0));
      p01 = sum.add_blocks(p01, begun<F, S>(a01, z1), l1, f32x4.mul(d1, y1));
      if (widens_by_lanes<F, S>()) z0 = start<F, S>(x, 0, 0, r0), z1 = start<F, S>(x, 1, 0, r1);
      if (has_signs<S>()) z0 = cv0, z1 = cv1;
      q00 = sum.add_blocks(q00, begun<F, S>(b00, z0), g0, f32x4.mul(e0, y0));
      q01 = sum.add_blocks(q01, begun<F, S>(b01, z1), g1, f32x4.mul(e1, y1));
      if (isDefined(f.c)) {
        p00 = add_least<F>(p00, x, 0, cw0, mw0, y0);
        p01 = add_least<F>(p01, x, 1, cw1, mw1, y1);
        q00 = add_least<F>(q00, x, 0, cv0, mv0, y0);
        q01 = add_least<F>(q01, x, 1, cv1, mv1, y1);
      }
      x += RECORD_BYTES;
      y0 = v128.load(x, RECORD_SCALES), y1 = v128.load(x, RECORD_SCALES + 16);
      z0 = start<F, S>(x, 0, pass, o0), z1 = start<F, S>(x, 1, pass, o1);
      if (has_signs<S>()) z0 = cw0, z1 = cw1;
      p10 = sum.add_blocks(p10, begun<F, S>(a10, z0), l0, f32x4.mul(d0, y0));
      p11 = sum.add_blocks(p11, begun<F, S>(a11, z1), l1, f32x4.mul(d1, y1));
      if (widens_by_lanes<F, S>()) z0 = start<F, S>(x, 0, 0, r0), z1 = start<F, S>(x, 1, 0, r1);
      if (has_signs<S>()) z0 = cv0, z1 = cv1;
      q10 = sum.add_blocks(q10, begun<F, S>(b10, z0), g0, f32x4.mul(e0, y0));
      q11 = sum.add_blocks(q11, begun<F, S>(b11, z1), g1, f32x4.mul(e1, y1));
      if (isDefined(f.c)) {
        p10 = add_least<F>(p10, x, 0, cw0, mw0, y0);
        p11 = add_least<F>(p11, x, 1, cw1, mw1, y1);
        q10 = add_least<F>(q10, x, 0, cv0, mv0, y0);
        q11 = add_least<F>(q11, x, 1, cv1, mv1, y1);
      }
      x += RECORD_BYTES;
      y0 = v128.load(x, RECORD_SCALES), y1 = v128.load(x, RECORD_SCALES + 16);
      z0 = start<F, S>(x, 0, pass, o0), z1 = start<F, S>(x, 1, pass, o1);
      if (has_signs<S>()) z0 = cw0, z1 = cw1;
      p20 = sum.add_blocks(p20, begun<F, S>(a20, z0), l0, f32x4.mul(d0, y0));
      p21 = sum.add_blocks(p21, begun<F, S>(a21, z1), l1, f32x4.mul(d1, y1));
      if (widens_by_lanes<F, S>()) z0 = start<F, S>(x, 0, 0, r0), z1 = start<F, S>(x, 1, 0, r1);
      if (has_signs<S>()) z0 = cv0, z1 = cv1;
      q20 = sum.add_blocks(q20, begun<F, S>(b20, z0), g0, f32x4.mul(e0, y0));
      q21 = sum.add_blocks(q21, begun<F, S>(b21, z1), g1, f32x4.mul(e1, y1));
      if (isDefined(f.c)) {
        p20 = add_least<F>(p20, x, 0, cw0, mw0, y0);
        p21 = add_least<F>(p21, x, 1, cw1, mw1, y1);
        q20 = add_least<F>(q20, x, 0, cv0, mv0, y0);
        q21 = add_least<F>(q21, x, 1, cv1, mv1, y1);
      }
      x += RECORD_BYTES;
      y0 = v128.load(x, RECORD_SCALES), y1 = v128.load(x, RECORD_SCALES + 16);
      z0 = start<F, S>(x, 0, pass, o0), z1 = start<F, S>(x, 1, pass, o1);
      if (has_signs<S>()) z0 = cw0, z1 = cw1;
      p30 = sum.add_blocks(p30, begun<F, S>(a30, z0), l0, f32x4.mul(d0, y0));
      p31 = sum.add_blocks(p31, begun<F, S>(a31, z1), l1, f32x4.mul(d1, y1));
      if (widens_by_lanes<F, S>()) z0 = start<F, S>(x, 0, 0, r0), z1 = start<F, S>(x, 1, 0, r1);
      if (has_signs<S>()) z0 = cv0, z1 = cv1;
      q30 = sum.add_blocks(q30, begun<F, S>(b30, z0), g0, f32x4.mul(e0, y0));
      q31 = sum.add_blocks(q31, begun<F, S>(b31, z1), g1, f32x4.mul(e1, y1));
      if (isDefined(f.c)) {
        p30 = add_least<F>(p30, x, 0, cw0, mw0, y0);
        p31 = add_least<F>(p31, x, 1, cw1, mw1, y1);
        q30 = add_least<F>(q30, x, 0, cv0, mv0, y0);
        q31 = add_least<F>(q31, x, 1, cv1, mv1, y1);
      }
      x = isDefined(f.quarters) ? acts + passBytes : acts;
      pass += 1;
    } while (isDefined(f.quarters) && pass < 2);
    form += form_bytes<F, S>();
    acts += GROUP_TOKENS * RECORD_BYTES;
  }
  const p0 = join_pair(p00, p01, 1, zero), p1 = join_pair(p10, p11, 1, zero);
  const p2 = join_pair(p20, p21, 1, zero), p3 = join_pair(p30, p31, 1, zero);
  const q0 = join_pair(q00, q01, 1, zero), q1 = join_pair(q10, q11, 1, zero);
  const q2 = join_pair(q20, q21, 1, zero), q3 = join_pair(q30, q31, 1, zero);
  if (rowStep != 0) store_lanes(out + 4, tokenStep, valid, sum_lanes_4(q0, q1, q2, q3));
  store_lanes(out, tokenStep, valid, sum_lanes_4(p0, p1, p2, p3));
}

/** What is subtracted from the quants of halves whose scales are `lanes`. */
@inline
function offset_in<F, S>(offset: v128, lanes: v128): v128 {
  return widens_by_lanes<F, S>() ? i16x8.mul(offset, lanes) : offset;
}
