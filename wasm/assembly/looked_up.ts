// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Decoding by formats whose bytes are looked up with a swizzle (`table`, format.ts). V8 makes no
 * 256-bit operations of swizzles, nor of anything computed together with one. So of two rows and
 * eight superblocks bytes are looked up and stored, then multiplied and added up as whole numbers,
 * then made floats: each of these is a loop of its own.
 *
 * Bytes above 127 that no dot product takes are multiplied in 16 bits: the even bytes and the odd
 * ones, by activations that are made 16-bit numbers once. Two nibbles would be four products as
 * well, but twice the sums, with more behind them (NOTES.md).
 */
import {
  d_of,
  h0_of,
  h1_of,
  h2_of,
  halves_of_both,
  lanes_of,
  scale_of,
  second_halves,
  SHORT,
  SUPERBLOCKS_AT_ONCE,
} from "./format";
import { Fours, has_nibbles, offset_of } from "./product_sums";
import { RECORD_SCALES, RECORD_SUMS } from "./q8_tile";
import { LINE_BYTES } from "./read_ahead";
import { opaque } from "./simd";
import { superblock_bytes } from "./superblock_form";
import { F16_REBIAS, F16_SIGN, F16_SIZE, F16_SMALLEST } from "./weight_bits";

/** A row's bytes, and its whole sums: i32 by block, or, by pairs, i16 by half a block. */
const ROW_BYTES: u32 = SUPERBLOCKS_AT_ONCE * 256;
const SUMS_BYTES: u32 = 32;
const ROW_SUMS_BYTES: u32 = SUPERBLOCKS_AT_ONCE * SUMS_BYTES;
/** A superblock's activations as i16: of each place 32 bytes of even ones, then of odd ones. */
const WORDS_BYTES: u32 = 512;

/** In scratch: bytes and whole sums of two rows, then activations. */
const SUMS_AT: u32 = 2 * ROW_BYTES;
const WORDS_AT: u32 = SUMS_AT + 2 * ROW_SUMS_BYTES;

/** Scratch for one token. */
@inline
export function looked_up_bytes(superblocks: u64): u64 {
  return WORDS_AT + WORDS_BYTES * superblocks;
}

/** Are F's bytes looked up? A constant. */
@inline
export function is_looked_up<F>(): bool {
  return isDefined(changetype<F>(0).table);
}

/** The activations of records (q8_tile.ts) that are xStep bytes apart, as S multiplies them. */
@inline
export function prepare_looked_up<F, S>(
  acts: usize,
  xStep: u32,
  superblocks: u32,
  scratch: usize,
): void {
  if (takes_words<F, S>()) {
    write_words(acts, xStep, superblocks, scratch + WORDS_AT);
  }
}

/** Are F's bytes above 127, and S takes no such? A constant. */
@inline
function takes_words<F, S>(): bool {
  return is_looked_up<F>() && has_nibbles<F, S>();
}

function write_words(acts: usize, xStep: u32, superblocks: u32, to: usize): void {
  for (; superblocks != 0; superblocks--, acts += xStep) {
    for (let at = acts; at != acts + 256; at += 32, to += 64) {
      const x0 = v128.load(at), x1 = v128.load(at, 16);
      v128.store(to, i16x8.shr_s(i16x8.shl(x0, 8), 8));
      v128.store(to, i16x8.shr_s(i16x8.shl(x1, 8), 8), 16);
      v128.store(to, i16x8.shr_s(x0, 8), 32);
      v128.store(to, i16x8.shr_s(x1, 8), 48);
    }
  }
}

/**
 * sums[2, 8] += the rows at w and u by a token, for which prepare_looked_up() was called; both are
 * read `reach` bytes ahead of. What comes back is of no use, but keeps those reads.
 */
export function add_looked_up<F, S>(
  w: usize,
  u: usize,
  superblocks: u32,
  acts: usize,
  xStep: u32,
  sums: usize,
  scratch: usize,
  reach: u32,
): u32 {
  const f = changetype<F>(0), zero = i32x4.splat(opaque(0, superblocks));
  const nibbles = f.k0(zero), table = f.table(zero);
  const whole = scratch + SUMS_AT;
  let words = scratch + WORDS_AT;
  let seen: u32 = 0;
  for (let s: u32 = 0; s < superblocks; s += SUPERBLOCKS_AT_ONCE) {
    const count = min(superblocks - s, SUPERBLOCKS_AT_ONCE);
    const bytes = count * superblock_bytes<F>();
    if (reach != 0) {
      for (let l: u32 = reach; l < reach + bytes; l += LINE_BYTES) {
        seen |= load<u32>(w + l) | load<u32>(u + l);
      }
    }
    look_up<F>(w, count, scratch, nibbles, table);
    look_up<F>(u, count, scratch + ROW_BYTES, nibbles, table);
    add_whole<F, S>(scratch, count, acts, xStep, words, whole);
    if (takes_words<F, S>()) add_floats<F, Fours>(w, u, count, acts, xStep, whole, sums);
    else add_floats<F, S>(w, u, count, acts, xStep, whole, sums);
    w += bytes;
    u += bytes;
    acts += count * xStep;
    words += count * WORDS_BYTES;
  }
  return seen;
}

/** The bytes of `count` superblocks from w on. `nibbles`: 15 in every byte. */
@inline
function look_up<F>(w: usize, count: u32, to: usize, nibbles: v128, table: v128): void {
  const f = changetype<F>(0);
  const end = to + 256 * count;
  for (; to != end; to += 128, w += f.factorBytes) {
    const half = to + 128;
    for (; to != half; to += 32, w += 32) {
      const x0 = v128.load(w), x1 = v128.load(w, 16);
      const y0 = i16x8.shr_u(x0, 4), y1 = i16x8.shr_u(x1, 4);
      v128.store(to, i8x16.relaxed_swizzle(table, v128.and(x0, nibbles)));
      v128.store(to, i8x16.relaxed_swizzle(table, v128.and(x1, nibbles)), 16);
      v128.store(to, i8x16.relaxed_swizzle(table, v128.and(y0, nibbles)), 128);
      v128.store(to, i8x16.relaxed_swizzle(table, v128.and(y1, nibbles)), 144);
    }
  }
}

/**
 * whole[2, count] = Σ of two rows' bytes, less their offset, by activations: in the lanes of S, or
 * of Fours where 16 bits are multiplied.
 */
@inline
function add_whole<F, S>(
  at: usize,
  count: u32,
  acts: usize,
  xStep: u32,
  words: usize,
  whole: usize,
): void {
  const by = changetype<S>(0);
  const offset = i16x8.splat(<i16>opaque(offset_of<F, Fours>(), count));
  const byte = i16x8.splat(<i16>opaque(255, count));
  const end = whole + count * SUMS_BYTES;
  for (; whole != end; whole += SUMS_BYTES, acts += xStep) {
    let a0 = start_of<F, S>(v128.load(acts, RECORD_SUMS), offset);
    let a1 = start_of<F, S>(v128.load(acts, RECORD_SUMS + 16), offset);
    let b0 = a0, b1 = a1, x = acts;
    const next = at + 256;
    for (; at != next; at += 32) {
      const w0 = v128.load(at), w1 = v128.load(at, 16);
      const u0 = v128.load(at, ROW_BYTES), u1 = v128.load(at, ROW_BYTES + 16);
      if (!takes_words<F, S>()) {
        const x0 = v128.load(x), x1 = v128.load(x, 16);
        a0 = by.add(a0, x0, w0, byte), a1 = by.add(a1, x1, w1, byte);
        b0 = by.add(b0, x0, u0, byte), b1 = by.add(b1, x1, u1, byte);
        x += 32;
      } else {
        const e0 = v128.load(words), e1 = v128.load(words, 16);
        const o0 = v128.load(words, 32), o1 = v128.load(words, 48);
        a0 = add_words(a0, w0, e0, o0, byte), a1 = add_words(a1, w1, e1, o1, byte);
        b0 = add_words(b0, u0, e0, o0, byte), b1 = add_words(b1, u1, e1, o1, byte);
        words += 64;
      }
    }
    v128.store(whole, a0);
    v128.store(whole, a1, 16);
    v128.store(whole, b0, ROW_SUMS_BYTES);
    v128.store(whole, b1, ROW_SUMS_BYTES + 16);
  }
}

/** What whole sums begin with. */
@inline
function start_of<F, S>(sums: v128, offset: v128): v128 {
  if (takes_words<F, S>()) return changetype<Fours>(0).times(sums, offset);
  return changetype<S>(0).times(sums, offset);
}

/** sums + the products of sixteen bytes, 0..255, and activations: lane j is block j. */
@inline
function add_words(sums: v128, bytes: v128, even: v128, odd: v128, byte: v128): v128 {
  const some = i32x4.add(sums, i32x4.dot_i16x8_s(v128.and(bytes, byte), even));
  return i32x4.add(some, i32x4.dot_i16x8_s(i16x8.shr_u(bytes, 8), odd));
}

/** sums[2, 8] += whole sums, in the lanes of S, of the rows at w and u, times their factors. */
@inline
function add_floats<F, S>(
  w: usize,
  u: usize,
  count: u32,
  acts: usize,
  xStep: u32,
  whole: usize,
  sums: usize,
): void {
  const f = changetype<F>(0), zero = i32x4.splat(opaque(0, count));
  const h0 = h0_of<F>(zero), h1 = h1_of<F>(zero), h2 = h2_of<F>(zero);
  const by = changetype<S>(0), ones = i16x8.splat(<i16>opaque(1, count));
  const size = i32x4.splat(opaque(F16_SIZE, count));
  const rebias = i32x4.splat(opaque(F16_REBIAS, count));
  const smallest = i32x4.splat(opaque(F16_SMALLEST, count));
  const sign = i32x4.splat(opaque(F16_SIGN, count));
  let wf = w + f.quantBytes - SHORT, uf = u + f.quantBytes - SHORT;
  let p0 = v128.load(sums), p1 = v128.load(sums, 16);
  let q0 = v128.load(sums, 32), q1 = v128.load(sums, 48);
  const end = whole + count * SUMS_BYTES;
  for (; whole != end; whole += SUMS_BYTES, acts += xStep) {
    const t0 = v128.load(acts, RECORD_SCALES), t1 = v128.load(acts, RECORD_SCALES + 16);
    const wl = lanes_of<F>(wf, h0, h1, h2), ul = lanes_of<F>(uf, h0, h1, h2);
    const wh = halves_of_both<F>(wf, uf, size, rebias, smallest, sign);
    const uh = second_halves<F>(wh);
    const ws = scale_of<F>(wh), us = scale_of<F>(uh);
    const d0 = f32x4.mul(d_of<F>(wf, 0, wl, ws, h0, h1), t0);
    const d1 = f32x4.mul(d_of<F>(wf, 1, wl, ws, h0, h1), t1);
    const e0 = f32x4.mul(d_of<F>(uf, 0, ul, us, h0, h1), t0);
    const e1 = f32x4.mul(d_of<F>(uf, 1, ul, us, h0, h1), t1);
    const a0 = v128.load(whole), a1 = v128.load(whole, 16);
    const b0 = v128.load(whole, ROW_SUMS_BYTES), b1 = v128.load(whole, ROW_SUMS_BYTES + 16);
    let l0 = ones, l1 = ones, g0 = ones, g1 = ones;
    if (isDefined(f.l)) {
      l0 = f.l(wf, 0, wl, h0), l1 = f.l(wf, 1, wl, h0);
      g0 = f.l(uf, 0, ul, h0), g1 = f.l(uf, 1, ul, h0);
    }
    p0 = by.add_blocks(p0, a0, l0, d0);
    p1 = by.add_blocks(p1, a1, l1, d1);
    q0 = by.add_blocks(q0, b0, g0, e0);
    q1 = by.add_blocks(q1, b1, g1, e1);
    wf += superblock_bytes<F>();
    uf += superblock_bytes<F>();
  }
  v128.store(sums, p0);
  v128.store(sums, p1, 16);
  v128.store(sums, q0, 32);
  v128.store(sums, q1, 48);
}
