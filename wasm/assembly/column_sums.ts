// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Listed columns of a block, added up in 16-bit lanes, then widened by their rows' factors
 * (column_layout.ts). Every nibble is taken with −8, a level with its offset, which the lanes begin
 * with: so their sums end in 16 bits, whatever they pass on the way. What a format's own offset
 * lacks to that is added to the sums when they have 32 bits.
 */
import {
  column_bytes,
  has_minima,
  has_small_floats,
  is_super,
  levels_of,
  looked_up,
  runs_halves,
  scales_halves,
  stores_bytes,
} from "./columns";
import { has_levels } from "./format";
import { offset_of } from "./neurons_quant";
import { RECORD_SCALES, RECORD_SUMS } from "./q8_tile";
import { f16_bits_to_f32x4, F16_MASK, madd, opaque, TWO_POW_112_BITS } from "./simd";

const TWO_POW_103: f32 = reinterpret<f32>(230 << 23);

/**
 * out += the columns of list .. end by their activations, whose block is at `lane` of a record.
 * superblock: its factors; factors: those of the run.
 */
export function add_listed_columns<F>(
  superblock: usize,
  factors: usize,
  rows: u32,
  lane: usize,
  half: u32,
  out: usize,
  list: usize,
  end: usize,
): void {
  const columnBytes = column_bytes<F>(rows);
  const scale = load<f32>(lane, RECORD_SCALES);
  // −Σ of the activations.
  let negative = <i32>load<i16>(lane + 2 * half, RECORD_SUMS);
  if (!runs_halves<F>()) negative += <i32>load<i16>(lane, RECORD_SUMS + 2);
  const first: i32 = has_levels<F>() ? changetype<F>(0).offset : 8;
  const start = i16x8.splat(<i16>(first * negative));
  const low = i16x8.splat(<i16>opaque(15, columnBytes));
  const even = i32x4.splat(opaque(1, columnBytes)), odd = i32x4.splat(opaque(1 << 16, columnBytes));
  const mask = i32x4.splat(opaque(F16_MASK, columnBytes));
  const owed = f32x4.splat(reinterpret<f32>(opaque(TWO_POW_112_BITS, columnBytes)));
  // Small floats are read as if they had the exponent of an f32: 2^103 of the numbers is lacking.
  const factor = f32x4.splat(has_small_floats<F>() ? scale * TWO_POW_103 : scale);
  const taken: i32 = stores_bytes<F>() ? 136 : first;
  const rest = i32x4.splat(negative * (offset_here<F>() - taken));
  const least = f32x4.splat(scale * <f32>-negative);
  const levels = levels_of<F>();
  let d = superblock;
  factors -= 16; // V8 pairs extending loads only where neither offset is 0
  for (let c: u32 = 0; c < columnBytes; c += 32) {
    let a0 = start, a1 = start, a2 = start, a3 = start;
    let b0 = start, b1 = start, b2 = start, b3 = start;
    for (let at = list; at != end; at += 8) {
      const column = <usize>load<u32>(at) + c;
      const by = v128.load_splat<i16>(at, 4);
      const x = v128.load(column), y = v128.load(column, 16);
      a0 = i16x8.add(a0, i16x8.mul(looked_up<F>(v128.and(x, low), levels), by));
      b0 = i16x8.add(b0, i16x8.mul(looked_up<F>(v128.and(y, low), levels), by));
      a1 = i16x8.add(a1, i16x8.mul(looked_up<F>(v128.and(i16x8.shr_u(x, 4), low), levels), by));
      b1 = i16x8.add(b1, i16x8.mul(looked_up<F>(v128.and(i16x8.shr_u(y, 4), low), levels), by));
      a2 = i16x8.add(a2, i16x8.mul(looked_up<F>(v128.and(i16x8.shr_u(x, 8), low), levels), by));
      b2 = i16x8.add(b2, i16x8.mul(looked_up<F>(v128.and(i16x8.shr_u(y, 8), low), levels), by));
      a3 = i16x8.add(a3, i16x8.mul(looked_up<F>(i16x8.shr_u(x, 12), levels), by));
      b3 = i16x8.add(b3, i16x8.mul(looked_up<F>(i16x8.shr_u(y, 12), levels), by));
    }
    if (stores_bytes<F>()) {
      add_wide<F>(
        out, factors, d, rows, a0, a1, b0, b1, even, odd, rest, mask, owed, factor, least,
      );
      out += 64, factors += 16 * factor_step<F>(), d += 64;
      add_wide<F>(
        out, factors, d, rows, a2, a3, b2, b3, even, odd, rest, mask, owed, factor, least,
      );
      out += 64, factors += 16 * factor_step<F>(), d += 64;
    } else {
      add_sixteen<F>(out, factors, d, rows, a0, b0, even, odd, rest, mask, owed, factor, least);
      out += 64, factors += 16 * factor_step<F>(), d += 64;
      add_sixteen<F>(out, factors, d, rows, a1, b1, even, odd, rest, mask, owed, factor, least);
      out += 64, factors += 16 * factor_step<F>(), d += 64;
      add_sixteen<F>(out, factors, d, rows, a2, b2, even, odd, rest, mask, owed, factor, least);
      out += 64, factors += 16 * factor_step<F>(), d += 64;
      add_sixteen<F>(out, factors, d, rows, a3, b3, even, odd, rest, mask, owed, factor, least);
      out += 64, factors += 16 * factor_step<F>(), d += 64;
    }
  }
}

/** What is subtracted from a quant; 0 where minima make up for it. */
@inline
function offset_here<F>(): i32 {
  return is_super<F>() && !scales_halves<F>() ? 0 : offset_of<F>();
}

/** Bytes of a run's factors of a row: f16, or small integers. */
@inline
function factor_step<F>(): u32 {
  return is_super<F>() ? 1 : 2;
}

/** Sixteen outputs: the even lanes of a and b, then the odd ones. */
@inline
function add_sixteen<F>(
  out: usize,
  factors: usize,
  d: usize,
  rows: u32,
  a: v128,
  b: v128,
  even: v128,
  odd: v128,
  rest: v128,
  mask: v128,
  owed: v128,
  factor: v128,
  least: v128,
): void {
  let p = i32x4.dot_i16x8_s(a, even), q = i32x4.dot_i16x8_s(b, even);
  let r = i32x4.dot_i16x8_s(a, odd), s = i32x4.dot_i16x8_s(b, odd);
  if (offset_here<F>() != 8 && !has_levels<F>()) {
    p = i32x4.add(p, rest), q = i32x4.add(q, rest);
    r = i32x4.add(r, rest), s = i32x4.add(s, rest);
  }
  add_eight<F>(out, factors, d, rows, p, q, mask, owed, factor, least);
  const next = factors + 8 * factor_step<F>();
  add_eight<F>(out + 32, next, d + 32, rows, r, s, mask, owed, factor, least);
}

/** The same of 8-bit weights: 16 · (high − 8) + (low − 8). */
@inline
function add_wide<F>(
  out: usize,
  factors: usize,
  d: usize,
  rows: u32,
  a: v128,
  A: v128,
  b: v128,
  B: v128,
  even: v128,
  odd: v128,
  rest: v128,
  mask: v128,
  owed: v128,
  factor: v128,
  least: v128,
): void {
  const p = wide(a, A, even, rest), q = wide(b, B, even, rest);
  const r = wide(a, A, odd, rest), s = wide(b, B, odd, rest);
  add_eight<F>(out, factors, d, rows, p, q, mask, owed, factor, least);
  const next = factors + 8 * factor_step<F>();
  add_eight<F>(out + 32, next, d + 32, rows, r, s, mask, owed, factor, least);
}

@inline
function wide(low: v128, high: v128, which: v128, rest: v128): v128 {
  const sum = i32x4.add(
    i32x4.dot_i16x8_s(low, which),
    i32x4.shl(i32x4.dot_i16x8_s(high, which), 4),
  );
  return i32x4.add(sum, rest);
}

/** out [8] += the sums a and b by their rows' factors. */
@inline
function add_eight<F>(
  out: usize,
  factors: usize,
  d: usize,
  rows: u32,
  a: v128,
  b: v128,
  mask: v128,
  owed: v128,
  factor: v128,
  least: v128,
): void {
  let p = v128.load(out), q = v128.load(out, 16);
  const x = f32x4.convert_i32x4_s(a), y = f32x4.convert_i32x4_s(b);
  if (!is_super<F>()) {
    const e = scales<F>(v128.load_ext<i16>(factors, 16), mask, owed);
    const g = scales<F>(v128.load_ext<i16>(factors, 24), mask, owed);
    p = madd(x, f32x4.mul(e, factor), p);
    q = madd(y, f32x4.mul(g, factor), q);
    if (has_minima<F>()) {
      const minima = factors + 2 * rows;
      const c = f32x4.mul(f16_bits_to_f32x4(v128.load_ext<i16>(minima, 16), mask), owed);
      const C = f32x4.mul(f16_bits_to_f32x4(v128.load_ext<i16>(minima, 24), mask), owed);
      p = madd(c, least, p);
      q = madd(C, least, q);
    }
  } else {
    const e = f32x4.mul(v128.load(d), factor), g = f32x4.mul(v128.load(d, 16), factor);
    const integers = scales_halves<F>() && !has_small_floats<F>()
      ? v128.load_ext<i8>(factors, 16)
      : v128.load_ext<u8>(factors, 16);
    const l = number_of<F>(i32x4.extend_low_i16x8_s(integers));
    const L = number_of<F>(i32x4.extend_high_i16x8_s(integers));
    p = madd(f32x4.mul(x, l), e, p);
    q = madd(f32x4.mul(y, L), g, q);
    if (!scales_halves<F>()) {
      const minima = v128.load_ext<u8>(factors + rows, 16);
      const m = f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(minima));
      const M = f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(minima));
      const c = d + 4 * rows;
      p = madd(m, f32x4.mul(v128.load(c), least), p);
      q = madd(M, f32x4.mul(v128.load(c, 16), least), q);
    }
  }
  v128.store(out, p);
  v128.store(out, q, 16);
}

/** Four integers as floats, or the bits of small floats. */
@inline
function number_of<F>(lanes: v128): v128 {
  return has_small_floats<F>() ? i32x4.shl(lanes, 20) : f32x4.convert_i32x4_s(lanes);
}

/** Four scales, of f16, or of the upper halves of f32. */
@inline
function scales<F>(bits: v128, mask: v128, owed: v128): v128 {
  if (has_levels<F>()) return i32x4.shl(bits, 16);
  return f32x4.mul(f16_bits_to_f32x4(bits, mask), owed);
}
