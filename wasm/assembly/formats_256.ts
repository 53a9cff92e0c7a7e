// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * The formats whose blocks in a file have 256 weights: an f16 scale, and small integer scales for
 * each 16 or 32 weights. See format.ts.
 */
import { bits_by_256, nibbles_by_128, nibbles_by_64, pairs_by_128 } from "./file_bits";
import {
  pack_bits_by_256,
  pack_block_nibbles,
  pack_nibbles_by,
  pack_pairs_by_128,
} from "./file_blocks";
import { SHORT } from "./format";
import { iq4_bytes, iq4_rest } from "./formats_32";
import { madd } from "./simd";
import {
  four_of_12_bits,
  four_of_6_bits,
  half_lanes,
  lanes_of_12_bits,
  lanes_of_6_bits,
  words_of_12_bits,
  words_of_12_bits_at_4,
  words_of_6_bits,
} from "./weight_bits";

/** d · scale · q − dmin · minimum: 2 bits, 4-bit scales and minima of 16 weights each. */
@unmanaged
export class Q2_K {
  @inline get blockBytes(): u32 { return 84; }
  @inline get superblockBlocks(): u32 { return 1; }
  @inline pack(src: usize, to: usize): void { pack_pairs_by_128(src + 16, to); }
  @inline pack_factors(src: usize, to: usize): void {
    memory.copy(to, src, 16);
    store<u32>(to + 16, load<u32>(src + 80));
  }

  @inline get quantBytes(): u32 { return 64; }
  @inline get factorBytes(): u32 { return 20; }
  @inline get offset(): i32 { return 0; }
  @inline k0(zero: v128): v128 { return v128.or(i8x16.splat(3), zero); }
  @inline get upperAt(): u32 { return 32; }
  @inline get mainStep(): i32 { return 2; }
  @inline lower(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return v128.and(x, k0);
  }
  @inline upper(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return v128.and(x, k0);
  }
  @inline h0(zero: v128): v128 { return v128.or(i16x8.splat(15), zero); }
  @inline get halvesAt(): i32 { return 16; }
  @inline scale(halves: v128): f32 { return f32x4.extract_lane(halves, 0); }
  @inline least(halves: v128): f32 { return f32x4.extract_lane(halves, 1); }
  @inline c(
    f: usize, half: u32, lanes: v128, least: f32, h0: v128, h1: v128, d: v128,
  ): v128 {
    return f32x4.splat(least);
  }
  @inline l(f: usize, half: u32, lanes: v128, h0: v128): v128 {
    return v128.and(v128.load_ext<u8>(f + SHORT + 8 * half), h0);
  }
  @inline m(f: usize, half: u32): v128 {
    return i16x8.shr_u(v128.load_ext<u8>(f + SHORT + 8 * half), 4);
  }
}

/** d · (scale − 32) · (q − 4): 3 bits, 6-bit scales of 16 weights each. */
@unmanaged
export class Q3_K {
  @inline get blockBytes(): u32 { return 110; }
  @inline get superblockBlocks(): u32 { return 1; }
  @inline natural(src: usize, i: u32): v128 {
    return v128.or(pairs_by_128(src + 32, i), i16x8.shl(bits_by_256(src, i), 2));
  }
  @inline pack(src: usize, to: usize): void {
    pack_pairs_by_128(src + 32, to);
    pack_bits_by_256(src, to + 64);
  }
  @inline pack_factors(src: usize, to: usize): void {
    // Scales 0..3, 4..7, 8..11 and 12..15: four bits of each here, two there.
    const a = load<u32>(src + 96), b = load<u32>(src + 100), c = load<u32>(src + 104);
    const four: u32 = 0x0f0f0f0f, upper: u32 = 0x30303030;
    const s0 = (a & four) | ((c << 4) & upper), s1 = (b & four) | ((c << 2) & upper);
    const s2 = ((a >> 4) & four) | (c & upper), s3 = ((b >> 4) & four) | ((c >> 2) & upper);
    const first = <u64>four_of_6_bits(s0) | (<u64>four_of_6_bits(s1) << 24);
    const second = <u64>four_of_6_bits(s2) | (<u64>four_of_6_bits(s3) << 24);
    store<u64>(to, <u64>load<u16>(src + 108) | (first << 16));
    store<u16>(to + 8, <u16>second);
    store<u32>(to + 10, <u32>(second >> 16));
  }

  @inline get quantBytes(): u32 { return 96; }
  @inline get factorBytes(): u32 { return 14; }
  @inline get offset(): i32 { return 4; }
  @inline k0(zero: v128): v128 { return v128.or(i8x16.splat(3), zero); }
  @inline k1(zero: v128): v128 { return v128.or(i8x16.splat(4), zero); }
  @inline h0(zero: v128): v128 { return v128.or(i16x8.splat(63), zero); }
  @inline h1(zero: v128): v128 { return v128.or(i16x8(16, 1, 16, 1, 16, 1, 16, 1), zero); }
  // The twelve bytes are read as the last of sixteen: nothing behind the row is touched.
  @inline h2(zero: v128): v128 { return v128.or(words_of_12_bits_at_4(), zero); }
  @inline lanes(f: usize, h0: v128, h1: v128, h2: v128): v128 {
    return lanes_of_12_bits(f + SHORT - 2, h1, h2);
  }
  @inline get upperAt(): u32 { return 32; }
  @inline get mainStep(): i32 { return 2; }
  @inline get planeAt(): u32 { return 64; }
  @inline get planeStep(): i32 { return 1; }
  @inline lower(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return i8x16.add(v128.and(x, k0), v128.and(i16x8.shl(y, 2), k1));
  }
  @inline upper(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return i8x16.add(v128.and(x, k0), v128.and(i16x8.shr_u(y, 2), k1));
  }
  @inline get halvesAt(): i32 { return 0; }
  @inline scale(halves: v128): f32 { return f32x4.extract_lane(halves, 0); }
  @inline l(f: usize, half: u32, lanes: v128, h0: v128): v128 {
    const both = half_lanes(lanes, half);
    const apart = v128.and(v128.or(both, i32x4.shl(both, 10)), h0);
    return i16x8.sub(apart, i16x8.splat(32));
  }
}

/** d · scale · q − dmin · minimum: 4 bits, 6-bit scales and minima of 32 weights each. */
@unmanaged
export class Q4_K {
  @inline get blockBytes(): u32 { return 144; }
  @inline get superblockBlocks(): u32 { return 1; }
  @inline natural(src: usize, i: u32): v128 { return nibbles_by_64(src + 16, i); }
  @inline pack(src: usize, to: usize): void { pack_nibbles_by(64, src + 16, to); }
  @inline pack_factors(src: usize, to: usize): void { pack_factors_k(src, to); }

  @inline get quantBytes(): u32 { return 128; }
  @inline get factorBytes(): u32 { return 16; }
  @inline get offset(): i32 { return 0; }
  @inline k0(zero: v128): v128 { return v128.or(i8x16.splat(15), zero); }
  @inline lower(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return v128.and(x, k0);
  }
  @inline upper(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return v128.and(i16x8.shr_u(x, 4), k0);
  }
  @inline h0(zero: v128): v128 { return v128.or(i16x8.splat(63), zero); }
  @inline h1(zero: v128): v128 { return v128.or(i16x8(16, 1, 16, 1, 16, 1, 16, 1), zero); }
  @inline h2(zero: v128): v128 { return v128.or(words_of_12_bits(), zero); }
  @inline lanes(f: usize, h0: v128, h1: v128, h2: v128): v128 {
    return lanes_of_12_bits(f + SHORT, h1, h2);
  }
  @inline get halvesAt(): i32 { return 12; }
  @inline scale(halves: v128): f32 { return f32x4.extract_lane(halves, 0); }
  @inline least(halves: v128): f32 { return -f32x4.extract_lane(halves, 1); }
  @inline d(f: usize, half: u32, lanes: v128, scale: f32, h0: v128, h1: v128): v128 {
    return scales_k(lanes, half, scale, h0);
  }
  @inline c(
    f: usize, half: u32, lanes: v128, least: f32, h0: v128, h1: v128, d: v128,
  ): v128 {
    return minima_k(lanes, half, least);
  }
}

/** The same with 5 bits; q − 16 and 16 · d · scale are added up like Q5_1. */
@unmanaged
export class Q5_K {
  @inline get blockBytes(): u32 { return 176; }
  @inline get superblockBlocks(): u32 { return 1; }
  @inline natural(src: usize, i: u32): v128 {
    return v128.or(nibbles_by_64(src + 48, i), i16x8.shl(bits_by_256(src + 16, i), 4));
  }
  @inline pack(src: usize, to: usize): void {
    pack_nibbles_by(64, src + 48, to);
    pack_bits_by_256(src + 16, to + 128);
  }
  @inline pack_factors(src: usize, to: usize): void { pack_factors_k(src, to); }

  @inline get quantBytes(): u32 { return 160; }
  @inline get factorBytes(): u32 { return 16; }
  @inline get offset(): i32 { return 16; }
  @inline k0(zero: v128): v128 { return v128.or(i8x16.splat(15), zero); }
  @inline k1(zero: v128): v128 { return v128.or(i8x16.splat(16), zero); }
  @inline get planeAt(): u32 { return 128; }
  @inline get planeStep(): i32 { return 1; }
  @inline lower(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return i8x16.add(v128.and(x, k0), v128.and(i16x8.shl(y, 4), k1));
  }
  @inline upper(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return i8x16.add(v128.and(i16x8.shr_u(x, 4), k0), v128.and(y, k1));
  }
  @inline h0(zero: v128): v128 { return v128.or(i16x8.splat(63), zero); }
  @inline h1(zero: v128): v128 { return v128.or(i16x8(16, 1, 16, 1, 16, 1, 16, 1), zero); }
  @inline h2(zero: v128): v128 { return v128.or(words_of_12_bits(), zero); }
  @inline lanes(f: usize, h0: v128, h1: v128, h2: v128): v128 {
    return lanes_of_12_bits(f + SHORT, h1, h2);
  }
  @inline get halvesAt(): i32 { return 12; }
  @inline scale(halves: v128): f32 { return f32x4.extract_lane(halves, 0); }
  @inline least(halves: v128): f32 { return -f32x4.extract_lane(halves, 1); }
  @inline d(f: usize, half: u32, lanes: v128, scale: f32, h0: v128, h1: v128): v128 {
    return scales_k(lanes, half, scale, h0);
  }
  @inline c(
    f: usize, half: u32, lanes: v128, least: f32, h0: v128, h1: v128, d: v128,
  ): v128 {
    return madd(d, f32x4.splat(16), minima_k(lanes, half, least));
  }
}

/** d · scale · (q − 32): 6 bits, signed 8-bit scales of 16 weights each. */
@unmanaged
export class Q6_K {
  @inline get blockBytes(): u32 { return 210; }
  @inline get superblockBlocks(): u32 { return 1; }
  @inline natural(src: usize, i: u32): v128 {
    return v128.or(nibbles_by_128(src, i), i16x8.shl(pairs_by_128(src + 128, i), 4));
  }
  @inline pack(src: usize, to: usize): void {
    pack_nibbles_by(128, src, to);
    pack_pairs_by_128(src + 128, to + 128);
  }
  @inline pack_factors(src: usize, to: usize): void {
    v128.store(to, v128.load(src + 192));
    store<u16>(to + 16, load<u16>(src + 208));
  }

  @inline get quantBytes(): u32 { return 192; }
  @inline get factorBytes(): u32 { return 18; }
  @inline get offset(): i32 { return 32; }
  @inline get quarters(): bool { return true; }
  @inline k0(zero: v128): v128 { return v128.or(i8x16.splat(15), zero); }
  @inline k1(zero: v128): v128 { return v128.or(i8x16.splat(48), zero); }
  @inline get planeAt(): u32 { return 128; }
  @inline get planeUpperAt(): u32 { return 160; }
  @inline get planeStep(): i32 { return 2; }
  @inline lower(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return i8x16.add(v128.and(x, k0), v128.and(i16x8.shl(y, 4), k1));
  }
  @inline upper(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return i8x16.add(v128.and(i16x8.shr_u(x, 4), k0), v128.and(i16x8.shl(y, 4), k1));
  }
  @inline get halvesAt(): i32 { return 14; }
  @inline scale(halves: v128): f32 { return f32x4.extract_lane(halves, 1); }
  @inline l(f: usize, half: u32, lanes: v128, h0: v128): v128 {
    return v128.load_ext<i8>(f + SHORT + 8 * half);
  }
}

/** d · (scale − 32) · level: 4 bits as in IQ4_NL, 6-bit scales of 32 weights each. */
@unmanaged
export class IQ4_XS {
  @inline get blockBytes(): u32 { return 136; }
  @inline get superblockBlocks(): u32 { return 1; }
  @inline pack(src: usize, to: usize): void { pack_block_nibbles(src + 8, 16, to); }
  @inline pack_factors(src: usize, to: usize): void {
    const lows = <u64>load<u32>(src + 4), highs = <u64>load<u16>(src + 2);
    let bits: u64 = 0;
    for (let j: u64 = 0; j < 8; j++) {
      bits |= ((lows >> (4 * j)) & 15) << (6 * j);
      bits |= ((highs >> (2 * j)) & 3) << (6 * j + 4);
    }
    store<u64>(to, bits | (<u64>load<u16>(src) << 48));
  }

  @inline get quantBytes(): u32 { return 128; }
  @inline get factorBytes(): u32 { return 8; }
  @inline table(zero: v128): v128 { return iq4_bytes(zero); }
  @inline get offset(): i32 { return 8; }
  @inline k0(zero: v128): v128 { return v128.or(i8x16.splat(15), zero); }
  @inline get lowOffset(): i32 { return 11; }
  @inline k1(zero: v128): v128 { return iq4_rest(zero); }
  @inline lower(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return i8x16.relaxed_swizzle(k1, v128.and(x, k0));
  }
  @inline upper(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return i8x16.relaxed_swizzle(k1, v128.and(i16x8.shr_u(x, 4), k0));
  }
  @inline lower_high(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return v128.and(x, k0);
  }
  @inline upper_high(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return v128.and(i16x8.shr_u(x, 4), k0);
  }
  @inline h0(zero: v128): v128 { return v128.or(i32x4.splat(32), zero); }
  @inline h1(zero: v128): v128 {
    return v128.or(i16x8(1024, 16, 64, 256, 1024, 16, 64, 256), zero);
  }
  @inline h2(zero: v128): v128 { return v128.or(words_of_6_bits(), zero); }
  @inline lanes(f: usize, h0: v128, h1: v128, h2: v128): v128 {
    return lanes_of_6_bits(f + SHORT, h1, h2);
  }
  @inline get halvesAt(): i32 { return 4; }
  @inline scale(halves: v128): f32 { return f32x4.extract_lane(halves, 1); }
  @inline d(f: usize, half: u32, lanes: v128, scale: f32, h0: v128, h1: v128): v128 {
    const signed = i32x4.sub(half_lanes(lanes, half), h0);
    return f32x4.mul(f32x4.convert_i32x4_s(signed), f32x4.splat(scale));
  }
}

/** Twelve bytes of scales and minima, then d and dmin: sixteen bytes, as many as in the file. */
function pack_factors_k(src: usize, to: usize): void {
  const a = load<u32>(src + 4), b = load<u32>(src + 8), c = load<u32>(src + 12);
  const six: u32 = 0x3f3f3f3f, four: u32 = 0x0f0f0f0f, upper: u32 = 0x30303030;
  const first = four_of_12_bits(a & six, b & six);
  const second = four_of_12_bits(
    (c & four) | ((a >> 2) & upper),
    ((c >> 4) & four) | ((b >> 2) & upper),
  );
  store<u64>(to, first | (second << 48));
  store<u32>(to + 8, <u32>(second >> 16));
  store<u32>(to + 12, load<u32>(src));
}

/** scale · the low six bits of each lane. */
@inline
function scales_k(lanes: v128, half: u32, scale: f32, six: v128): v128 {
  const low = half_lanes(v128.and(lanes, six), half);
  return f32x4.mul(f32x4.convert_i32x4_s(low), f32x4.splat(scale));
}

/** least · the high six bits of each lane. */
@inline
function minima_k(lanes: v128, half: u32, least: f32): v128 {
  const six = half_lanes(i16x8.shr_u(lanes, 6), half);
  return f32x4.mul(f32x4.convert_i32x4_s(six), f32x4.splat(least));
}
