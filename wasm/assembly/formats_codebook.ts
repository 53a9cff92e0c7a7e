// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * The formats whose weights are looked up in codebooks: natural.ts says what is asked of them,
 * src/model/quants/dequantize_codebooks.ts where their bits are, codebook_layout.ts where the
 * codebooks.
 *
 * Addresses, signs and scales of four blocks are made at once, in vectors: weight by weight they
 * would take longer than looking up. Codebooks' addresses are offsets of instructions, which are
 * constants in the source.
 */
import {
  EVEN_SIGNS_AT,
  IQ1_AT,
  IQ2_S_AT,
  IQ2_XS_AT,
  IQ2_XXS_AT,
  IQ3_S_AT,
  IQ3_XXS_AT,
  SIGNS_AT,
} from "../../src/memory/codebook_layout";

/** 2.06 bits: eight weights an index, 7 bits of signs, a scale for 32. */
@unmanaged
export class IQ2_XXS {
  @inline get isNatural(): bool { return true; }
  @inline get isWide(): bool { return true; }
  @inline get isSevenBits(): bool { return true; }
  @inline get blockBytes(): u32 { return 66; }
  @inline get superblockBlocks(): u32 { return 1; }
  @inline get quantBytes(): u32 { return 66; }
  @inline get factorBytes(): u32 { return 0; }
  @inline get offset(): i32 { return 3; }
  @inline k2(zero: v128): v128 { return v128.or(i16x8.splat(127 << 3), zero); }
  @inline addresses(w: usize, half: u32, to: usize, k0: v128, k1: v128): void {
    const x = v128.load(w + 32 * half, 2), y = v128.load(w + 32 * half, 18);
    store_bytes_times_8(to, i32x4.shuffle(x, y, 0, 2, 4, 6));
  }
  @inline entries(at: usize, i: u32, j: u32): v128 {
    const first = v128.load64_zero(load<u16>(at + i), IQ2_XXS_AT);
    return v128.load64_lane(load<u16>(at + j), first, 1, IQ2_XXS_AT);
  }
  @inline signs(w: usize, half: u32, to: usize, k2: v128): void {
    const x = v128.load(w + 32 * half, 2), y = v128.load(w + 32 * half, 18);
    store_sevens(to, i32x4.shuffle(x, y, 1, 3, 5, 7), k2);
  }
  @inline minus(at: usize, i: u32, j: u32): v128 { return even_minus(at, i, j); }
  @inline get step(): f32 { return 0.125; }
  @inline bits(w: usize): u32 { return load<u16>(w); }
  @inline d4(w: usize, half: u32, d: v128): v128 {
    const x = v128.load(w + 32 * half, 2), y = v128.load(w + 32 * half, 18);
    const words = i32x4.shuffle(x, y, 1, 3, 5, 7);
    return half_steps(i32x4.shr_u(words, 28), 0.25, d);
  }
}

/** 2.31 bits: eight weights an index of 9 bits with 7 bits of signs, a scale for 16. */
@unmanaged
export class IQ2_XS {
  @inline get isNatural(): bool { return true; }
  @inline get isWide(): bool { return true; }
  @inline get isSevenBits(): bool { return true; }
  @inline get blockBytes(): u32 { return 74; }
  @inline get superblockBlocks(): u32 { return 1; }
  @inline get quantBytes(): u32 { return 74; }
  @inline get factorBytes(): u32 { return 0; }
  @inline get offset(): i32 { return 3; }
  @inline k0(zero: v128): v128 { return v128.or(i16x8.splat(511 << 3), zero); }
  @inline k2(zero: v128): v128 { return v128.or(i16x8.splat(127 << 3), zero); }
  @inline addresses(w: usize, half: u32, to: usize, k0: v128, k1: v128): void {
    const x = v128.load(w + 32 * half, 2), y = v128.load(w + 32 * half, 18);
    v128.store(to, v128.and(i16x8.shl(x, 3), k0));
    v128.store(to, v128.and(i16x8.shl(y, 3), k0), 32);
  }
  @inline entries(at: usize, i: u32, j: u32): v128 {
    const first = v128.load64_zero(load<u16>(at + i), IQ2_XS_AT);
    return v128.load64_lane(load<u16>(at + j), first, 1, IQ2_XS_AT);
  }
  @inline signs(w: usize, half: u32, to: usize, k2: v128): void {
    const x = v128.load(w + 32 * half, 2), y = v128.load(w + 32 * half, 18);
    v128.store(to, v128.and(i16x8.shr_u(x, 6), k2));
    v128.store(to, v128.and(i16x8.shr_u(y, 6), k2), 32);
  }
  @inline minus(at: usize, i: u32, j: u32): v128 { return even_minus(at, i, j); }
  @inline bits(w: usize): u32 { return load<u16>(w); }
  @inline d4(w: usize, half: u32, d: v128): v128 { return f32x4.mul(d, f32x4.splat(0.125)); }
  @inline l(w: usize, half: u32): v128 { return odd_of_nibbles(w + 66 + 4 * half); }
}

/** 2.56 bits: eight weights an index of 10 bits, a bit of sign each, a scale for 16. */
@unmanaged
export class IQ2_S {
  @inline get isNatural(): bool { return true; }
  @inline get isWide(): bool { return true; }
  @inline get isSevenBits(): bool { return true; }
  @inline get blockBytes(): u32 { return 82; }
  @inline get superblockBlocks(): u32 { return 1; }
  @inline get quantBytes(): u32 { return 82; }
  @inline get factorBytes(): u32 { return 0; }
  @inline get offset(): i32 { return 3; }
  @inline k0(zero: v128): v128 {
    return v128.or(i16x8(2048, 512, 128, 32, 2048, 512, 128, 32), zero);
  }
  @inline k1(zero: v128): v128 { return v128.or(i16x8.splat(3 << 11), zero); }
  @inline addresses(w: usize, half: u32, to: usize, k0: v128, k1: v128): void {
    const lower = v128.load(w + 16 * half, 2);
    const upper = i16x8.extend_low_i8x16_u(v128.load32_zero(w + 4 * half, 66));
    const twice = i16x8.shuffle(upper, upper, 0, 0, 1, 1, 2, 2, 3, 3);
    const x = i32x4.shuffle(twice, twice, 0, 0, 1, 1), y = i32x4.shuffle(twice, twice, 2, 2, 3, 3);
    store_eight(to, i16x8.extend_low_i8x16_u(lower), v128.and(i16x8.mul(x, k0), k1));
    store_eight(to + 32, i16x8.extend_high_i8x16_u(lower), v128.and(i16x8.mul(y, k0), k1));
  }
  @inline entries(at: usize, i: u32, j: u32): v128 {
    const first = v128.load64_zero(load<u16>(at + i), IQ2_S_AT);
    return v128.load64_lane(load<u16>(at + j), first, 1, IQ2_S_AT);
  }
  @inline signs(w: usize, half: u32, to: usize, k2: v128): void {
    store_bytes_times_8(to, v128.load(w + 16 * half, 34));
  }
  @inline minus(at: usize, i: u32, j: u32): v128 { return any_minus(at, i, j); }
  @inline bits(w: usize): u32 { return load<u16>(w); }
  @inline d4(w: usize, half: u32, d: v128): v128 { return f32x4.mul(d, f32x4.splat(0.125)); }
  @inline l(w: usize, half: u32): v128 { return odd_of_nibbles(w + 74 + 4 * half); }
}

/** 3.06 bits: four weights an index, 7 bits of signs for eight, a scale for 32. */
@unmanaged
export class IQ3_XXS {
  @inline get isNatural(): bool { return true; }
  @inline get isWide(): bool { return true; }
  @inline get isSevenBits(): bool { return true; }
  @inline get blockBytes(): u32 { return 98; }
  @inline get superblockBlocks(): u32 { return 1; }
  @inline get quantBytes(): u32 { return 98; }
  @inline get factorBytes(): u32 { return 0; }
  @inline get offset(): i32 { return 2; }
  @inline get hasFours(): bool { return true; }
  @inline k2(zero: v128): v128 { return v128.or(i16x8.splat(127 << 3), zero); }
  @inline addresses(w: usize, half: u32, to: usize, k0: v128, k1: v128): void {
    store_bytes_times_4(to, v128.load(w + 32 * half, 2));
    store_bytes_times_4(to + 64, v128.load(w + 32 * half, 18));
  }
  @inline entries(at: usize, i: u32, j: u32): v128 {
    let x = v128.load32_zero(load<u16>(at + i), IQ3_XXS_AT);
    x = v128.load32_lane(load<u16>(at + (i + 2)), x, 1, IQ3_XXS_AT);
    x = v128.load32_lane(load<u16>(at + j), x, 2, IQ3_XXS_AT);
    return v128.load32_lane(load<u16>(at + (j + 2)), x, 3, IQ3_XXS_AT);
  }
  @inline signs(w: usize, half: u32, to: usize, k2: v128): void {
    store_sevens(to, v128.load(w + 16 * half, 66), k2);
  }
  @inline minus(at: usize, i: u32, j: u32): v128 { return even_minus(at, i, j); }
  @inline get step(): f32 { return 0.5; }
  @inline bits(w: usize): u32 { return load<u16>(w); }
  @inline d4(w: usize, half: u32, d: v128): v128 {
    return half_steps(i32x4.shr_u(v128.load(w + 16 * half, 66), 28), 1, d);
  }
}

/** 3.44 bits: four weights an index of 9 bits, a bit of sign each, a scale for 32. */
@unmanaged
export class IQ3_S {
  @inline get isNatural(): bool { return true; }
  @inline get blockBytes(): u32 { return 110; }
  @inline get superblockBlocks(): u32 { return 1; }
  @inline get quantBytes(): u32 { return 110; }
  @inline get factorBytes(): u32 { return 0; }
  @inline get offset(): i32 { return 15; }
  @inline get hasFours(): bool { return true; }
  @inline k0(zero: v128): v128 { return v128.or(i16x8(1024, 512, 256, 128, 64, 32, 16, 8), zero); }
  @inline k1(zero: v128): v128 { return v128.or(i16x8.splat(1024), zero); }
  @inline addresses(w: usize, half: u32, to: usize, k0: v128, k1: v128): void {
    const x = v128.load(w + 32 * half, 2), y = v128.load(w + 32 * half, 18);
    const ninths = w + 66 + 4 * half;
    store_ninths(to, i16x8.extend_low_i8x16_u(x), load<u8>(ninths), k0, k1);
    store_ninths(to + 32, i16x8.extend_high_i8x16_u(x), load<u8>(ninths, 1), k0, k1);
    store_ninths(to + 64, i16x8.extend_low_i8x16_u(y), load<u8>(ninths, 2), k0, k1);
    store_ninths(to + 96, i16x8.extend_high_i8x16_u(y), load<u8>(ninths, 3), k0, k1);
  }
  @inline entries(at: usize, i: u32, j: u32): v128 {
    let x = v128.load32_zero(load<u16>(at + i), IQ3_S_AT);
    x = v128.load32_lane(load<u16>(at + (i + 2)), x, 1, IQ3_S_AT);
    x = v128.load32_lane(load<u16>(at + j), x, 2, IQ3_S_AT);
    return v128.load32_lane(load<u16>(at + (j + 2)), x, 3, IQ3_S_AT);
  }
  @inline signs(w: usize, half: u32, to: usize, k2: v128): void {
    store_bytes_times_8(to, v128.load(w + 16 * half, 74));
  }
  @inline minus(at: usize, i: u32, j: u32): v128 { return any_minus(at, i, j); }
  @inline get step(): f32 { return 1; }
  @inline bits(w: usize): u32 { return load<u16>(w); }
  @inline d4(w: usize, half: u32, d: v128): v128 {
    const lanes = i32x4.mul(i32x4.splat(load<u16>(w + 2 * half, 106)), i32x4(4096, 256, 16, 1));
    return odd_steps(v128.and(i32x4.shr_u(lanes, 12), i32x4.splat(15)), d);
  }
}

/** 1.56 bits: eight weights an index of 11 bits, an eighth added and a scale for 32. */
@unmanaged
export class IQ1_S {
  @inline get isNatural(): bool { return true; }
  @inline get blockBytes(): u32 { return 50; }
  @inline get superblockBlocks(): u32 { return 1; }
  @inline get quantBytes(): u32 { return 50; }
  @inline get factorBytes(): u32 { return 0; }
  @inline get offset(): i32 { return 9; }
  @inline k0(zero: v128): v128 { return v128.or(i16x8(2048, 256, 32, 4, 2048, 256, 32, 4), zero); }
  @inline k1(zero: v128): v128 { return v128.or(i16x8.splat(7 << 11), zero); }
  @inline addresses(w: usize, half: u32, to: usize, k0: v128, k1: v128): void {
    const lower = v128.load(w + 16 * half, 2), words = v128.load64_zero(w + 8 * half, 34);
    const twice = i16x8.shuffle(words, words, 0, 0, 1, 1, 2, 2, 3, 3);
    const x = i32x4.shuffle(twice, twice, 0, 0, 1, 1), y = i32x4.shuffle(twice, twice, 2, 2, 3, 3);
    store_eight(to, i16x8.extend_low_i8x16_u(lower), v128.and(i16x8.mul(x, k0), k1));
    store_eight(to + 32, i16x8.extend_high_i8x16_u(lower), v128.and(i16x8.mul(y, k0), k1));
  }
  @inline entries(at: usize, i: u32, j: u32): v128 {
    const first = v128.load64_zero(load<u16>(at + i), IQ1_AT);
    return v128.load64_lane(load<u16>(at + j), first, 1, IQ1_AT);
  }
  @inline eighths(w: usize, b: u32, h: u32): v128 {
    return i8x16.splat(<i8>(2 - ((<i32>load<u16>(w + 2 * b, 34) >> 14) & 2)));
  }
  @inline least(w: usize, half: u32, sums: v128, quarters: v128, others: v128): v128 {
    const words = i16x8.shr_u(v128.load64_zero(w + 8 * half, 34), 15);
    const off = i16x8.add(i16x8.add(words, words), i16x8.splat(7));
    return i32x4.dot_i16x8_s(sums, i16x8.shuffle(off, off, 0, 0, 1, 1, 2, 2, 3, 3));
  }
  @inline get step(): f32 { return 0.125; }
  @inline bits(w: usize): u32 { return load<u16>(w); }
  @inline d4(w: usize, half: u32, d: v128): v128 {
    const words = i32x4.extend_low_i16x8_u(v128.load64_zero(w + 8 * half, 34));
    const steps = v128.and(i32x4.shr_u(words, 12), i32x4.splat(7));
    return odd_steps(steps, f32x4.mul(d, f32x4.splat(0.125)));
  }
}

/** 1.75 bits: the same with an eighth for 8 and a scale for 16. */
@unmanaged
export class IQ1_M {
  @inline get isNatural(): bool { return true; }
  @inline get blockBytes(): u32 { return 56; }
  @inline get superblockBlocks(): u32 { return 1; }
  @inline get quantBytes(): u32 { return 56; }
  @inline get factorBytes(): u32 { return 0; }
  @inline get offset(): i32 { return 9; }
  @inline k0(zero: v128): v128 {
    return v128.or(i16x8(2048, 128, 2048, 128, 2048, 128, 2048, 128), zero);
  }
  @inline k1(zero: v128): v128 { return v128.or(i16x8.splat(7 << 11), zero); }
  @inline addresses(w: usize, half: u32, to: usize, k0: v128, k1: v128): void {
    const lower = v128.load(w + 16 * half);
    const upper = i16x8.extend_low_i8x16_u(v128.load64_zero(w + 8 * half, 32));
    const x = i16x8.shuffle(upper, upper, 0, 0, 1, 1, 2, 2, 3, 3);
    const y = i16x8.shuffle(upper, upper, 4, 4, 5, 5, 6, 6, 7, 7);
    store_eight(to, i16x8.extend_low_i8x16_u(lower), v128.and(i16x8.mul(x, k0), k1));
    store_eight(to + 32, i16x8.extend_high_i8x16_u(lower), v128.and(i16x8.mul(y, k0), k1));
  }
  @inline entries(at: usize, i: u32, j: u32): v128 {
    const first = v128.load64_zero(load<u16>(at + i), IQ1_AT);
    return v128.load64_lane(load<u16>(at + j), first, 1, IQ1_AT);
  }
  @inline eighths(w: usize, b: u32, h: u32): v128 {
    const bit = i8x16(8, 8, 8, 8, 8, 8, 8, 8, -128, -128, -128, -128, -128, -128, -128, -128);
    const isMinus = i8x16.eq(v128.and(v128.load8_splat(w + 2 * b + h, 32), bit), bit);
    return v128.andnot(i8x16.splat(2), isMinus);
  }
  @inline least(w: usize, half: u32, sums: v128, quarters: v128, others: v128): v128 {
    const upper = i16x8.extend_low_i8x16_u(v128.load64_zero(w + 8 * half, 32));
    const two = i16x8.splat(2), seven = i16x8.splat(7);
    const first = i16x8.add(v128.and(i16x8.shr_u(upper, 2), two), seven);
    const second = i16x8.add(v128.and(i16x8.shr_u(upper, 6), two), seven);
    const both = i16x8.add(i16x8.mul(quarters, first), i16x8.mul(others, second));
    return i32x4.dot_i16x8_s(both, iq1_m_lanes(w, half));
  }
  @inline d4(w: usize, half: u32, d: v128): v128 {
    return f32x4.mul(d, f32x4.splat(0.125));
  }
  @inline bits(w: usize): u32 {
    const lower = load<u32>(w + 48), upper = load<u32>(w + 52);
    return ((lower >> 12) & 15) | ((lower >> 24) & 0xf0) |
      ((upper >> 4) & 0xf00) | ((upper >> 16) & 0xf000);
  }
  @inline l(w: usize, half: u32): v128 {
    return iq1_m_lanes(w, half);
  }
}

/** 2 · n + 1 of the four times three bits of two words. */
@inline
function iq1_m_lanes(w: usize, half: u32): v128 {
  const words = v128.load32_zero(w + 4 * half, 48);
  const twice = i16x8.shuffle(words, words, 0, 0, 1, 1, 2, 2, 3, 3);
  const each = i32x4.shuffle(twice, twice, 0, 0, 1, 1);
  const moved = i16x8.shr_u(i16x8.mul(each, i16x8(512, 64, 8, 1, 512, 64, 8, 1)), 8);
  return v128.or(v128.and(moved, i16x8.splat(14)), i16x8.splat(1));
}

/** Sixteen bytes, each times 8, as u16, eight of them and eight 32 bytes behind. */
@inline
function store_bytes_times_8(to: usize, bytes: v128): void {
  v128.store(to, i16x8.shl(i16x8.extend_low_i8x16_u(bytes), 3));
  v128.store(to, i16x8.shl(i16x8.extend_high_i8x16_u(bytes), 3), 32);
}

/** The same, each times 4. */
@inline
function store_bytes_times_4(to: usize, bytes: v128): void {
  v128.store(to, i16x8.shl(i16x8.extend_low_i8x16_u(bytes), 2));
  v128.store(to, i16x8.shl(i16x8.extend_high_i8x16_u(bytes), 2), 32);
}

/** Eight low bytes of indices, and their other bits where those of addresses are. */
@inline
function store_eight(to: usize, lower: v128, upper: v128): void {
  v128.store(to, v128.or(i16x8.shl(lower, 3), upper));
}

/** The same of entries of four bytes, with the ninth bits of a block. */
@inline
function store_ninths(to: usize, lower: v128, bits: u32, move: v128, ninth: v128): void {
  const moved = v128.and(i16x8.mul(i16x8.splat(<i16>bits), move), ninth);
  v128.store(to, v128.or(i16x8.shl(lower, 2), moved));
}

/** Four times seven bits of each of four words, times 8, as u16. */
@inline
function store_sevens(to: usize, words: v128, seven: v128): void {
  // Each of the four is moved to bits 3 to 9 of a u16.
  const x = i16x8.shuffle(i32x4.shl(words, 3), i32x4.shl(words, 12), 0, 9, 2, 11, 4, 13, 6, 15);
  const y = i16x8.shuffle(i32x4.shr_u(words, 11), i32x4.shr_u(words, 2), 0, 9, 2, 11, 4, 13, 6, 15);
  const a = v128.and(x, seven), b = v128.and(y, seven);
  v128.store(to, i32x4.shuffle(a, b, 0, 4, 1, 5));
  v128.store(to, i32x4.shuffle(a, b, 2, 6, 3, 7), 32);
}

/** The signs of two times eight weights, −1 where they are negative. */
@inline
function even_minus(at: usize, i: u32, j: u32): v128 {
  const first = v128.load64_zero(load<u16>(at + i), EVEN_SIGNS_AT);
  return v128.load64_lane(load<u16>(at + j), first, 1, EVEN_SIGNS_AT);
}
@inline
function any_minus(at: usize, i: u32, j: u32): v128 {
  const first = v128.load64_zero(load<u16>(at + i), SIGNS_AT);
  return v128.load64_lane(load<u16>(at + j), first, 1, SIGNS_AT);
}

/** 2 · n + 1 of the nibbles of four bytes, the low one of a byte first. */
@inline
function odd_of_nibbles(ptr: usize): v128 {
  const x = v128.load32_zero(ptr);
  const both = i16x8.extend_low_i8x16_u(
    i8x16.shuffle(x, i16x8.shr_u(x, 4), 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23),
  );
  return v128.or(v128.and(i16x8.shl(both, 1), i16x8.splat(30)), i16x8.splat(1));
}

/** d · step · (lanes + ½). */
@inline
function half_steps(lanes: v128, step: f32, d: v128): v128 {
  const steps = f32x4.mul(f32x4.convert_i32x4_s(lanes), f32x4.splat(step));
  return f32x4.mul(f32x4.add(steps, f32x4.splat(0.5 * step)), d);
}

/** d · (2 · lanes + 1). */
@inline
function odd_steps(lanes: v128, d: v128): v128 {
  const odd = v128.or(i32x4.shl(lanes, 1), i32x4.splat(1));
  return f32x4.mul(f32x4.convert_i32x4_s(odd), d);
}
