// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * One token by quantised rows that are kept neuron by neuron (neurons.ts). Four rows at a time are
 * taken apart, eight superblocks each (superblock_form.ts); their forms go to sums that lie as the
 * quants do: lane j of a vector is block j, whose factor is the same lane of another vector. In the
 * end the sums are brought into order.
 *
 *   sums of a superblock: f32 [8 places][4 bytes of a dword][8 blocks], then f32 [2 halves][8]
 *
 * The last part is what all weights of half a block have in common: offsets and minima.
 */
import { next_row, row_at, value_at } from "./neurons_list";
import { is_wide, SUPERBLOCKS_AT_ONCE } from "./format";
import { Pairs } from "./product_sums";
import { superblocks_of } from "./q8_tile";
import { madd, opaque } from "./simd";
import {
  FORM_BYTES_MAX,
  FORM_C,
  FORM_D,
  FORM_L,
  FORM_M,
  FORM_QUANTS,
  form_bytes,
  superblock_bytes,
  take_apart,
} from "./superblock_form";

const COMMON = 1024;
/** Of the forms of one of four rows. */
const ROW_FORMS_BYTES: u32 = SUPERBLOCKS_AT_ONCE * FORM_BYTES_MAX;
export const SUMS_BYTES: u32 = 1024 + 64;

/** Bytes of the sums of d outputs. */
@inline
export function sums_bytes(d: u32): u64 {
  return <u64>superblocks_of(d) * SUMS_BYTES;
}

/** out = Σ values[j] · row list[j]; returns how many rows were read. `last`: the last neuron. */
export function add_quant_rows<F>(
  w: usize,
  rowStride: u32,
  last: u32,
  d: u32,
  list: usize,
  values: usize,
  count: u32,
  skips: bool,
  out: usize,
  scratch: usize,
): u32 {
  const superblocks = superblocks_of(d);
  const forms = scratch + superblocks * SUMS_BYTES;
  memory.fill(scratch, 0, superblocks * SUMS_BYTES);
  let read: u32 = 0;
  let j = next_row(values, 0, count, skips);
  while (j < count) {
    const p = w + row_at(list, j, last) * rowStride, a = value_at(values, j);
    let q = p, r = p, t = p;
    let b: f32 = 0, c: f32 = 0, e: f32 = 0;
    read++;
    j = next_row(values, j + 1, count, skips);
    if (j < count) {
      q = w + row_at(list, j, last) * rowStride, b = value_at(values, j);
      read++;
      j = next_row(values, j + 1, count, skips);
    }
    if (j < count) {
      r = w + row_at(list, j, last) * rowStride, c = value_at(values, j);
      read++;
      j = next_row(values, j + 1, count, skips);
    }
    if (j < count) {
      t = w + row_at(list, j, last) * rowStride, e = value_at(values, j);
      read++;
      j = next_row(values, j + 1, count, skips);
    }
    for (let s: u32 = 0; s < superblocks; s += SUPERBLOCKS_AT_ONCE) {
      const count = min(superblocks - s, SUPERBLOCKS_AT_ONCE), at = s * superblock_bytes<F>();
      take_apart<F, Pairs>(p + at, count, forms);
      take_apart<F, Pairs>(q + at, count, forms + ROW_FORMS_BYTES);
      take_apart<F, Pairs>(r + at, count, forms + 2 * ROW_FORMS_BYTES);
      take_apart<F, Pairs>(t + at, count, forms + 3 * ROW_FORMS_BYTES);
      add_forms<F>(forms, count, a, b, c, e, scratch + s * SUMS_BYTES);
    }
  }
  put_in_order(scratch, d, out);
  return read;
}

/** sums += a, b, c, e times the forms of four rows, ROW_FORMS_BYTES apart. */
function add_forms<F>(
  form: usize,
  count: u32,
  a: f32,
  b: f32,
  c: f32,
  e: f32,
  sums: usize,
): void {
  const low = i32x4.splat(opaque(255, count));
  for (; count != 0; count--) {
    const g = form + ROW_FORMS_BYTES, h = g + ROW_FORMS_BYTES, k = h + ROW_FORMS_BYTES;
    const a0 = factor<F>(form, 0, 0, a), a1 = factor<F>(form, 1, 0, a);
    const b0 = factor<F>(g, 0, 0, b), b1 = factor<F>(g, 1, 0, b);
    const c0 = factor<F>(h, 0, 0, c), c1 = factor<F>(h, 1, 0, c);
    const e0 = factor<F>(k, 0, 0, e), e1 = factor<F>(k, 1, 0, e);
    let A0 = a0, A1 = a1, B0 = b0, B1 = b1, C0 = c0, C1 = c1, E0 = e0, E1 = e1;
    if (isDefined(changetype<F>(0).l)) {
      A0 = factor<F>(form, 0, 1, a), A1 = factor<F>(form, 1, 1, a);
      B0 = factor<F>(g, 0, 1, b), B1 = factor<F>(g, 1, 1, b);
      C0 = factor<F>(h, 0, 1, c), C1 = factor<F>(h, 1, 1, c);
      E0 = factor<F>(k, 0, 1, e), E1 = factor<F>(k, 1, 1, e);
    }
    let x0 = v128.load(sums, COMMON), x1 = v128.load(sums, COMMON + 16);
    x0 = common<F>(form, 0, 0, a, a0, x0), x1 = common<F>(form, 1, 0, a, a1, x1);
    x0 = common<F>(g, 0, 0, b, b0, x0), x1 = common<F>(g, 1, 0, b, b1, x1);
    x0 = common<F>(h, 0, 0, c, c0, x0), x1 = common<F>(h, 1, 0, c, c1, x1);
    x0 = common<F>(k, 0, 0, e, e0, x0), x1 = common<F>(k, 1, 0, e, e1, x1);
    v128.store(sums, x0, COMMON);
    v128.store(sums, x1, COMMON + 16);
    x0 = v128.load(sums, COMMON + 32), x1 = v128.load(sums, COMMON + 48);
    x0 = common<F>(form, 0, 1, a, A0, x0), x1 = common<F>(form, 1, 1, a, A1, x1);
    x0 = common<F>(g, 0, 1, b, B0, x0), x1 = common<F>(g, 1, 1, b, B1, x1);
    x0 = common<F>(h, 0, 1, c, C0, x0), x1 = common<F>(h, 1, 1, c, C1, x1);
    x0 = common<F>(k, 0, 1, e, E0, x0), x1 = common<F>(k, 1, 1, e, E1, x1);
    v128.store(sums, x0, COMMON + 32);
    v128.store(sums, x1, COMMON + 48);
    const end = sums + 1024;
    // Offsets of loads that V8 pairs must be literals below 1024, hence four addresses.
    let p = form + FORM_QUANTS, q = g + FORM_QUANTS, r = h + FORM_QUANTS, t = k + FORM_QUANTS;
    for (; sums != end; sums += 128, p += 32, q += 32, r += 32, t += 32) {
      const p0 = low_bytes<F>(p), p1 = high_bytes<F>(p);
      const q0 = low_bytes<F>(q), q1 = high_bytes<F>(q);
      const r0 = low_bytes<F>(r), r1 = high_bytes<F>(r);
      const t0 = low_bytes<F>(t), t1 = high_bytes<F>(t);
      let y0 = v128.load(sums), y1 = v128.load(sums, 16);
      y0 = madd(byte_0(p0, low), a0, y0), y1 = madd(byte_0(p1, low), a1, y1);
      y0 = madd(byte_0(q0, low), b0, y0), y1 = madd(byte_0(q1, low), b1, y1);
      y0 = madd(byte_0(r0, low), c0, y0), y1 = madd(byte_0(r1, low), c1, y1);
      y0 = madd(byte_0(t0, low), e0, y0), y1 = madd(byte_0(t1, low), e1, y1);
      v128.store(sums, y0);
      v128.store(sums, y1, 16);
      y0 = v128.load(sums, 32), y1 = v128.load(sums, 48);
      y0 = madd(byte_1(p0, low), a0, y0), y1 = madd(byte_1(p1, low), a1, y1);
      y0 = madd(byte_1(q0, low), b0, y0), y1 = madd(byte_1(q1, low), b1, y1);
      y0 = madd(byte_1(r0, low), c0, y0), y1 = madd(byte_1(r1, low), c1, y1);
      y0 = madd(byte_1(t0, low), e0, y0), y1 = madd(byte_1(t1, low), e1, y1);
      v128.store(sums, y0, 32);
      v128.store(sums, y1, 48);
      y0 = v128.load(sums, 64), y1 = v128.load(sums, 80);
      y0 = madd(byte_2(p0, low), A0, y0), y1 = madd(byte_2(p1, low), A1, y1);
      y0 = madd(byte_2(q0, low), B0, y0), y1 = madd(byte_2(q1, low), B1, y1);
      y0 = madd(byte_2(r0, low), C0, y0), y1 = madd(byte_2(r1, low), C1, y1);
      y0 = madd(byte_2(t0, low), E0, y0), y1 = madd(byte_2(t1, low), E1, y1);
      v128.store(sums, y0, 64);
      v128.store(sums, y1, 80);
      y0 = v128.load(sums, 96), y1 = v128.load(sums, 112);
      y0 = madd(byte_3(p0), A0, y0), y1 = madd(byte_3(p1), A1, y1);
      y0 = madd(byte_3(q0), B0, y0), y1 = madd(byte_3(q1), B1, y1);
      y0 = madd(byte_3(r0), C0, y0), y1 = madd(byte_3(r1), C1, y1);
      y0 = madd(byte_3(t0), E0, y0), y1 = madd(byte_3(t1), E1, y1);
      v128.store(sums, y0, 96);
      v128.store(sums, y1, 112);
    }
    sums += 64;
    form += form_bytes<F, Pairs>();
  }
}

/** value · D · L of four blocks (half 0 or 1 of a superblock), first or second half of each. */
@inline
function factor<F>(form: usize, half: u32, second: u32, value: f32): v128 {
  const scaled = f32x4.mul(v128.load(form + 16 * half, FORM_D), f32x4.splat(value));
  if (!isDefined(changetype<F>(0).l)) return scaled;
  return f32x4.mul(scaled, lane_of(form + 16 * half + FORM_L, second));
}

/** Four even (second 0) or odd (1) lanes of i16 at ptr as floats. */
@inline
function lane_of(ptr: usize, second: u32): v128 {
  const pairs = v128.load(ptr);
  const lanes = second == 0 ? i32x4.shl(pairs, 16) : pairs;
  return f32x4.convert_i32x4_s(i32x4.shr_s(lanes, 16));
}

/** sum + what the weights of half a block have in common: −offset · factor and C, or −C · M. */
@inline
function common<F>(
  form: usize,
  half: u32,
  second: u32,
  value: f32,
  factor: v128,
  sum: v128,
): v128 {
  const f = changetype<F>(0);
  const offset = offset_of<F>();
  if (offset != 0) sum = madd(factor, f32x4.splat(<f32>-offset), sum);
  if (!isDefined(f.c)) return sum;
  const c = f32x4.mul(v128.load(form + 16 * half, FORM_C), f32x4.splat(value));
  if (!isDefined(f.m)) return f32x4.add(sum, c);
  return f32x4.sub(sum, f32x4.mul(c, lane_of(form + 16 * half + FORM_M, second)));
}

/** What is subtracted from a whole quant. */
@inline
export function offset_of<F>(): i32 {
  const f = changetype<F>(0);
  if (!is_wide<F>()) return f.offset;
  return 16 * f.offset + (isDefined(f.lowOffset) ? f.lowOffset : 0);
}

/** Sixteen whole quants, of blocks 0 to 3. */
@inline
function low_bytes<F>(at: usize): v128 {
  const low = v128.load(at);
  if (!is_wide<F>()) return low;
  return i8x16.add(low, i16x8.shl(v128.load(at, 256), 4));
}

/** The same of blocks 4 to 7. */
@inline
function high_bytes<F>(at: usize): v128 {
  const low = v128.load(at, 16);
  if (!is_wide<F>()) return low;
  return i8x16.add(low, i16x8.shl(v128.load(at, 272), 4));
}

@inline
function byte_0(x: v128, low: v128): v128 {
  return f32x4.convert_i32x4_s(v128.and(x, low));
}
@inline
function byte_1(x: v128, low: v128): v128 {
  return f32x4.convert_i32x4_s(v128.and(i32x4.shr_u(x, 8), low));
}
@inline
function byte_2(x: v128, low: v128): v128 {
  return f32x4.convert_i32x4_s(v128.and(i32x4.shr_u(x, 16), low));
}
@inline
function byte_3(x: v128): v128 {
  return f32x4.convert_i32x4_s(i32x4.shr_u(x, 24));
}

/** out[r] out of the sums. */
export function put_in_order(sums: usize, d: u32, out: usize): void {
  for (let r: u32 = 0; r < d; r++) {
    const lane = sums + (r >> 8) * SUMS_BYTES + (((r >> 5) & 7) << 2);
    const i = r & 31, half = i >> 4;
    const vector = ((i & 14) << 1) | (half << 1) | (i & 1);
    const value = load<f32>(lane + 32 * vector) + load<f32>(lane + 32 * half, COMMON);
    store<f32>(out + (r << 2), value);
  }
}
