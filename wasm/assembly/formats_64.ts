// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * NVFP4, whose blocks in a file have 64 weights: FP4 numbers, and for 16 of them a scale in UE4M3
 * (4 bits of exponent, 3 of fraction, no sign). See format.ts.
 *
 * Sums of halves are integers and want integer scales. So the larger scale of a block's two halves
 * gives the power that is D, and L are both over it, in units of 2^-14: up to 15 · 2^11, which
 * times the sum of a half, 12 · 127 · 16 at most, and two of them, fits in 32 bits. Nothing is lost
 * but where one scale is less than 2^-11 of the other: what is cut off is less than 2^-14 of it.
 */
import { pack_nibbles_by_16 } from "./file_blocks";
import { SHORT } from "./format";
import { fp4_ascending_codes, fp4_ascending_levels, fp4_levels } from "./fp4";
import { half_lanes } from "./weight_bits";

/** 2^(E − 127) times this is 1 · 2^14, in bits: 268 − E is the exponent of one over the power. */
const INVERSE: i32 = <i32>0x86000000;
/** From a power's bits to those of D: a packed exponent is 23 more, L 2^14, a number twice. */
const POWER: i32 = 89 << 23;

/** scale of the tensor · UE4M3 · FP4 number; computed with q − 12, which is twice the number. */
@unmanaged
export class NVFP4 {
  @inline get blockBytes(): u32 { return 36; }
  @inline get superblockBlocks(): u32 { return 4; }
  @inline natural(src: usize, i: u32): v128 { return natural_codes(src + 4, 36, i); }
  @inline levels(): v128 { return fp4_ascending_levels(); }
  @inline small_float(src: usize, i: u32): u32 { return packed_scale(src, 36, i); }
  @inline whole(src: usize): f32 { return 1; }
  @inline pack(src: usize, to: usize): void { pack_nibbles_by_16(src + 4, 36, to); }
  @inline pack_factors(src: usize, to: usize): void {
    pack_scales(src, 36, to);
    store<f32>(to + 16, 1);
  }

  @inline get quantBytes(): u32 { return 128; }
  @inline get factorBytes(): u32 { return 20; }
  @inline get offset(): i32 { return 12; }
  @inline k0(zero: v128): v128 { return v128.or(i8x16.splat(15), zero); }
  @inline k1(zero: v128): v128 { return v128.or(fp4_levels(), zero); }
  @inline lower(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return i8x16.relaxed_swizzle(k1, v128.and(x, k0));
  }
  @inline upper(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return i8x16.relaxed_swizzle(k1, v128.and(i16x8.shr_u(x, 4), k0));
  }
  @inline h0(zero: v128): v128 { return v128.or(i32x4.splat(0x0ff00000), zero); }
  @inline h1(zero: v128): v128 { return v128.or(i32x4.splat(POWER), zero); }
  @inline lanes(f: usize, h0: v128, h1: v128, h2: v128): v128 { return v128.load(f + SHORT); }
  @inline d(f: usize, half: u32, lanes: v128, scale: f32, h0: v128, h1: v128): v128 {
    const both = half_lanes(lanes, half);
    const power = larger_power(first_of(both, h0), second_of(both, h0), h0);
    return f32x4.mul(i32x4.add(power, h1), v128.load32_splat(f + SHORT + 16));
  }
  @inline l(f: usize, half: u32, lanes: v128, h0: v128): v128 {
    const both = half_lanes(lanes, half);
    const first = first_of(both, h0), second = second_of(both, h0);
    const inverse = i32x4.sub(i32x4.splat(INVERSE), larger_power(first, second, h0));
    const x = i32x4.relaxed_trunc_f32x4_s(f32x4.mul(first, inverse));
    const y = i32x4.relaxed_trunc_f32x4_s(f32x4.mul(second, inverse));
    return v128.or(x, i32x4.shl(y, 16));
  }
}

/** The same with the tensor's scale in front of each block. */
@unmanaged
export class NVFP4S {
  @inline get blockBytes(): u32 { return 40; }
  @inline get superblockBlocks(): u32 { return 4; }
  @inline natural(src: usize, i: u32): v128 { return natural_codes(src + 8, 40, i); }
  @inline levels(): v128 { return fp4_ascending_levels(); }
  @inline small_float(src: usize, i: u32): u32 { return packed_scale(src + 4, 40, i); }
  @inline whole(src: usize): f32 { return load<f32>(src); }
  @inline pack(src: usize, to: usize): void { pack_nibbles_by_16(src + 8, 40, to); }
  @inline pack_factors(src: usize, to: usize): void {
    pack_scales(src + 4, 40, to);
    store<f32>(to + 16, load<f32>(src));
  }

  @inline get quantBytes(): u32 { return 128; }
  @inline get factorBytes(): u32 { return 20; }
  @inline get offset(): i32 { return 12; }
}

/** Scales of the first and the second half of four blocks; `mask`: 8 bits of a scale, h0. */
@inline
function first_of(both: v128, mask: v128): v128 { return v128.and(i32x4.shl(both, 20), mask); }
@inline
function second_of(both: v128, mask: v128): v128 { return v128.and(i32x4.shl(both, 12), mask); }

/** Bits of the power of two in the larger of two scales: of the exponent, 8 bits from 23 on. */
@inline
function larger_power(a: v128, b: v128, mask: v128): v128 {
  return v128.and(i32x4.max_s(a, b), i32x4.shl(mask, 3));
}

/** D of a block whose halves have the packed scales a and b, but for the factor: as in d(). */
@inline
export function small_power(a: u32, b: u32): f32 {
  return reinterpret<f32>(<i32>power_of(max(a, b)) + POWER);
}

/** L of the half whose packed scale is `scale`, as in l(); larger: of both halves. */
@inline
export function small_integer(scale: u32, larger: u32): i16 {
  const inverse = reinterpret<f32>(<u32>INVERSE - power_of(larger));
  return <i16>(reinterpret<f32>(scale << 20) * inverse);
}

@inline
function power_of(scale: u32): u32 {
  return (scale << 20) & 0x7f800000;
}

/** Codes that ascend with the number, of weights i..i+15; nibbles: those of the first block. */
@inline
function natural_codes(nibbles: usize, step: u32, i: u32): v128 {
  const both = v128.load64_zero(nibbles + (i >> 6) * step + ((i & 48) >> 1));
  const four = i8x16.splat(15);
  const low = v128.and(both, four), high = v128.and(i16x8.shr_u(both, 4), four);
  return fp4_ascending_codes(i64x2.shuffle(low, high, 0, 2));
}

/** Sixteen scales of four blocks. */
function pack_scales(scales: usize, step: u32, to: usize): void {
  for (let i: u32 = 0; i < 16; i++) store<u8>(to + i, packed_scale(scales, step, i));
}

/** The i-th of them, with a bit of exponent more, so that none is subnormal. */
@inline
function packed_scale(scales: usize, step: u32, i: u32): u32 {
  return with_five_bits(load<u8>(scales + (i >> 2) * step + (i & 3)));
}

/** UE4M3 to a byte of which five bits are the exponent, 16 more; ggml takes 0x7f for zero. */
@inline
function with_five_bits(byte: u32): u32 {
  if (byte == 0x7f) return 0;
  const bits = byte & 0x7f;
  if (bits >= 8) return bits + 128;
  if (bits == 0) return 0;
  // 1 to 7 units of 2^-9: the first bit becomes the one that is not written.
  const shift = clz<u32>(bits) - 28;
  return ((17 - shift) << 3) | ((bits << shift) & 7);
}
