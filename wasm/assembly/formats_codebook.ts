// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * The formats whose weights are looked up in codebooks: natural.ts says what is asked of them,
 * src/model/dequantize_codebooks.ts where their bits are, codebook_layout.ts where the codebooks.
 */
import {
  IQ1_AT,
  IQ2_S_AT,
  IQ2_XS_AT,
  IQ2_XXS_AT,
  IQ3_S_AT,
  IQ3_XXS_AT,
  SIGNS_AT,
} from "../../src/memory/codebook_layout";
import { half_at, half_of } from "./natural";

/** 2.06 bits: eight weights an index, 7 bits of signs, a scale for 32. */
@unmanaged
export class IQ2_XXS {
  @inline get isNatural(): bool { return true; }
  @inline get isWide(): bool { return true; }
  @inline get blockBytes(): u32 { return 66; }
  @inline get superblockBlocks(): u32 { return 1; }
  @inline get quantBytes(): u32 { return 66; }
  @inline get factorBytes(): u32 { return 0; }
  @inline get offset(): i32 { return 3; }
  @inline size(w: usize, b: u32, h: u32): v128 {
    const at = w + 8 * b + 2 * h;
    return two_eights(IQ2_XXS_AT, load<u8>(at, 2), load<u8>(at, 3));
  }
  @inline minus(w: usize, b: u32, h: u32): v128 {
    return two_signs(load<u32>(w + 8 * b, 6) >> (14 * h));
  }
  @inline d4(w: usize, half: u32): v128 {
    const at = w + 32 * half;
    const words = i32x4.shuffle(v128.load(at, 2), v128.load(at, 18), 1, 3, 5, 7);
    return half_steps(i32x4.shr_u(words, 28), half_at(w) * 0.25);
  }
}

/** 2.31 bits: eight weights an index of 9 bits with 7 bits of signs, a scale for 16. */
@unmanaged
export class IQ2_XS {
  @inline get isNatural(): bool { return true; }
  @inline get isWide(): bool { return true; }
  @inline get blockBytes(): u32 { return 74; }
  @inline get superblockBlocks(): u32 { return 1; }
  @inline get quantBytes(): u32 { return 74; }
  @inline get factorBytes(): u32 { return 0; }
  @inline get offset(): i32 { return 3; }
  @inline size(w: usize, b: u32, h: u32): v128 {
    const both = load<u32>(w + 8 * b + 4 * h, 2);
    return two_eights(IQ2_XS_AT, both & 511, (both >> 16) & 511);
  }
  @inline minus(w: usize, b: u32, h: u32): v128 {
    const both = load<u32>(w + 8 * b + 4 * h, 2);
    return v128.load64_lane(SIGNS_AT + 8 * (both >> 25),
      v128.load64_zero(SIGNS_AT + 8 * ((both >> 9) & 127)), 1);
  }
  @inline d4(w: usize, half: u32): v128 { return f32x4.splat(half_at(w) * 0.125); }
  @inline l(w: usize, b: u32, h: u32): i32 {
    return 2 * ((<i32>load<u8>(w + b, 66) >> (4 * h)) & 15) + 1;
  }
}

/** 2.56 bits: eight weights an index of 10 bits, a bit of sign each, a scale for 16. */
@unmanaged
export class IQ2_S {
  @inline get isNatural(): bool { return true; }
  @inline get isWide(): bool { return true; }
  @inline get blockBytes(): u32 { return 82; }
  @inline get superblockBlocks(): u32 { return 1; }
  @inline get quantBytes(): u32 { return 82; }
  @inline get factorBytes(): u32 { return 0; }
  @inline get offset(): i32 { return 3; }
  @inline size(w: usize, b: u32, h: u32): v128 {
    const at = w + 4 * b + 2 * h;
    const upper = <u32>load<u8>(w + b, 66) >> (4 * h);
    return two_eights(
      IQ2_S_AT,
      <u32>load<u8>(at, 2) | ((upper & 3) << 8),
      <u32>load<u8>(at, 3) | ((upper & 12) << 6),
    );
  }
  @inline minus(w: usize, b: u32, h: u32): v128 { return bits_apart(w + 34 + 4 * b + 2 * h); }
  @inline d4(w: usize, half: u32): v128 { return f32x4.splat(half_at(w) * 0.125); }
  @inline l(w: usize, b: u32, h: u32): i32 {
    return 2 * ((<i32>load<u8>(w + b, 74) >> (4 * h)) & 15) + 1;
  }
}

/** 3.06 bits: four weights an index, 7 bits of signs for eight, a scale for 32. */
@unmanaged
export class IQ3_XXS {
  @inline get isNatural(): bool { return true; }
  @inline get blockBytes(): u32 { return 98; }
  @inline get superblockBlocks(): u32 { return 1; }
  @inline get quantBytes(): u32 { return 98; }
  @inline get factorBytes(): u32 { return 0; }
  @inline get isWide(): bool { return true; }
  @inline get offset(): i32 { return 2; }
  @inline size(w: usize, b: u32, h: u32): v128 {
    const at = w + 8 * b + 4 * h;
    return four_fours(
      IQ3_XXS_AT, load<u8>(at, 2), load<u8>(at, 3), load<u8>(at, 4), load<u8>(at, 5),
    );
  }
  @inline minus(w: usize, b: u32, h: u32): v128 {
    return two_signs(load<u32>(w + 4 * b, 66) >> (14 * h));
  }
  @inline d4(w: usize, half: u32): v128 {
    return half_steps(i32x4.shr_u(v128.load(w + 16 * half, 66), 28), half_at(w));
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
  @inline size(w: usize, b: u32, h: u32): v128 {
    const at = w + 8 * b + 4 * h;
    const ninth = <u32>load<u8>(w + b, 66) >> (4 * h);
    return four_fours(
      IQ3_S_AT,
      <u32>load<u8>(at, 2) | ((ninth & 1) << 8),
      <u32>load<u8>(at, 3) | ((ninth & 2) << 7),
      <u32>load<u8>(at, 4) | ((ninth & 4) << 6),
      <u32>load<u8>(at, 5) | ((ninth & 8) << 5),
    );
  }
  @inline minus(w: usize, b: u32, h: u32): v128 { return bits_apart(w + 74 + 4 * b + 2 * h); }
  @inline d4(w: usize, half: u32): v128 {
    const lanes = i32x4.mul(i32x4.splat(load<u16>(w + 2 * half, 106)), i32x4(4096, 256, 16, 1));
    return odd_steps(v128.and(i32x4.shr_u(lanes, 12), i32x4.splat(15)), half_at(w));
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
  @inline value(w: usize, b: u32, h: u32): v128 {
    const at = w + 4 * b + 2 * h;
    const word = <u32>load<u16>(w + 2 * b, 34), upper = word >> (6 * h);
    const eighth = <i8>(1 - ((word >> 14) & 2));
    return i8x16.add(i8x16.splat(eighth), two_eights(
      IQ1_AT,
      <u32>load<u8>(at, 2) | ((upper & 7) << 8),
      <u32>load<u8>(at, 3) | ((upper & 56) << 5),
    ));
  }
  @inline d4(w: usize, half: u32): v128 {
    const words = i32x4.extend_low_i16x8_u(v128.load64_zero(w + 8 * half, 34));
    return odd_steps(v128.and(i32x4.shr_u(words, 12), i32x4.splat(7)), half_at(w) * 0.125);
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
  @inline value(w: usize, b: u32, h: u32): v128 {
    const at = w + 4 * b + 2 * h;
    const upper = <u32>load<u8>(w + 2 * b + h, 32);
    const levels = two_eights(
      IQ1_AT,
      <u32>load<u8>(at) | ((upper & 7) << 8),
      <u32>load<u8>(at, 1) | ((upper & 112) << 4),
    );
    const bit = i8x16(8, 8, 8, 8, 8, 8, 8, 8, -128, -128, -128, -128, -128, -128, -128, -128);
    const minus = i8x16.eq(v128.and(i8x16.splat(<i8>upper), bit), bit);
    return i8x16.add(levels, v128.or(minus, i8x16.splat(1)));
  }
  @inline d4(w: usize, half: u32): v128 {
    const lower = load<u32>(w + 48), upper = load<u32>(w + 52);
    const d = ((lower >> 12) & 15) | ((lower >> 24) & 0xf0) |
      ((upper >> 4) & 0xf00) | ((upper >> 16) & 0xf000);
    return f32x4.splat(half_of(d) * 0.125);
  }
  @inline l(w: usize, b: u32, h: u32): i32 {
    return 2 * ((<i32>load<u16>(w + 2 * (b >> 1), 48) >> (6 * (b & 1) + 3 * h)) & 7) + 1;
  }
}

/** Entries of eight bytes. */
@inline
function two_eights(book: u32, i: u32, j: u32): v128 {
  return v128.load64_lane(book + 8 * j, v128.load64_zero(book + 8 * i), 1);
}

/** Entries of four bytes. */
@inline
function four_fours(book: u32, i: u32, j: u32, k: u32, l: u32): v128 {
  const first = v128.load32_lane(book + 4 * j, v128.load32_zero(book + 4 * i), 1);
  return v128.load32_lane(book + 4 * l, v128.load32_lane(book + 4 * k, first, 2), 3);
}

/** The signs of twice seven bits. */
@inline
function two_signs(bits: u32): v128 {
  return two_eights(SIGNS_AT, bits & 127, (bits >> 7) & 127);
}

/** Sixteen bits at ptr, one for each byte: −1 where it is set. */
@inline
export function bits_apart(ptr: usize): v128 {
  const both = v128.load16_splat(ptr);
  const bit = i8x16(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
  const each = i8x16.shuffle(both, both, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
  return i8x16.eq(v128.and(each, bit), bit);
}

/** scale · (lanes + ½). */
@inline
function half_steps(lanes: v128, scale: f32): v128 {
  return f32x4.mul(f32x4.add(f32x4.convert_i32x4_s(lanes), f32x4.splat(0.5)), f32x4.splat(scale));
}

/** scale · (2 · lanes + 1). */
@inline
function odd_steps(lanes: v128, scale: f32): v128 {
  const odd = v128.or(i32x4.shl(lanes, 1), i32x4.splat(1));
  return f32x4.mul(f32x4.convert_i32x4_s(odd), f32x4.splat(scale));
}
