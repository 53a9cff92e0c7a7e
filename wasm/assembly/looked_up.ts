// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Decoding by wide formats whose bytes are looked up with a swizzle (`table`, format.ts: IQ4). V8
 * makes no 256-bit operations of swizzles, nor of anything computed together with one. So of two
 * rows and eight superblocks bytes are looked up and stored, then multiplied and added up as whole
 * numbers, then made floats: each of these is a loop of its own.
 *
 * Where no dot product takes bytes above 127, products are of 16 bits: of the even bytes and of the
 * odd ones, by activations that are made 16-bit numbers once. Two nibbles would be four products as
 * well, but twice the sums, with more behind them (NOTES.md).
 */
import { SUPERBLOCKS_AT_ONCE } from "./format";
import { offset_of, Fours, takes_bytes } from "./product_sums";
import { RECORD_SUMS } from "./q8_tile";
import { LINE_BYTES } from "./read_ahead";
import { dot_add_i8, opaque } from "./simd";
import { superblock_bytes } from "./superblock_form";
import { add_floats, ROW_SUMS_BYTES, SUMS_BYTES } from "./whole_sums";

/** A row's bytes. */
const ROW_BYTES: u32 = SUPERBLOCKS_AT_ONCE * 256;
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
  if (is_looked_up<F>() && !takes_bytes<F, S>()) {
    write_words(acts, xStep, superblocks, scratch + WORDS_AT);
  }
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
    add_floats<F, Fours>(w, u, count, acts, xStep, whole, sums);
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

/** whole[2, count, 8] = Σ of blocks of two rows' bytes, less their offset, by activations. */
@inline
function add_whole<F, S>(
  at: usize,
  count: u32,
  acts: usize,
  xStep: u32,
  words: usize,
  whole: usize,
): void {
  const offset = i16x8.splat(<i16>opaque(offset_of<F, Fours>(), count));
  const byte = i16x8.splat(<i16>opaque(255, count));
  const end = whole + count * SUMS_BYTES;
  for (; whole != end; whole += SUMS_BYTES, acts += xStep) {
    let a0 = i32x4.dot_i16x8_s(v128.load(acts, RECORD_SUMS), offset);
    let a1 = i32x4.dot_i16x8_s(v128.load(acts, RECORD_SUMS + 16), offset);
    let b0 = a0, b1 = a1, x = acts;
    const next = at + 256;
    for (; at != next; at += 32) {
      const w0 = v128.load(at), w1 = v128.load(at, 16);
      const u0 = v128.load(at, ROW_BYTES), u1 = v128.load(at, ROW_BYTES + 16);
      if (takes_bytes<F, S>()) {
        const x0 = v128.load(x), x1 = v128.load(x, 16);
        a0 = dot_add_i8(x0, w0, a0), a1 = dot_add_i8(x1, w1, a1);
        b0 = dot_add_i8(x0, u0, b0), b1 = dot_add_i8(x1, u1, b1);
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

/** sums + the products of sixteen bytes, 0..255, and activations: lane j is block j. */
@inline
function add_words(sums: v128, bytes: v128, even: v128, odd: v128, byte: v128): v128 {
  const some = i32x4.add(sums, i32x4.dot_i16x8_s(v128.and(bytes, byte), even));
  return i32x4.add(some, i32x4.dot_i16x8_s(i16x8.shr_u(bytes, 8), odd));
}
