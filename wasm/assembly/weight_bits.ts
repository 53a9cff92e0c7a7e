// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** Pieces of packed superblocks (row_layout.ts), read and written. Knows no whole format. */
import { f16_bits_to_f32x4 } from "./simd";

/** Four f16 at ptr as f32; `mask` is F16_MASK and `owed` 2^112 in every lane. */
@inline
export function f16_x4(ptr: usize, mask: v128, owed: v128): v128 {
  return f32x4.mul(f16_bits_to_f32x4(v128.load_ext<i16>(ptr), mask), owed);
}

/** What four_f16 needs: bits of 0x0fffe000, 2^-15, 2^-14 and the sign. */
export const F16_SIZE: i32 = 0x0fffe000;
export const F16_REBIAS: i32 = 0x38000000;
export const F16_SMALLEST: i32 = 0x38800000;
export const F16_SIGN: i32 = 0x80000000;

/**
 * Four f16 out of the low 64 bits of `bits` into four lanes, by arithmetic that meets no
 * subnormal f32: the scales of superblocks are subnormal f16 as a rule, and processors take a
 * hundred cycles for a subnormal operand. With the bias of normal numbers, a subnormal comes out as
 * 2^-15 + half of itself: then what it lacks to 2^-14 is added, twice the excess being the number.
 */
@inline
export function four_f16(bits: v128, size: v128, rebias: v128, smallest: v128, sign: v128): v128 {
  const x = i32x4.extend_low_i16x8_s(bits);
  const y = i32x4.add(v128.and(i32x4.shl(x, 13), size), rebias);
  const lack = f32x4.pmin(f32x4.splat(0), f32x4.sub(y, smallest));
  return v128.or(f32x4.add(y, lack), v128.and(x, sign));
}

/**
 * Which bytes make the 16-bit words that have lanes of 12 bits in them: of the first 12 of 16
 * bytes, and of the last 12; and those of 6 bits, of the first 6. Vectors for a swizzle, not
 * numbers of a shuffle: V8 builds the latter anew each time, by four operations.
 */
@inline
export function words_of_12_bits(): v128 {
  return i8x16(0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 7, 8, 9, 10, 10, 11);
}
@inline
export function words_of_12_bits_at_4(): v128 {
  return i8x16(4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11, 12, 13, 14, 14, 15);
}
@inline
export function words_of_6_bits(): v128 {
  return i8x16(0, 1, 0, 1, 1, 2, 2, 3, 3, 4, 3, 4, 4, 5, 5, 6);
}

/** Eight lanes of 12 bits out of 12 of the 16 bytes at ptr. `move`: 16, 1, 16, 1, … */
@inline
export function lanes_of_12_bits(ptr: usize, move: v128, words: v128): v128 {
  const x = i8x16.relaxed_swizzle(v128.load(ptr), words);
  return i16x8.shr_u(i16x8.mul(x, move), 4);
}

/**
 * Eight lanes of 6 bits out of the first 6 bytes at ptr; 8 are read. `move`: 1024, 16, 64, 256
 * twice.
 */
@inline
export function lanes_of_6_bits(ptr: usize, move: v128, words: v128): v128 {
  const x = i8x16.relaxed_swizzle(v128.load64_zero(ptr), words);
  return i16x8.shr_u(i16x8.mul(x, move), 10);
}

/** Lanes 0..3 (half 0) or 4..7 (half 1) of eight u16, as u32. */
@inline
export function half_lanes(lanes: v128, half: u32): v128 {
  return half == 0 ? i32x4.extend_low_i16x8_u(lanes) : i32x4.extend_high_i16x8_u(lanes);
}

/** 48 bits: of each of four bytes below 64 of `low` its bits, then those of `high`. */
@inline
export function four_of_12_bits(low: u32, high: u32): u64 {
  const lanes = bytes_apart(low) | (bytes_apart(high) << 6);
  const pairs = (lanes & 0x00000fff00000fff) | ((lanes >> 4) & 0x00fff00000fff000);
  return (pairs & 0x0000000000ffffff) | ((pairs >> 8) & 0x0000ffffff000000);
}

/** 24 bits: four bytes below 64 moved together. */
@inline
export function four_of_6_bits(bytes: u32): u32 {
  const pairs = (bytes & 0x003f003f) | ((bytes >> 2) & 0x0fc00fc0);
  return (pairs & 0x00000fff) | ((pairs >> 4) & 0x00fff000);
}

/** Four bytes as four u16. */
@inline
function bytes_apart(bytes: u32): u64 {
  const halves = (<u64>bytes | (<u64>bytes << 16)) & 0x0000ffff0000ffff;
  return (halves | (halves << 8)) & 0x00ff00ff00ff00ff;
}
