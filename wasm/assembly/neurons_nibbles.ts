// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * One token by rows of Q4_0 that are kept neuron by neuron (neurons.ts), in integers: what a weight
 * counts, value · scale, is rounded to int8, of a group of neurons against the largest of them in
 * a block. That is how activations are rounded everywhere (quantize_q8.ts), with the block across
 * the neurons; it takes less than half the time of floats.
 *
 * Two neurons share a 16-bit lane: bytes of one weight each, multiplied by their coefficients and
 * added up in one operation. The sums are those of neurons_quant.ts.
 */
import { Q4_0 } from "./formats_32";
import { next_row, row_at, value_at } from "./neurons_list";
import { put_in_order, SUMS_BYTES } from "./neurons_quant";
import { superblocks_of } from "./q8_tile";
import { f16_bits_to_f32x4, F16_MASK, dot_i8, madd, opaque, TWO_POW_112_BITS } from "./simd";
import { row_bytes, superblock_bytes } from "./superblock_form";

/** Neurons of a group. Their sums fit 16 bits, whatever they pass on the way: 32 · 127 · 8. */
const GROUP: u32 = 32;
/** Adding and subtracting 1.5 · 2^23 leaves the nearest integer in the low bits. */
const ROUND_BITS: i32 = 0x4b400000;
/** 2^-100: below it a block's coefficients count as zero, for 127 over them might be infinite. */
const SMALLEST_BITS: i32 = 0x0d800000;
/**
 * Of a group in the scratch, behind the sums: addresses; values; of eight blocks their largest
 * coefficients, 127 over them, what a rounded one counts, −8 · Σ of those; coefficients before and
 * after. What is kept there between two loops reaches both halves of V8's pairs.
 */
const VALUES: u32 = 4 * GROUP;
const LARGEST: u32 = 8 * GROUP;
const INVERSE: u32 = LARGEST + 32;
const UNIT: u32 = LARGEST + 64;
const START: u32 = LARGEST + 96;
const WHOLE: u32 = LARGEST + 128;
const ROUNDED: u32 = WHOLE + 32 * GROUP;
/** Bytes of all that. */
export const GROUP_BYTES: u32 = ROUNDED + 16 * GROUP;

/** out = Σ values[j] · row list[j]; returns how many rows were read. `last`: the last neuron. */
export function add_nibble_rows(
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
  const group = scratch + superblocks * SUMS_BYTES;
  memory.fill(scratch, 0, superblocks * SUMS_BYTES);
  const rowBytes = <u32>row_bytes<Q4_0>(superblocks);
  let read: u32 = 0, seen: u32 = 0;
  let j = next_row(values, 0, count, skips);
  while (j < count) {
    let size: u32 = 0;
    for (; size < GROUP && j < count; size++) {
      store<u32>(group + 4 * size, <u32>w + row_at(list, j, last) * rowStride);
      store<f32>(group + 4 * size, value_at(values, j), VALUES);
      j = next_row(values, j + 1, count, skips);
    }
    read += size;
    if ((size & 1) != 0) {
      store<u32>(group + 4 * size, load<u32>(group));
      store<f32>(group + 4 * size, 0, VALUES);
      size++;
    }
    seen |= fetch_rows(group, size, rowBytes);
    for (let s: u32 = 0; s < superblocks; s++) {
      add_superblock(group, size, s * superblock_bytes<Q4_0>(), scratch + s * SUMS_BYTES);
    }
  }
  put_in_order(scratch, d, out);
  store<u32>(group, seen); // lest a compiler finds that nobody wants what was fetched
  return read;
}

/**
 * Reads a byte of each line of a group's rows, four side by side: the sums read so many at once
 * that the prefetcher follows none of them.
 */
function fetch_rows(group: usize, size: u32, rowBytes: u32): u32 {
  let seen: u32 = 0;
  for (let i: u32 = 0; i < size; i += 4) {
    const at = group + 4 * i, far = i + 2 < size ? at + 8 : at;
    const p = <usize>load<u32>(at), q = <usize>load<u32>(at, 4);
    const r = <usize>load<u32>(far), t = <usize>load<u32>(far, 4);
    for (let line: u32 = 0; line < rowBytes; line += 64) {
      seen |= load<u32>(p + line) | load<u32>(q + line) | load<u32>(r + line) | load<u32>(t + line);
    }
  }
  return seen;
}

/** sums += a superblock of `size` rows, so far into each of them. */
function add_superblock(group: usize, size: u32, quants: usize, sums: usize): void {
  find_whole(group, size, quants + changetype<Q4_0>(0).quantBytes);
  set_units(group);
  round_all(group, size);
  for (let place: u32 = 0; place < 4; place++) {
    add_place(group, size, quants + 32 * place, sums + 128 * place);
  }
}

/** Coefficients of eight blocks, value · scale, and the largest of each block. */
function find_whole(group: usize, size: u32, factors: usize): void {
  const mask = i32x4.splat(opaque(F16_MASK, size));
  const owed = f32x4.splat(reinterpret<f32>(opaque(TWO_POW_112_BITS, size)));
  const magnitude = i32x4.splat(opaque(0x7fffffff, size));
  const end = group + 4 * size;
  let m0 = i32x4.splat(0), m1 = m0;
  let to = group + WHOLE;
  for (let at = group; at != end; at += 4, to += 32) {
    const row = <usize>load<u32>(at) + factors - 16; // V8 pairs them where no offset is 0
    const value = v128.load32_splat(at, VALUES);
    const d0 = f32x4.mul(f16_bits_to_f32x4(v128.load_ext<i16>(row, 16), mask), owed);
    const d1 = f32x4.mul(f16_bits_to_f32x4(v128.load_ext<i16>(row, 24), mask), owed);
    const c0 = f32x4.mul(d0, value), c1 = f32x4.mul(d1, value);
    v128.store(to, c0);
    v128.store(to, c1, 16);
    m0 = i32x4.max_s(m0, v128.and(c0, magnitude)); // of floats that are positive, or NaN
    m1 = i32x4.max_s(m1, v128.and(c1, magnitude));
  }
  v128.store(group, m0, LARGEST);
  v128.store(group, m1, LARGEST + 16);
}

/** How coefficients are rounded, and what one counts then. */
function set_units(group: usize): void {
  const most = f32x4.splat(127), least = i32x4.splat(SMALLEST_BITS);
  for (let half: u32 = 0; half < 32; half += 16) {
    const at = group + half;
    const largest = v128.load(at, LARGEST);
    const isCounted = i32x4.ge_s(largest, least);
    v128.store(at, v128.and(f32x4.div(most, largest), isCounted), INVERSE);
    v128.store(at, f32x4.div(largest, most), UNIT);
  }
}

/** Rounds them, two neurons in the four bytes of a block, and sums them up. */
function round_all(group: usize, size: u32): void {
  const round = f32x4.splat(reinterpret<f32>(opaque(ROUND_BITS, size)));
  const low = i32x4.splat(opaque(255, size)), word = i32x4.splat(opaque(0xffff, size));
  const i0 = v128.load(group, INVERSE), i1 = v128.load(group, INVERSE + 16);
  let a0 = i32x4.splat(0), a1 = a0;
  const end = group + WHOLE + 32 * size;
  let to = group + ROUNDED;
  for (let at = group + WHOLE; at != end; at += 64, to += 32) {
    const p0 = nearest(v128.load(at), i0, round), p1 = nearest(v128.load(at, 16), i1, round);
    const q0 = nearest(v128.load(at, 32), i0, round), q1 = nearest(v128.load(at, 48), i1, round);
    a0 = i32x4.sub(a0, i32x4.add(p0, q0)), a1 = i32x4.sub(a1, i32x4.add(p1, q1));
    const x0 = v128.or(v128.and(p0, low), i32x4.shl(v128.and(q0, low), 8));
    const x1 = v128.or(v128.and(p1, low), i32x4.shl(v128.and(q1, low), 8));
    v128.store(to, v128.or(x0, i32x4.shl(x0, 16)));
    v128.store(to, v128.or(x1, i32x4.shl(x1, 16)), 16);
  }
  a0 = v128.and(i32x4.shl(a0, 3), word), a1 = v128.and(i32x4.shl(a1, 3), word);
  v128.store(group, v128.or(a0, i32x4.shl(a0, 16)), START);
  v128.store(group, v128.or(a1, i32x4.shl(a1, 16)), START + 16);
}

/** x · by as the nearest integer, ties to even. */
@inline
function nearest(x: v128, by: v128, round: v128): v128 {
  return i32x4.sub(f32x4.add(f32x4.mul(x, by), round), round);
}

/** sums += 32 bytes of each row: the low nibbles' place, and the high ones' 512 bytes behind it. */
function add_place(group: usize, size: u32, quants: usize, sums: usize): void {
  const nibble = i8x16.splat(<i8>opaque(15, size));
  const first = i16x8.splat(<i16>opaque(255, size));
  const second = i16x8.shl(first, 8);
  let a0 = v128.load(group, START), a1 = v128.load(group, START + 16);
  let b0 = a0, b1 = a1, c0 = a0, c1 = a1, e0 = a0, e1 = a1;
  const end = group + 4 * size;
  let by = group + ROUNDED;
  for (let at = group; at != end; at += 8, by += 32) {
    const p = <usize>load<u32>(at) + quants, q = <usize>load<u32>(at, 4) + quants;
    const k0 = v128.load(by), k1 = v128.load(by, 16);
    const p0 = v128.load(p), p1 = v128.load(p, 16), q0 = v128.load(q), q1 = v128.load(q, 16);
    const x0 = v128.or(v128.and(p0, first), i16x8.shl(q0, 8));
    const x1 = v128.or(v128.and(p1, first), i16x8.shl(q1, 8));
    const y0 = v128.or(i16x8.shr_u(p0, 8), v128.and(q0, second));
    const y1 = v128.or(i16x8.shr_u(p1, 8), v128.and(q1, second));
    a0 = i16x8.add(a0, dot_i8(k0, v128.and(x0, nibble)));
    a1 = i16x8.add(a1, dot_i8(k1, v128.and(x1, nibble)));
    b0 = i16x8.add(b0, dot_i8(k0, v128.and(y0, nibble)));
    b1 = i16x8.add(b1, dot_i8(k1, v128.and(y1, nibble)));
    c0 = i16x8.add(c0, dot_i8(k0, v128.and(i16x8.shr_u(x0, 4), nibble)));
    c1 = i16x8.add(c1, dot_i8(k1, v128.and(i16x8.shr_u(x1, 4), nibble)));
    e0 = i16x8.add(e0, dot_i8(k0, v128.and(i16x8.shr_u(y0, 4), nibble)));
    e1 = i16x8.add(e1, dot_i8(k1, v128.and(i16x8.shr_u(y1, 4), nibble)));
  }
  const even = i32x4.splat(opaque(1, size)), odd = i32x4.splat(opaque(1 << 16, size));
  const t0 = v128.load(group, UNIT), t1 = v128.load(group, UNIT + 16);
  widen(sums, a0, a1, even, t0, t1);
  widen(sums + 32, b0, b1, even, t0, t1);
  widen(sums + 64, a0, a1, odd, t0, t1);
  widen(sums + 96, b0, b1, odd, t0, t1);
  widen(sums + 512, c0, c1, even, t0, t1);
  widen(sums + 544, e0, e1, even, t0, t1);
  widen(sums + 576, c0, c1, odd, t0, t1);
  widen(sums + 608, e0, e1, odd, t0, t1);
}

/** sums [8] += factors · the even or odd lanes. */
@inline
function widen(sums: usize, x0: v128, x1: v128, which: v128, t0: v128, t1: v128): void {
  const y0 = f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(x0, which));
  const y1 = f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(x1, which));
  const z0 = madd(y0, t0, v128.load(sums)), z1 = madd(y1, t1, v128.load(sums, 16));
  v128.store(sums, z0);
  v128.store(sums, z1, 16);
}
