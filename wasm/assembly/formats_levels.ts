// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * The formats of codebooks (formats_codebook.ts) written out: what a codebook's entry says of a
 * weight, sign included, is one of at most sixteen levels, so a nibble says it as well. Rows take
 * 4.4 or 4.6 bits a weight instead of 1.6 to 3.4, and nothing of them is looked up in memory: where
 * there is room for them, they are several times as fast (NOTES.md). Sums and factors are the
 * codebooks' own, so results have the same bits. How rows become these: pack_codes(); what is asked
 * of formats: format.ts.
 *
 * Levels of IQ1 (times 8) and IQ3_S are odd numbers to ±15, which is counting. Those of IQ2 (times
 * 8) and IQ3_XXS (halved) are sums of two small parts, which are multiplied apart: nothing is
 * looked up, so V8 pairs all of it. A scale is an odd number times the superblock's: `unit`.
 */
import { SHORT } from "./format";
import { take_natural_apart, whole_of } from "./natural";
import { Fours } from "./product_sums";
import { FORM_D, FORM_L, FORM_QUANTS } from "./superblock_form";
import { F16_REBIAS, F16_SIGN, F16_SIZE, F16_SMALLEST, half_lanes } from "./weight_bits";

/** IQ1_S, IQ3_S: unit · odd number of the block · (2 · code − 15). */
@unmanaged
export class OddLevels {
  @inline get superblockBlocks(): u32 { return 1; }
  @inline get quantBytes(): u32 { return 128; }
  @inline get factorBytes(): u32 { return 12; }
  @inline get offset(): i32 { return 15; }
  @inline k0(zero: v128): v128 { return v128.or(i8x16.splat(30), zero); }
  @inline lower(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return v128.and(i16x8.shl(x, 1), k0);
  }
  @inline upper(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return v128.and(i16x8.shr_u(x, 3), k0);
  }
  @inline lanes(f: usize, h0: v128, h1: v128, h2: v128): v128 { return odd_numbers(f); }
  @inline d(f: usize, half: u32, lanes: v128, scale: f32, h0: v128, h1: v128): v128 {
    return times_unit(f, half, lanes);
  }
}

/** IQ1_M: the same with an odd number for each half. */
@unmanaged
export class OddLevelsByHalves {
  @inline get superblockBlocks(): u32 { return 1; }
  @inline get quantBytes(): u32 { return 128; }
  @inline get factorBytes(): u32 { return 20; }
  @inline get offset(): i32 { return 15; }
  @inline k0(zero: v128): v128 { return v128.or(i8x16.splat(30), zero); }
  @inline lower(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return v128.and(i16x8.shl(x, 1), k0);
  }
  @inline upper(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return v128.and(i16x8.shr_u(x, 3), k0);
  }
  @inline d(f: usize, half: u32, lanes: v128, scale: f32, h0: v128, h1: v128): v128 {
    return v128.load32_splat(f + SHORT + 16);
  }
  @inline l(f: usize, half: u32, lanes: v128, h0: v128): v128 { return half_numbers(f, half); }
}

/** IQ2_XXS: unit · odd number of the block · one of six levels, in two parts. */
@unmanaged
export class SixLevels {
  @inline get superblockBlocks(): u32 { return 1; }
  @inline get isSevenBits(): bool { return true; }
  @inline get quantBytes(): u32 { return 128; }
  @inline get factorBytes(): u32 { return 12; }
  @inline get offset(): i32 { return 43; }
  @inline get partShift(): i32 { return 3; }
  @inline get highPart(): i32 { return 8 * 17; }
  @inline whole(low: v128, high: v128): v128 { return six_of(low, high); }
  @inline k0(zero: v128): v128 { return v128.or(i8x16.splat(8), zero); }
  @inline k1(zero: v128): v128 { return v128.or(i8x16.splat(7), zero); }
  @inline lower(x: v128, y: v128, k0: v128, k1: v128): v128 { return v128.and(x, k0); }
  @inline upper(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return v128.and(i16x8.shr_u(x, 4), k0);
  }
  @inline lower_high(x: v128, y: v128, k0: v128, k1: v128): v128 { return v128.and(x, k1); }
  @inline upper_high(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return v128.and(i16x8.shr_u(x, 4), k1);
  }
  @inline lanes(f: usize, h0: v128, h1: v128, h2: v128): v128 { return odd_numbers(f); }
  @inline d(f: usize, half: u32, lanes: v128, scale: f32, h0: v128, h1: v128): v128 {
    return times_unit(f, half, lanes);
  }
}

/** IQ2_XS, IQ2_S: the same with an odd number for each half. */
@unmanaged
export class SixLevelsByHalves {
  @inline get superblockBlocks(): u32 { return 1; }
  @inline get isSevenBits(): bool { return true; }
  @inline get quantBytes(): u32 { return 128; }
  @inline get factorBytes(): u32 { return 20; }
  @inline get offset(): i32 { return 43; }
  @inline get partShift(): i32 { return 3; }
  @inline get highPart(): i32 { return 8 * 17; }
  @inline whole(low: v128, high: v128): v128 { return six_of(low, high); }
  @inline k0(zero: v128): v128 { return v128.or(i8x16.splat(8), zero); }
  @inline k1(zero: v128): v128 { return v128.or(i8x16.splat(7), zero); }
  @inline lower(x: v128, y: v128, k0: v128, k1: v128): v128 { return v128.and(x, k0); }
  @inline upper(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return v128.and(i16x8.shr_u(x, 4), k0);
  }
  @inline lower_high(x: v128, y: v128, k0: v128, k1: v128): v128 { return v128.and(x, k1); }
  @inline upper_high(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return v128.and(i16x8.shr_u(x, 4), k1);
  }
  @inline d(f: usize, half: u32, lanes: v128, scale: f32, h0: v128, h1: v128): v128 {
    return v128.load32_splat(f + SHORT + 16);
  }
  @inline l(f: usize, half: u32, lanes: v128, h0: v128): v128 { return half_numbers(f, half); }
}

/** IQ3_XXS: unit · odd number of the block · one of sixteen levels, in two parts. */
@unmanaged
export class SixteenLevels {
  @inline get superblockBlocks(): u32 { return 1; }
  @inline get isSevenBits(): bool { return true; }
  @inline get quantBytes(): u32 { return 128; }
  @inline get factorBytes(): u32 { return 12; }
  @inline get offset(): i32 { return 45; }
  @inline get partShift(): i32 { return 0; }
  @inline get highPart(): i32 { return 4; }
  @inline whole(low: v128, high: v128): v128 { return i8x16.add(low, i16x8.shl(high, 2)); }
  @inline k0(zero: v128): v128 { return v128.or(i8x16.splat(14), zero); }
  @inline k1(zero: v128): v128 { return v128.or(i8x16.splat(15), zero); }
  @inline lower(x: v128, y: v128, k0: v128, k1: v128): v128 { return ends_of(v128.and(x, k1), k0); }
  @inline upper(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return ends_of(v128.and(i16x8.shr_u(x, 4), k1), k0);
  }
  @inline lower_high(x: v128, y: v128, k0: v128, k1: v128): v128 { return v128.and(x, k1); }
  @inline upper_high(x: v128, y: v128, k0: v128, k1: v128): v128 {
    return v128.and(i16x8.shr_u(x, 4), k1);
  }
  @inline lanes(f: usize, h0: v128, h1: v128, h2: v128): v128 { return odd_numbers(f); }
  @inline d(f: usize, half: u32, lanes: v128, scale: f32, h0: v128, h1: v128): v128 {
    return times_unit(f, half, lanes);
  }
}

/**
 * ±8, ±25, ±43, 43 above, are 17 · c + e: c, 0..5, is a code's lower three bits, e its fourth. Of
 * the parts, e is multiplied as it lies, 8 times.
 */
@inline
function six_of(low: v128, high: v128): v128 {
  return i8x16.add(i16x8.shr_u(low, 3), i16x8.mul(high, i16x8.splat(17)));
}

/**
 * ±2, ±6 … ±26, ±31, 45 above, are 4 · code + 15, but for the ends, which are one further out: this
 * makes 14, 15 or 16 of a code.
 */
@inline
function ends_of(code: v128, fourteen: v128): v128 {
  return i8x16.add(i8x16.min_u(code, i8x16.splat(1)), i8x16.max_u(code, fourteen));
}

/** Odd numbers of eight blocks, or of the eight halves of four, as i16. */
@inline
function odd_numbers(f: usize): v128 { return v128.load_ext<u8>(f + SHORT); }
@inline
function half_numbers(f: usize, half: u32): v128 {
  return v128.load_ext<u8>(f + SHORT + 8 * half);
}

/** D of four blocks. */
@inline
function times_unit(f: usize, half: u32, lanes: v128): v128 {
  const odd = f32x4.convert_i32x4_s(half_lanes(lanes, half));
  return f32x4.mul(odd, v128.load32_splat(f + SHORT + 8));
}

/**
 * A superblock of N, a format of codebooks, as one of F; `form`: room for SCRATCH_BYTES. Of weights
 * plus N's offset, bytes, the upper bits tell which level it is. Digits of TQ1_0 become TQ2_0.
 */
export function pack_codes<N, F>(src: usize, to: usize, form: usize): void {
  const n = changetype<N>(0), f = changetype<F>(0);
  take_natural_apart<N, Fours>(src, 1, form, 0);
  if (isDefined(n.isTernary)) {
    pack_pairs(form + FORM_QUANTS, to);
    store<u16>(to + f.quantBytes, <u16>n.bits(src));
    return;
  }
  for (let at: u32 = 0; at < 128; at += 16) {
    const low = codes_of<N>(v128.load(form + at, FORM_QUANTS));
    const high = codes_of<N>(v128.load(form + at, FORM_QUANTS + 128));
    v128.store(to + at, v128.or(low, i16x8.shl(high, 4)));
  }
  to += f.quantBytes;
  if (isDefined(n.l)) {
    for (let j: u32 = 0; j < 16; j++) store<u8>(to + j, load<u8>(form + 2 * j, FORM_L));
    store<f32>(to + 16, load<f32>(form, FORM_D));
    return;
  }
  const bits = n.bits(src), size = i32x4.splat(F16_SIZE), rebias = i32x4.splat(F16_REBIAS);
  const smallest = i32x4.splat(F16_SMALLEST), sign = i32x4.splat(F16_SIGN);
  const unit = n.step * f32x4.extract_lane(whole_of(bits, size, rebias, smallest, sign), 0);
  for (let j: u32 = 0; j < 8; j++) {
    const odd = unit == 0 ? <f32>1 : nearest<f32>(load<f32>(form + 4 * j, FORM_D) / unit);
    store<u8>(to + j, <u8>odd);
  }
  store<f32>(to + 8, unit);
}

/** Two bits of each of 256 bytes, in the places of TQ2_0. */
function pack_pairs(quants: usize, to: usize): void {
  for (let at: u32 = 0; at < 64; at += 16) {
    const from = quants + (at & 16) + (at >> 5 << 7);
    const a = v128.load(from), b = i16x8.shl(v128.load(from, 32), 2);
    const c = i16x8.shl(v128.load(from, 64), 4), d = i16x8.shl(v128.load(from, 96), 6);
    v128.store(to + at, v128.or(v128.or(a, b), v128.or(c, d)));
  }
}

/** Codes of sixteen weights plus N's offset. */
@inline
function codes_of<N>(bytes: v128): v128 {
  const n = changetype<N>(0), four = i8x16.splat(15);
  // IQ1: 0, 2, 8, 10, 16, 18, which are 6 more among OddLevels.
  if (isDefined(n.eighths)) {
    return i8x16.add(v128.and(i16x8.shr_u(bytes, 1), four), i8x16.splat(3));
  }
  // IQ3: 0, 2 … 30, or 1, 6, 10 … 58, 63.
  if (!isDefined(n.isSevenBits)) return v128.and(i16x8.shr_u(bytes, 1), four);
  if (isDefined(n.hasFours)) return v128.and(i16x8.shr_u(bytes, 2), four);
  // IQ2: 5, 23, 40, 56, 73, 91. e is 1 of 23, 40 and 91.
  return i8x16.relaxed_swizzle(
    i8x16(0, 9, 10, 3, 4, 13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    v128.and(i16x8.shr_u(bytes, 4), four),
  );
}
