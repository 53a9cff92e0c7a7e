// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** The formats whose blocks in a file have 32 weights and an own scale. See format.ts. */
import { block_fifths, block_nibbles, word_nibbles } from "./file_bits";
import {
  gather_f16,
  pack_block_bits,
  pack_block_bytes,
  pack_block_nibbles,
  pack_word_nibbles,
} from "./file_blocks";
import { SHORT } from "./format";
import { fp4_ascending_codes, fp4_ascending_levels, fp4_levels } from "./fp4";
import { F16_MASK, madd, TWO_POW_112 } from "./simd";
import { f16_x4, half_lanes } from "./weight_bits";

/** scale · (q − 8), 4 bits. */
@unmanaged
export class Q4_0 {
  @inline get blockBytes(): u32 { return 18; }
  @inline get superblockBlocks(): u32 { return 8; }
  @inline natural(src: usize, i: u32): v128 { return block_nibbles(src + 2, 18, i); }
  @inline pack(src: usize, to: usize): void { pack_block_nibbles(src + 2, 18, to); }
  @inline pack_factors(src: usize, to: usize): void {
    gather_f16(src, 18, to);
  }

  @inline get quantBytes(): u32 { return 128; }
  @inline get factorBytes(): u32 { return 16; }
  @inline get offset(): i32 { return 8; }
  @inline k0(zero: v128): v128 { return v128.or(i8x16.splat(15), zero); }
  @inline lower(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return v128.and(x, k0);
  }
  @inline upper(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return v128.and(i16x8.shr_u(x, 4), k0);
  }
  @inline h0(zero: v128): v128 { return v128.or(i32x4.splat(F16_MASK), zero); }
  @inline h1(zero: v128): v128 { return v128.or(f32x4.splat(TWO_POW_112), zero); }
  @inline d(f: usize, half: u32, lanes: v128, scale: f32, h0: v128, h1: v128): v128 {
    return f16_x4(f + SHORT + 8 * half, h0, h1);
  }
}

/** scale · q + minimum, 4 bits. */
@unmanaged
export class Q4_1 {
  @inline get blockBytes(): u32 { return 20; }
  @inline get superblockBlocks(): u32 { return 8; }
  @inline natural(src: usize, i: u32): v128 { return block_nibbles(src + 4, 20, i); }
  @inline pack(src: usize, to: usize): void { pack_block_nibbles(src + 4, 20, to); }
  @inline pack_factors(src: usize, to: usize): void {
    gather_f16(src, 20, to);
    gather_f16(src + 2, 20, to + 16);
  }

  @inline get quantBytes(): u32 { return 128; }
  @inline get factorBytes(): u32 { return 32; }
  @inline get offset(): i32 { return 0; }
  @inline k0(zero: v128): v128 { return v128.or(i8x16.splat(15), zero); }
  @inline lower(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return v128.and(x, k0);
  }
  @inline upper(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return v128.and(i16x8.shr_u(x, 4), k0);
  }
  @inline h0(zero: v128): v128 { return v128.or(i32x4.splat(F16_MASK), zero); }
  @inline h1(zero: v128): v128 { return v128.or(f32x4.splat(TWO_POW_112), zero); }
  @inline d(f: usize, half: u32, lanes: v128, scale: f32, h0: v128, h1: v128): v128 {
    return f16_x4(f + SHORT + 8 * half, h0, h1);
  }
  @inline c(
    f: usize, half: u32, lanes: v128, least: f32, h0: v128, h1: v128, d: v128,
  ): v128 {
    return f16_x4(f + SHORT + 16 + 8 * half, h0, h1);
  }
}

/** As Q4_1, but for the order of the codes in the file; products know the packed row only. */
@unmanaged
export class E0M4 {
  @inline get blockBytes(): u32 { return 20; }
  @inline get superblockBlocks(): u32 { return 8; }
  @inline natural(src: usize, i: u32): v128 { return word_nibbles(src + 4, 20, i); }
  @inline pack(src: usize, to: usize): void { pack_word_nibbles(src + 4, 20, to); }
  @inline pack_factors(src: usize, to: usize): void {
    gather_f16(src, 20, to);
    gather_f16(src + 2, 20, to + 16);
  }

  @inline get quantBytes(): u32 { return 128; }
  @inline get factorBytes(): u32 { return 32; }
  @inline get offset(): i32 { return 0; }
  @inline c(
    f: usize, half: u32, lanes: v128, least: f32, h0: v128, h1: v128, d: v128,
  ): v128 {
    return f16_x4(f + SHORT + 16 + 8 * half, h0, h1);
  }
}

/** scale · (q − 16), 5 bits. */
@unmanaged
export class Q5_0 {
  @inline get blockBytes(): u32 { return 22; }
  @inline get superblockBlocks(): u32 { return 8; }
  @inline natural(src: usize, i: u32): v128 {
    return v128.or(block_nibbles(src + 6, 22, i), block_fifths(src + 2, 22, i));
  }
  @inline pack(src: usize, to: usize): void {
    pack_block_nibbles(src + 6, 22, to);
    pack_block_bits(src + 2, 22, to + 128);
  }
  @inline pack_factors(src: usize, to: usize): void {
    gather_f16(src, 22, to);
  }

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
  @inline h0(zero: v128): v128 { return v128.or(i32x4.splat(F16_MASK), zero); }
  @inline h1(zero: v128): v128 { return v128.or(f32x4.splat(TWO_POW_112), zero); }
  @inline d(f: usize, half: u32, lanes: v128, scale: f32, h0: v128, h1: v128): v128 {
    return f16_x4(f + SHORT + 8 * half, h0, h1);
  }
}

/** scale · q + minimum, 5 bits; computed as scale · (q − 16) + (minimum + 16 · scale). */
@unmanaged
export class Q5_1 {
  @inline get blockBytes(): u32 { return 24; }
  @inline get superblockBlocks(): u32 { return 8; }
  @inline pack(src: usize, to: usize): void {
    pack_block_nibbles(src + 8, 24, to);
    pack_block_bits(src + 4, 24, to + 128);
  }
  @inline pack_factors(src: usize, to: usize): void {
    gather_f16(src, 24, to);
    gather_f16(src + 2, 24, to + 16);
  }

  @inline get quantBytes(): u32 { return 160; }
  @inline get factorBytes(): u32 { return 32; }
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
  @inline h0(zero: v128): v128 { return v128.or(i32x4.splat(F16_MASK), zero); }
  @inline h1(zero: v128): v128 { return v128.or(f32x4.splat(TWO_POW_112), zero); }
  @inline d(f: usize, half: u32, lanes: v128, scale: f32, h0: v128, h1: v128): v128 {
    return f16_x4(f + SHORT + 8 * half, h0, h1);
  }
  @inline c(
    f: usize, half: u32, lanes: v128, least: f32, h0: v128, h1: v128, d: v128,
  ): v128 {
    return madd(d, f32x4.splat(16), f16_x4(f + SHORT + 16 + 8 * half, h0, h1));
  }
}

/** scale · w, 8 bits; bytes are kept as w + 128. */
@unmanaged
export class Q8_0 {
  @inline get blockBytes(): u32 { return 34; }
  @inline get superblockBlocks(): u32 { return 8; }
  @inline natural(src: usize, i: u32): v128 {
    const bytes = v128.load(src + 2 + (i >> 5) * 34 + (i & 16));
    return v128.xor(bytes, i8x16.splat(-128));
  }
  @inline pack(src: usize, to: usize): void {
    pack_block_bytes(src + 2, 34, i8x16.splat(-128), to);
  }
  @inline pack_factors(src: usize, to: usize): void {
    gather_f16(src, 34, to);
  }

  @inline get quantBytes(): u32 { return 256; }
  @inline get factorBytes(): u32 { return 16; }
  @inline get offset(): i32 { return 8; }
  @inline k0(zero: v128): v128 { return v128.or(i8x16.splat(15), zero); }
  @inline get isBytes(): bool { return true; }
  @inline get upperAt(): u32 { return 128; }
  @inline lower(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return v128.and(x, k0);
  }
  @inline upper(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return v128.and(x, k0);
  }
  @inline lower_high(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return v128.and(i16x8.shr_u(x, 4), k0);
  }
  @inline upper_high(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return v128.and(i16x8.shr_u(x, 4), k0);
  }
  @inline h0(zero: v128): v128 { return v128.or(i32x4.splat(F16_MASK), zero); }
  @inline h1(zero: v128): v128 { return v128.or(f32x4.splat(TWO_POW_112), zero); }
  @inline d(f: usize, half: u32, lanes: v128, scale: f32, h0: v128, h1: v128): v128 {
    return f16_x4(f + SHORT + 8 * half, h0, h1);
  }
}

/**
 * The sixteen levels of IQ4 are 16 · (c − 8) + r(c) − 11, c being the code: so the code itself
 * serves as high nibble, and only r, 0..26, is looked up.
 */
@inline
export function iq4_rest(zero: v128): v128 {
  return v128.or(i8x16(12, 19, 24, 26, 26, 24, 21, 17, 12, 8, 4, 1, 0, 0, 4, 12), zero);
}

/** 16 · c + r(c): the levels as bytes, 139 above. */
@inline
export function iq4_bytes(zero: v128): v128 {
  return v128.or(
    i8x16(12, 35, 56, 74, 90, 104, 117, -127, -116, -104, -92, -79, -64, -48, -28, -4),
    zero,
  );
}

/** scale · level, 4 bits that choose one of sixteen 8-bit levels. */
@unmanaged
export class IQ4_NL {
  @inline get blockBytes(): u32 { return 18; }
  @inline get superblockBlocks(): u32 { return 8; }
  @inline pack(src: usize, to: usize): void { pack_block_nibbles(src + 2, 18, to); }
  @inline pack_factors(src: usize, to: usize): void {
    gather_f16(src, 18, to);
  }

  @inline get quantBytes(): u32 { return 128; }
  @inline get factorBytes(): u32 { return 16; }
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
  @inline h0(zero: v128): v128 { return v128.or(i32x4.splat(F16_MASK), zero); }
  @inline h1(zero: v128): v128 { return v128.or(f32x4.splat(TWO_POW_112), zero); }
  @inline d(f: usize, half: u32, lanes: v128, scale: f32, h0: v128, h1: v128): v128 {
    return f16_x4(f + SHORT + 8 * half, h0, h1);
  }
}

/**
 * 2^(e − 127) · FP4 number; computed as 2^(e − 128) · (q − 12), where q − 12 is twice the number.
 * e = 255 is counted on like any other, as ggml does (OCP makes NaN of it).
 */
@unmanaged
export class MXFP4 {
  @inline get blockBytes(): u32 { return 17; }
  @inline get superblockBlocks(): u32 { return 8; }
  // By columns: codes that ascend with the number.
  @inline natural(src: usize, i: u32): v128 {
    return fp4_ascending_codes(block_nibbles(src + 1, 17, i));
  }
  @inline levels(): v128 { return fp4_ascending_levels(); }
  @inline pack(src: usize, to: usize): void { pack_block_nibbles(src + 1, 17, to); }
  @inline pack_factors(src: usize, to: usize): void {
    for (let j: u32 = 0; j < 8; j++) store<u8>(to + j, load<u8>(src + 17 * j));
  }

  @inline get quantBytes(): u32 { return 128; }
  @inline get factorBytes(): u32 { return 8; }
  @inline get offset(): i32 { return 12; }
  @inline k0(zero: v128): v128 { return v128.or(i8x16.splat(15), zero); }
  @inline k1(zero: v128): v128 { return v128.or(fp4_levels(), zero); }
  @inline lower(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return i8x16.relaxed_swizzle(k1, v128.and(x, k0));
  }
  @inline upper(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return i8x16.relaxed_swizzle(k1, v128.and(i16x8.shr_u(x, 4), k0));
  }
  @inline h0(zero: v128): v128 { return v128.or(i32x4.splat(0x00800000), zero); }
  @inline h1(zero: v128): v128 { return v128.or(i32x4.splat(0x00200000), zero); }
  @inline lanes(f: usize, h0: v128, h1: v128, h2: v128): v128 {
    return v128.load_ext<u8>(f + SHORT);
  }
  @inline d(f: usize, half: u32, lanes: v128, scale: f32, h0: v128, h1: v128): v128 {
    // Bits of 2^(e − 128): (e − 1) << 23, but for e = 0 and 1, whose powers are subnormal.
    const e = half_lanes(lanes, half);
    const normal = i32x4.sub(i32x4.shl(e, 23), h0);
    return i32x4.max_s(normal, i32x4.add(i32x4.shl(e, 21), h1));
  }
}
