// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Pieces of ggml's blocks into packed order (row_layout.ts), a superblock at a time and without a
 * stop in memory: most of what loading computes. Knows no whole format.
 *
 * Everywhere a block gives four dwords for four places, and four blocks' dwords are transposed.
 */
import { across } from "./file_bits";

/** 128 bytes of nibbles out of eight blocks of sixteen bytes, `step` bytes apart. */
export function pack_block_nibbles(nibbles: usize, step: u32, to: usize): void {
  pack_nibbles(nibbles, step, to, false);
}

/** The same where the sixteen bytes lie as E0M4 has them. */
export function pack_word_nibbles(nibbles: usize, step: u32, to: usize): void {
  pack_nibbles(nibbles, step, to, true);
}

/**
 * The same out of four blocks of 64 weights, `step` bytes apart, in which eight bytes are sixteen
 * weights: NVFP4's.
 */
export function pack_nibbles_by_16(nibbles: usize, step: u32, to: usize): void {
  for (let half: u32 = 0; half < 2; half++) {
    const other = nibbles + step;
    pack_four(
      by_halves(v128.load(nibbles)),
      by_halves(v128.load(nibbles, 16)),
      by_halves(v128.load(other)),
      by_halves(v128.load(other, 16)),
      to,
    );
    nibbles += 2 * step;
    to += 16;
  }
}

/** Sixteen bytes of 16 weights in eight each, as ggml has blocks of 32. */
@inline
function by_halves(x: v128): v128 {
  const four = i8x16.splat(15);
  const low = v128.and(x, four), high = v128.and(i16x8.shr_u(x, 4), four);
  const first = i64x2.shuffle(low, high, 0, 2), second = i64x2.shuffle(low, high, 1, 3);
  return v128.or(first, i16x8.shl(second, 4));
}

@inline
function pack_nibbles(nibbles: usize, step: u32, to: usize, byWords: bool): void {
  for (let half: u32 = 0; half < 2; half++) {
    let a = v128.load(nibbles), b = v128.load(nibbles + step);
    let c = v128.load(nibbles + 2 * step), d = v128.load(nibbles + 3 * step);
    if (byWords) a = across(a), b = across(b), c = across(c), d = across(d);
    pack_four(a, b, c, d, to);
    nibbles += 4 * step;
    to += 16;
  }
}

/** Four blocks: bytes 0..7 hold weights of the lower places, bytes 8..15 of the upper ones. */
@inline
function pack_four(a: v128, b: v128, c: v128, d: v128, to: usize): void {
  const ab = i64x2.shuffle(a, b, 0, 2), AB = i64x2.shuffle(a, b, 1, 3);
  const cd = i64x2.shuffle(c, d, 0, 2), CD = i64x2.shuffle(c, d, 1, 3);
  const abFirst = low_nibbles(ab, AB), abSecond = high_nibbles(ab, AB);
  const cdFirst = low_nibbles(cd, CD), cdSecond = high_nibbles(cd, CD);
  store_places(
    to,
    i16x8.shuffle(abFirst, abSecond, 0, 8, 1, 9, 2, 10, 3, 11),
    i16x8.shuffle(abFirst, abSecond, 4, 12, 5, 13, 6, 14, 7, 15),
    i16x8.shuffle(cdFirst, cdSecond, 0, 8, 1, 9, 2, 10, 3, 11),
    i16x8.shuffle(cdFirst, cdSecond, 4, 12, 5, 13, 6, 14, 7, 15),
  );
}

/** As pack_block_nibbles(), of 128 bytes: 32 are two blocks (Q4_K, Q5_K), or 64 are four (Q6_K). */
@inline
export function pack_nibbles_by(weights: u32, nibbles: usize, to: usize): void {
  for (let half: u32 = 0; half < 2; half++) {
    const a = v128.load(nibbles), b = v128.load(nibbles, 16);
    const c = v128.load(nibbles, 32), d = v128.load(nibbles, 48);
    const ab = i64x2.shuffle(a, b, 0, 2), AB = i64x2.shuffle(a, b, 1, 3);
    const cd = i64x2.shuffle(c, d, 0, 2), CD = i64x2.shuffle(c, d, 1, 3);
    const abLow = halves_in_turns(low_nibbles(ab, AB));
    const abHigh = halves_in_turns(high_nibbles(ab, AB));
    const cdLow = halves_in_turns(low_nibbles(cd, CD));
    const cdHigh = halves_in_turns(high_nibbles(cd, CD));
    if (weights == 64) store_places(to, abLow, abHigh, cdLow, cdHigh);
    else store_places(to, abLow, cdLow, abHigh, cdHigh);
    nibbles += 64;
    to += 16;
  }
}

/** 256 bytes out of eight blocks of 32 bytes, `step` bytes apart; every byte ^ `flip`. */
export function pack_block_bytes(bytes: usize, step: u32, flip: v128, to: usize): void {
  for (let half: u32 = 0; half < 2; half++) {
    for (let eight: u32 = 0; eight < 16; eight += 8) {
      const from = bytes + eight;
      store_places(
        to + 16 * eight,
        v128.xor(halves_of_block(from), flip),
        v128.xor(halves_of_block(from + step), flip),
        v128.xor(halves_of_block(from + 2 * step), flip),
        v128.xor(halves_of_block(from + 3 * step), flip),
      );
    }
    bytes += 4 * step;
    to += 16;
  }
}

/** A plane of 64 bytes out of 64 bytes, 32 of which hold bit pairs of four blocks. */
export function pack_pairs_by_128(pairs: usize, to: usize): void {
  const two = i8x16.splat(3);
  for (let half: u32 = 0; half < 2; half++) {
    const x = v128.load(pairs), y = v128.load(pairs, 16);
    const a = fold(v128.and(x, two), v128.and(y, two), 14);
    const b = fold(v128.and(i16x8.shr_u(x, 2), two), v128.and(i16x8.shr_u(y, 2), two), 14);
    const c = fold(v128.and(i16x8.shr_u(x, 4), two), v128.and(i16x8.shr_u(y, 4), two), 14);
    const d = fold(v128.and(i16x8.shr_u(x, 6), two), v128.and(i16x8.shr_u(y, 6), two), 14);
    const ab = v128.or(a, i64x2.shl(b, 32)), cd = v128.or(c, i64x2.shl(d, 32));
    v128.store(to, i64x2.shuffle(ab, cd, 0, 2));
    v128.store(to, i64x2.shuffle(ab, cd, 1, 3), 32);
    pairs += 32;
    to += 16;
  }
}

/** A plane of 32 bytes out of 32 bytes whose bits j are block j's. */
export function pack_bits_by_256(bits: usize, to: usize): void {
  const one = i8x16.splat(1);
  let x = v128.load(bits), y = v128.load(bits, 16);
  for (let half: u32 = 0; half < 2; half++) {
    const a = fold(v128.and(x, one), v128.and(y, one), 15);
    const b = fold(v128.and(i16x8.shr_u(x, 1), one), v128.and(i16x8.shr_u(y, 1), one), 15);
    const c = fold(v128.and(i16x8.shr_u(x, 2), one), v128.and(i16x8.shr_u(y, 2), one), 15);
    const d = fold(v128.and(i16x8.shr_u(x, 3), one), v128.and(i16x8.shr_u(y, 3), one), 15);
    const ab = v128.or(a, i64x2.shl(b, 32)), cd = v128.or(c, i64x2.shl(d, 32));
    const lower = i64x2.shuffle(ab, cd, 0, 2), upper = i64x2.shuffle(ab, cd, 1, 3);
    v128.store(to, v128.or(lower, i16x8.shl(upper, 4)));
    x = i16x8.shr_u(x, 4), y = i16x8.shr_u(y, 4);
    to += 16;
  }
}

/** A plane of 32 bytes out of the 32-bit masks of eight blocks, `step` bytes apart. */
export function pack_block_bits(masks: usize, step: u32, to: usize): void {
  pack_bits_of_four(masks, step, to);
  pack_bits_of_four(masks + 4 * step, step, to + 16);
}

/** The same out of two times 128 bits, `step` bytes apart. */
export function pack_bits_by_128(bits: usize, step: u32, to: usize): void {
  pack_bits_of_four(bits, 4, to);
  pack_bits_of_four(bits + step, 4, to + 16);
}

@inline
function pack_bits_of_four(masks: usize, step: u32, to: usize): void {
  let bits = v128.load32_zero(masks);
  bits = v128.load32_lane(masks + step, bits, 1);
  bits = v128.load32_lane(masks + 2 * step, bits, 2);
  bits = v128.load32_lane(masks + 3 * step, bits, 3);
  const even = even_bits(bits), odd = even_bits(i16x8.shr_u(bits, 1));
  v128.store(to, v128.or(even, i16x8.shl(odd, 8)));
}

/** A plane of 64 bytes out of four times 16 bytes of bit pairs, `step` bytes apart. */
export function pack_pairs_by_64(pairs: usize, step: u32, to: usize): void {
  for (let half: u32 = 0; half < 2; half++) {
    const a = pairs_of_two(v128.load(pairs)), b = pairs_of_two(v128.load(pairs + step));
    v128.store(to, i32x4.shuffle(a, b, 0, 2, 4, 6));
    v128.store(to, i32x4.shuffle(a, b, 1, 3, 5, 7), 32);
    pairs += 2 * step;
    to += 16;
  }
}

/** The bit pairs of two blocks: dwords of the lower and of the upper places, in turns. */
@inline
function pairs_of_two(x: v128): v128 {
  // A u16 has two neighbouring weights of four places: the first go to a byte, the second to one.
  const places = v128.or(even_pairs(x), i16x8.shl(even_pairs(i16x8.shr_u(x, 2)), 8));
  return i16x8.shuffle(places, places, 0, 2, 1, 3, 4, 6, 5, 7);
}

/** Eight f16, `step` bytes apart. */
@inline
export function gather_f16(src: usize, step: u32, to: usize): void {
  for (let j: u32 = 0; j < 8; j++) store<u16>(to + 2 * j, load<u16>(src + j * step));
}

/** Low nibbles of x, those of y above them. */
@inline
function low_nibbles(x: v128, y: v128): v128 {
  return v128.bitselect(x, i16x8.shl(y, 4), i8x16.splat(15));
}

/** High nibbles of x, those of y above them. */
@inline
function high_nibbles(x: v128, y: v128): v128 {
  return v128.bitselect(i16x8.shr_u(x, 4), y, i8x16.splat(15));
}

/** Byte pairs of the low and the high eight bytes, in turns. */
@inline
function halves_in_turns(x: v128): v128 {
  return i16x8.shuffle(x, x, 0, 4, 1, 5, 2, 6, 3, 7);
}

/** Byte pairs of eight bytes at ptr and of the eight 16 bytes behind them, in turns. */
@inline
function halves_of_block(ptr: usize): v128 {
  const a = v128.load64_zero(ptr), b = v128.load64_zero(ptr, 16);
  return i16x8.shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}

/**
 * Four u16 of each half of x into one, each moved down by `step` more bits than the one before;
 * the same of y into the u16 above.
 */
@inline
function fold(x: v128, y: v128, step: u32): v128 {
  const mask = i64x2.splat(0xffff);
  x = v128.or(x, i64x2.shr_u(x, step)), y = v128.or(y, i64x2.shr_u(y, step));
  x = v128.or(x, i64x2.shr_u(x, 2 * step)), y = v128.or(y, i64x2.shr_u(y, 2 * step));
  return v128.or(v128.and(x, mask), i64x2.shl(v128.and(y, mask), 16));
}

/** Bits 0, 2, 4 … of each u16 into its low byte. */
@inline
function even_bits(x: v128): v128 {
  let y = v128.and(x, i16x8.splat(0x5555));
  y = v128.and(v128.or(y, i16x8.shr_u(y, 1)), i16x8.splat(0x3333));
  y = v128.and(v128.or(y, i16x8.shr_u(y, 2)), i16x8.splat(0x0f0f));
  return v128.and(v128.or(y, i16x8.shr_u(y, 4)), i16x8.splat(0x00ff));
}

/** Bit pairs 0, 2, 4, 6 of each u16 into its low byte. */
@inline
function even_pairs(x: v128): v128 {
  let y = v128.and(x, i16x8.splat(0x3333));
  y = v128.and(v128.or(y, i16x8.shr_u(y, 2)), i16x8.splat(0x0f0f));
  return v128.and(v128.or(y, i16x8.shr_u(y, 4)), i16x8.splat(0x00ff));
}

/** Dwords 0..3 of blocks a, b, c, d to four places. */
@inline
export function store_places(to: usize, a: v128, b: v128, c: v128, d: v128): void {
  const ab = i32x4.shuffle(a, b, 0, 4, 1, 5), cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
  const AB = i32x4.shuffle(a, b, 2, 6, 3, 7), CD = i32x4.shuffle(c, d, 2, 6, 3, 7);
  v128.store(to, i64x2.shuffle(ab, cd, 0, 2));
  v128.store(to, i64x2.shuffle(ab, cd, 1, 3), 32);
  v128.store(to, i64x2.shuffle(AB, CD, 0, 2), 64);
  v128.store(to, i64x2.shuffle(AB, CD, 1, 3), 96);
}
