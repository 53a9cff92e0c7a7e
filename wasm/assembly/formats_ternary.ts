// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * The formats of a bit, two bits or a ternary digit a weight; where their bits are:
 * src/model/quants/dequantize_ternary.ts. TQ1_0 stays as it is in the file (natural.ts), the others
 * are packed as formats of more bits are (format.ts).
 */
import { pack_bits_by_128, pack_pairs_by_128, pack_pairs_by_64 } from "./file_blocks";
import { SHORT } from "./format";
import { f16_bits_to_f32x4, F16_MASK, TWO_POW_112 } from "./simd";

/** d · (q − 1): 2 bits, a scale for 256. */
@unmanaged
export class TQ2_0 {
  @inline get blockBytes(): u32 { return 66; }
  @inline get superblockBlocks(): u32 { return 1; }
  @inline pack(src: usize, to: usize): void { pack_pairs_by_128(src, to); }
  @inline pack_factors(src: usize, to: usize): void { store<u16>(to, load<u16>(src + 64)); }

  @inline get quantBytes(): u32 { return 64; }
  @inline get factorBytes(): u32 { return 2; }
  @inline get offset(): i32 { return 1; }
  @inline k0(zero: v128): v128 { return v128.or(i8x16.splat(3), zero); }
  @inline get upperAt(): u32 { return 32; }
  @inline get mainStep(): i32 { return 2; }
  @inline lower(x: v128, y: v128, k0: v128, k1: v128): v128 { return v128.and(x, k0); }
  @inline upper(x: v128, y: v128, k0: v128, k1: v128): v128 { return v128.and(x, k0); }
  @inline h0(zero: v128): v128 { return v128.or(i32x4.splat(F16_MASK), zero); }
  @inline h1(zero: v128): v128 { return v128.or(f32x4.splat(TWO_POW_112), zero); }
  // Ternary scales are no subnormal f16, as those of other superblocks are (weight_bits.ts).
  @inline lanes(f: usize, h0: v128, h1: v128, h2: v128): v128 {
    return v128.load16_splat(f + SHORT);
  }
  @inline d(f: usize, half: u32, lanes: v128, scale: f32, h0: v128, h1: v128): v128 {
    return f16_lanes(lanes, half, h0, h1);
  }
}

/** d · (digit − 1): five digits a byte, a scale for 256. */
@unmanaged
export class TQ1_0 {
  @inline get isNatural(): bool { return true; }
  @inline get blockBytes(): u32 { return 54; }
  @inline get superblockBlocks(): u32 { return 1; }
  @inline get quantBytes(): u32 { return 54; }
  @inline get factorBytes(): u32 { return 0; }
  @inline get offset(): i32 { return 1; }
  @inline get isTernary(): bool { return true; }
  @inline bits(w: usize): u32 { return load<u16>(w, 52); }
  @inline d4(w: usize, half: u32, d: v128): v128 { return d; }
}

/** d · (q − 1), q 0 or 2: a bit, a scale for 128. */
@unmanaged
export class Q1_0 {
  @inline get blockBytes(): u32 { return 18; }
  @inline get superblockBlocks(): u32 { return 2; }
  @inline pack(src: usize, to: usize): void { pack_bits_by_128(src + 2, 18, to); }
  @inline pack_factors(src: usize, to: usize): void {
    store<u16>(to, load<u16>(src));
    store<u16>(to, load<u16>(src + 18), 2);
  }

  @inline get quantBytes(): u32 { return 32; }
  @inline get factorBytes(): u32 { return 4; }
  @inline get offset(): i32 { return 1; }
  @inline k0(zero: v128): v128 { return v128.or(i8x16.splat(2), zero); }
  @inline get mainStep(): i32 { return 1; }
  @inline lower(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return v128.and(i16x8.shl(x, 1), k0);
  }
  @inline upper(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return v128.and(i16x8.shr_u(x, 3), k0);
  }
  @inline h0(zero: v128): v128 { return v128.or(i32x4.splat(F16_MASK), zero); }
  @inline h1(zero: v128): v128 { return v128.or(f32x4.splat(TWO_POW_112), zero); }
  @inline lanes(f: usize, h0: v128, h1: v128, h2: v128): v128 {
    const both = v128.load32_zero(f + SHORT);
    const twice = i16x8.shuffle(both, both, 0, 0, 1, 1, 2, 2, 3, 3);
    return i32x4.shuffle(twice, twice, 0, 0, 1, 1);
  }
  @inline d(f: usize, half: u32, lanes: v128, scale: f32, h0: v128, h1: v128): v128 {
    return f16_lanes(lanes, half, h0, h1);
  }
}

/** d · (q − 1): 2 bits, a scale for 64. */
@unmanaged
export class Q2_0 {
  @inline get blockBytes(): u32 { return 18; }
  @inline get superblockBlocks(): u32 { return 4; }
  @inline pack(src: usize, to: usize): void { pack_pairs_by_64(src + 2, 18, to); }
  @inline pack_factors(src: usize, to: usize): void {
    for (let j: u32 = 0; j < 4; j++) store<u16>(to + 2 * j, load<u16>(src + 18 * j));
  }

  @inline get quantBytes(): u32 { return 64; }
  @inline get factorBytes(): u32 { return 8; }
  @inline get offset(): i32 { return 1; }
  @inline k0(zero: v128): v128 { return v128.or(i8x16.splat(3), zero); }
  @inline get upperAt(): u32 { return 32; }
  @inline get mainStep(): i32 { return 2; }
  @inline lower(x: v128, y: v128, k0: v128, k1: v128): v128 { return v128.and(x, k0); }
  @inline upper(x: v128, y: v128, k0: v128, k1: v128): v128 { return v128.and(x, k0); }
  @inline h0(zero: v128): v128 { return v128.or(i32x4.splat(F16_MASK), zero); }
  @inline h1(zero: v128): v128 { return v128.or(f32x4.splat(TWO_POW_112), zero); }
  @inline lanes(f: usize, h0: v128, h1: v128, h2: v128): v128 {
    const four = v128.load64_zero(f + SHORT);
    return i16x8.shuffle(four, four, 0, 0, 1, 1, 2, 2, 3, 3);
  }
  @inline d(f: usize, half: u32, lanes: v128, scale: f32, h0: v128, h1: v128): v128 {
    return f16_lanes(lanes, half, h0, h1);
  }
}

/** Four of eight f16, the first or the last. */
@inline
function f16_lanes(lanes: v128, half: u32, mask: v128, owed: v128): v128 {
  const bits = half == 0 ? i32x4.extend_low_i16x8_s(lanes) : i32x4.extend_high_i16x8_s(lanes);
  return f32x4.mul(f16_bits_to_f32x4(bits, mask), owed);
}

/** Five digits of each of sixteen bytes, their first now: see digit(). */
@inline
export function bytes_of_digits(ptr: usize): v128 {
  return v128.xor(v128.load(ptr), i8x16.splat(-128));
}

/** The last sixteen digits: four of each of four bytes. */
@inline
export function last_digits(ptr: usize): v128 {
  const a = v128.xor(v128.load32_splat(ptr), i8x16.splat(-128));
  const b = next_digit(a), c = next_digit(b), d = next_digit(c);
  return i64x2.shuffle(i32x4.shuffle(a, b, 0, 4, 0, 4), i32x4.shuffle(c, d, 0, 4, 0, 4), 0, 2);
}

/**
 * The first digits, 0 to 2. A byte is a fraction of 256, of which 128 is subtracted so that bytes
 * with signs can be compared: the digit is how many thirds are not above it.
 */
@inline
export function digit(bytes: v128, first: v128, second: v128): v128 {
  return i8x16.abs(i8x16.add(i8x16.gt_s(bytes, first), i8x16.gt_s(bytes, second)));
}

/** Behind the first digit: three times the fraction, which 128 · 3 − 128 = 256 leaves alone. */
@inline
export function next_digit(bytes: v128): v128 {
  return i8x16.add(i8x16.add(bytes, bytes), bytes);
}

/** The largest bytes below a third and below two, 85 and 170, less 128. */
export const BELOW_FIRST: i8 = -43;
export const BELOW_SECOND: i8 = 42;
