// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Decoding by natural formats (natural.ts): one token by rows whose weights are looked up, in
 * natural order, and multiplied by activations that are put in that order first. Signs are given to
 * the activations, so that products take sizes from 0 up. Sums of a block are whole numbers, and
 * what becomes of them is as in widen.ts: every output has the bits that gemm_q8.ts gives it.
 *
 * Look-ups are most of the work, not memory: rows are read one by one.
 */
import {
  BELOW_FIRST,
  BELOW_SECOND,
  digit,
  last_digits,
  next_digit,
  TQ1_0,
} from "./formats_ternary";
import { k1_of } from "./format";
import { address_at, entries_of_8, k0_of, k2_of, whole_of } from "./natural";
import { RECORD_BYTES, RECORD_QUARTERS, RECORD_SCALES, RECORD_SUMS } from "./q8_tile";
import { F16_REBIAS, F16_SIGN, F16_SIZE, F16_SMALLEST } from "./weight_bits";
import { dot_i8, join_pair, madd, opaque, sum_lanes } from "./simd";

/**
 * A row's plan, of each superblock: up to 64 addresses of entries and 32 of signs, u16, those of
 * both halves in turns; D of its blocks, f32; L of their halves, i16. V8 makes 256-bit operations
 * of what is done to both halves.
 */
const SIGNS: u32 = 128;
const PLAN_D = 192;
const PLAN_L = 224;
const PLAN_BYTES: u32 = 256;

/** Rows by one token; `natural`: room for 512 bytes a superblock. */
export function gemv_natural<F>(
  w: usize,
  rowStride: u32,
  rows: u32,
  superblocks: u32,
  acts: usize,
  out: usize,
  natural: usize,
): void {
  put_in_order<F>(acts, superblocks, natural);
  for (let r: u32 = 0; r < rows; r++) {
    store<f32>(out + 4 * r, row_of<F>(w + r * rowStride, superblocks, acts, natural));
  }
}

/** The listed rows by one token; a number that is no row counts as the last one. */
export function gemv_natural_rows<F>(
  w: usize,
  rowStride: u32,
  rows: u32,
  superblocks: u32,
  acts: usize,
  list: usize,
  count: u32,
  out: usize,
  natural: usize,
): void {
  put_in_order<F>(acts, superblocks, natural);
  for (let j: u32 = 0; j < count; j++) {
    const at = min(load<u32>(list + 4 * j), rows - 1);
    store<f32>(out + 4 * j, row_of<F>(w + at * rowStride, superblocks, acts, natural));
  }
}

/**
 * Activations of records (q8_tile.ts) one behind the other. Of looked up blocks they lie eight by
 * eight: the first ones of a block's halves, those of the block four further, then the last ones of
 * both; halves of blocks can have scales of their own.
 */
function put_in_order<F>(acts: usize, superblocks: u32, to: usize): void {
  const isTernary = isDefined(changetype<F>(0).isTernary);
  const second: u32 = isTernary ? 16 : 8, upper: u32 = isTernary ? 8 : 32;
  for (let s: u32 = 0; s < superblocks; s++, acts += RECORD_BYTES, to += 256) {
    for (let block: u32 = 0; block < 8; block++) {
      const first = to + (isTernary ? 32 * block : 64 * (block & 3) + 16 * (block >> 2));
      for (let place: u32 = 0; place < 8; place++) {
        const pairs = load<u32>(acts + 32 * place + 4 * block);
        const at = first + 2 * (place & 3) + (place >> 2) * upper;
        store<u16>(at, <u16>pairs);
        store<u16>(at + second, <u16>(pairs >> 16));
      }
    }
  }
}

/** One row by one token. */
@inline
function row_of<F>(w: usize, superblocks: u32, acts: usize, natural: usize): f32 {
  if (isDefined(changetype<F>(0).isTernary)) return row_of_digits(w, superblocks, acts, natural);
  return row<F>(w, superblocks, acts, natural, natural + 256 * superblocks);
}

/** The same by entries. */
function row<F>(w: usize, superblocks: u32, acts: usize, natural: usize, plan: usize): f32 {
  write_plan<F>(w, superblocks, plan);
  const ones = i16x8.splat(<i16>opaque(1, superblocks));
  let p0 = f32x4.splat(0), p1 = p0;
  for (let s = superblocks; s != 0; s--) {
    const a = sums_of_4<F>(w, 0, acts, natural, plan, ones);
    const b = sums_of_4<F>(w, 1, acts, natural, plan, ones);
    const d0 = f32x4.mul(v128.load(plan, PLAN_D), v128.load(acts, RECORD_SCALES));
    const d1 = f32x4.mul(v128.load(plan, PLAN_D + 16), v128.load(acts, RECORD_SCALES + 16));
    p0 = madd(f32x4.convert_i32x4_s(a), d0, p0);
    p1 = madd(f32x4.convert_i32x4_s(b), d1, p1);
    w += changetype<F>(0).quantBytes;
    acts += RECORD_BYTES;
    natural += 256;
    plan += PLAN_BYTES;
  }
  return sum_lanes(join_pair(p0, p1, 1, i32x4.splat(opaque(0, superblocks))));
}

/** Where a row's entries and signs are, and its factors. */
@inline
function write_plan<F>(w: usize, superblocks: u32, plan: usize): void {
  const f = changetype<F>(0), zero = i32x4.splat(opaque(0, superblocks));
  const k0 = k0_of<F>(zero), k1 = k1_of<F>(zero), k2 = k2_of<F>(zero);
  const size = i32x4.splat(opaque(F16_SIZE, superblocks));
  const rebias = i32x4.splat(opaque(F16_REBIAS, superblocks));
  const smallest = i32x4.splat(opaque(F16_SMALLEST, superblocks));
  const sign = i32x4.splat(opaque(F16_SIGN, superblocks));
  for (let s = superblocks; s != 0; s--) {
    f.addresses(w, 0, plan, k0, k1);
    f.addresses(w, 1, plan + 16, k0, k1);
    if (isDefined(f.signs)) {
      f.signs(w, 0, plan + SIGNS, k2);
      f.signs(w, 1, plan + (SIGNS + 16), k2);
    }
    const d = whole_of(f.bits(w), size, rebias, smallest, sign);
    v128.store(plan, f.d4(w, 0, d), PLAN_D);
    v128.store(plan, f.d4(w, 1, d), PLAN_D + 16);
    if (isDefined(f.l)) {
      v128.store(plan, f.l(w, 0), PLAN_L);
      v128.store(plan, f.l(w, 1), PLAN_L + 16);
    }
    w += f.quantBytes;
    plan += PLAN_BYTES;
  }
}

/** Σ of four blocks, in their lanes. */
@inline
function sums_of_4<F>(
  w: usize,
  half: u32,
  acts: usize,
  x: usize,
  plan: usize,
  ones: v128,
): v128 {
  const f = changetype<F>(0);
  let l0 = ones, l1 = ones, l2 = ones, l3 = ones;
  if (isDefined(f.l)) {
    const lanes = half == 0 ? v128.load(plan, PLAN_L) : v128.load(plan, PLAN_L + 16);
    const lower = i16x8.shuffle(lanes, lanes, 0, 0, 1, 1, 2, 2, 3, 3);
    const upper = i16x8.shuffle(lanes, lanes, 4, 4, 5, 5, 6, 6, 7, 7);
    l0 = i32x4.shuffle(lower, lower, 0, 0, 1, 1), l1 = i32x4.shuffle(lower, lower, 2, 2, 3, 3);
    l2 = i32x4.shuffle(upper, upper, 0, 0, 1, 1), l3 = i32x4.shuffle(upper, upper, 2, 2, 3, 3);
  }
  const a = block_sum<F>(plan, half, 0, x, l0), b = block_sum<F>(plan, half, 1, x, l1);
  const c = block_sum<F>(plan, half, 2, x, l2), d = block_sum<F>(plan, half, 3, x, l3);
  const sums = lanes_of_4(a, b, c, d);
  if (isDefined(f.signs)) return sums;
  const least = f.least(
    w, half,
    half == 0 ? v128.load(acts, RECORD_SUMS) : v128.load(acts, RECORD_SUMS + 16),
    half == 0 ? v128.load(acts, RECORD_QUARTERS) : v128.load(acts, RECORD_QUARTERS + 16),
    half == 0 ? v128.load(acts, RECORD_QUARTERS + 32) : v128.load(acts, RECORD_QUARTERS + 48),
  );
  return i32x4.add(sums, least);
}

/** [Σa, Σb, Σc, Σd] of integers. */
@inline
function lanes_of_4(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = i32x4.add(i32x4.shuffle(a, b, 0, 4, 1, 5), i32x4.shuffle(a, b, 2, 6, 3, 7));
  const cd = i32x4.add(i32x4.shuffle(c, d, 0, 4, 1, 5), i32x4.shuffle(c, d, 2, 6, 3, 7));
  return i32x4.add(i64x2.shuffle(ab, cd, 0, 2), i64x2.shuffle(ab, cd, 1, 3));
}

/**
 * Σ of a block in four lanes. A lane of 16 bits takes four products, 4 · 62 · 127 at most: the
 * first four lanes are of its first half, whose scale is in those of `lanes`.
 */
@inline
function block_sum<F>(plan: usize, half: u32, j: u32, x: usize, lanes: v128): v128 {
  const f = changetype<F>(0), i = 4 * j;
  let x0 = v128.load(x + (64 * j + 16 * half)), x1 = v128.load(x + (64 * j + 16 * half + 32));
  if (isDefined(f.signs)) {
    const m0 = f.minus(plan, SIGNS + address_at(half, i), SIGNS + address_at(half, i + 2));
    const m1 = f.minus(plan, SIGNS + address_at(half, i + 1), SIGNS + address_at(half, i + 3));
    x0 = i8x16.sub(v128.xor(x0, m0), m0);
    x1 = i8x16.sub(v128.xor(x1, m1), m1);
  }
  const a = eight_at<F>(half, i), b = eight_at<F>(half, i + 1);
  const c = eight_at<F>(half, i + 2), d = eight_at<F>(half, i + 3);
  const p = dot_i8(x0, f.entries(plan, a, c)), q = dot_i8(x1, f.entries(plan, b, d));
  return i32x4.dot_i16x8_s(i16x8.add(p, q), lanes);
}

/** Where the address of eight weights is. */
@inline
function eight_at<F>(half: u32, i: u32): u32 {
  return address_at(half, i * entries_of_8<F>());
}

/** One row of TQ1_0 by one token. */
function row_of_digits(w: usize, superblocks: u32, acts: usize, natural: usize): f32 {
  const ones = i16x8.splat(<i16>opaque(1, superblocks));
  const first = i8x16.splat(<i8>opaque(BELOW_FIRST, superblocks));
  const second = i8x16.splat(<i8>opaque(BELOW_SECOND, superblocks));
  const flip = i8x16.splat(<i8>opaque(-128, superblocks));
  const size = i32x4.splat(F16_SIZE), rebias = i32x4.splat(F16_REBIAS);
  const smallest = i32x4.splat(F16_SMALLEST), sign = i32x4.splat(F16_SIGN);
  let p0 = f32x4.splat(0), p1 = p0;
  for (let s = superblocks; s != 0; s--) {
    let x = v128.xor(v128.load(w), flip), y = v128.xor(v128.load(w, 16), flip);
    const a = digits_sum(x, y, natural, first, second, ones);
    x = next_digit(x), y = next_digit(y);
    const b = digits_sum(x, y, natural + 32, first, second, ones);
    x = next_digit(x), y = next_digit(y);
    const c = digits_sum(x, y, natural + 64, first, second, ones);
    x = next_digit(x), y = next_digit(y);
    const d = digits_sum(x, y, natural + 96, first, second, ones);
    x = next_digit(x), y = next_digit(y);
    const e = digits_sum(x, y, natural + 128, first, second, ones);
    x = v128.xor(v128.load(w, 32), flip), y = next_digit(x);
    const g = digits_sum(x, y, natural + 160, first, second, ones);
    x = next_digit(y), y = next_digit(x);
    const h = digits_sum(x, y, natural + 192, first, second, ones);
    const i = digits_sum(next_digit(y), last_digits(w + 48), natural + 224, first, second, ones);
    const scale = whole_of(changetype<TQ1_0>(0).bits(w), size, rebias, smallest, sign);
    const z0 = i32x4.dot_i16x8_s(v128.load(acts, RECORD_SUMS), ones);
    const z1 = i32x4.dot_i16x8_s(v128.load(acts, RECORD_SUMS + 16), ones);
    const d0 = f32x4.mul(scale, v128.load(acts, RECORD_SCALES));
    const d1 = f32x4.mul(scale, v128.load(acts, RECORD_SCALES + 16));
    p0 = madd(f32x4.convert_i32x4_s(i32x4.add(lanes_of_4(a, b, c, d), z0)), d0, p0);
    p1 = madd(f32x4.convert_i32x4_s(i32x4.add(lanes_of_4(e, g, h, i), z1)), d1, p1);
    w += changetype<TQ1_0>(0).quantBytes;
    acts += RECORD_BYTES;
    natural += 256;
  }
  return sum_lanes(join_pair(p0, p1, 1, i32x4.splat(opaque(0, superblocks))));
}

/** Σ of a block of digits in four lanes. */
@inline
function digits_sum(
  x: v128,
  y: v128,
  acts: usize,
  first: v128,
  second: v128,
  ones: v128,
): v128 {
  const p = dot_i8(v128.load(acts), digit(x, first, second));
  const q = dot_i8(v128.load(acts, 16), digit(y, first, second));
  return i32x4.dot_i16x8_s(i16x8.add(p, q), ones);
}
