// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Formats that stay in memory as they are in the file: their weights come 4, 8 or 16 at a time and
 * in natural order, so that putting them in another order at load would not make unpacking cheaper.
 * A superblock is the file's, w its address; there are no factor records. Four blocks, `half` 0 or
 * 1 of a superblock, are looked up together. Beside what format.ts asks of the file, of offset and
 * of isWide, such a format says
 *
 *   isNatural             that it is one
 *   isTernary             that it is TQ1_0, whose digits are read as they come; or
 *   addresses(w, half, to, k0, k1)  writes where its entries are: u16, from the codebook's begin
 *                         on, eight of them at to, to + 32 …: between are those of the other half
 *   hasFours              if: entries are four weights, 32 of them; else eight weights, 16
 *   entries(at, i, j)     two times eight weights, or their sizes: their addresses are at at + i
 *                         and at + j
 *   signs(w, half, to, k2)  of sizes: writes where their signs are: 16 u16, as addresses() does
 *   minus(at, i, j)       of sizes: −1 where they are negative, as entries() does
 *   k0, k1, k2(zero)      if: constants for these, as format.ts has them
 *   eighths(w, b, h)      of weights: what makes them 0 and more, weight + offset, in block b's
 *                         half h, added to the entries
 *   least(w, half, sums, quarters, others)  of weights: what makes sums of products with entries
 *                         those with weights, by block; `sums` and so on: RECORD_SUMS (q8_tile.ts)
 *   l(w, half)            if: L of the halves of four blocks, i16
 *   bits(w)               its f16
 *   d4(w, half, d)        D of four blocks, d in all lanes being the f16
 *   step                  if: of which D are odd multiples, times the f16
 *
 * with D and L as in superblock_form.ts. b and h are constants where these are called.
 */
import {
  BELOW_FIRST,
  BELOW_SECOND,
  bytes_of_digits,
  digit,
  last_digits,
  next_digit,
} from "./formats_ternary";
import { store_places } from "./file_blocks";
import { k1_of } from "./format";
import { has_nibbles } from "./product_sums";
import { opaque } from "./simd";
import { FORM_C, FORM_D, FORM_L, FORM_QUANTS } from "./superblock_form";
import { F16_REBIAS, F16_SIGN, F16_SIZE, F16_SMALLEST, four_f16 } from "./weight_bits";

/** Is F such a format? A constant. */
@inline
export function is_natural<F>(): bool {
  return isDefined(changetype<F>(0).isNatural);
}

/** Entries of eight weights. A constant. */
@inline
export function entries_of_8<F>(): u32 {
  return isDefined(changetype<F>(0).hasFours) ? 2 : 1;
}

/** k0 and k2 (format.ts has k1), or nothing. */
@inline
export function k0_of<F>(zero: v128): v128 {
  if (isDefined(changetype<F>(0).k0)) return changetype<F>(0).k0(zero);
  return zero;
}
@inline
export function k2_of<F>(zero: v128): v128 {
  if (isDefined(changetype<F>(0).k2)) return changetype<F>(0).k2(zero);
  return zero;
}

/** Where the address of entry i of four blocks is, of those that are written from `half` on. */
@inline
export function address_at(half: u32, i: u32): u32 {
  return 16 * half + 32 * (i >> 3) + 2 * (i & 7);
}

/** A superblock's f16 in all lanes, by operations that meet no subnormal number. */
@inline
export function whole_of(
  bits: u32,
  size: v128,
  rebias: v128,
  smallest: v128,
  sign: v128,
): v128 {
  return four_f16(i16x8.splat(<i16>bits), size, rebias, smallest, sign);
}

/** `count` superblocks from w on into forms. */
export function take_natural_apart<F, S>(w: usize, count: u32, form: usize, formBytes: u32): void {
  const f = changetype<F>(0), zero = i32x4.splat(opaque(0, count));
  const k0 = k0_of<F>(zero), k1 = k1_of<F>(zero), k2 = k2_of<F>(zero);
  const size = i32x4.splat(F16_SIZE), rebias = i32x4.splat(F16_REBIAS);
  const smallest = i32x4.splat(F16_SMALLEST), sign = i32x4.splat(F16_SIGN);
  for (; count != 0; count--) {
    if (isDefined(f.isTernary)) {
      take_digits_apart(w, form + FORM_QUANTS);
    } else {
      take_entries_apart<F, S>(w, 0, form, k0, k1, k2);
      take_entries_apart<F, S>(w, 1, form, k0, k1, k2);
    }
    const d = whole_of(f.bits(w), size, rebias, smallest, sign);
    v128.store(form, f.d4(w, 0, d), FORM_D);
    v128.store(form, f.d4(w, 1, d), FORM_D + 16);
    if (isDefined(f.l)) {
      v128.store(form, f.l(w, 0), FORM_L);
      v128.store(form, f.l(w, 1), FORM_L + 16);
    }
    w += f.quantBytes;
    form += formBytes;
  }
}

/**
 * The quants of four blocks. Addresses take the place of C, L and M meanwhile, and of the quants
 * that come last.
 */
@inline
function take_entries_apart<F, S>(
  w: usize,
  half: u32,
  form: usize,
  k0: v128,
  k1: v128,
  k2: v128,
): void {
  const f = changetype<F>(0);
  const at = form + FORM_C, to = form + FORM_QUANTS + 16 * half, b0 = 4 * half;
  f.addresses(w, half, at + 16 * half, k0, k1);
  if (isDefined(f.signs)) f.signs(w, half, at + 16 * (1 - half), k2);
  const a = quants_of<F>(w, b0, 0, at), A = quants_of<F>(w, b0, 1, at);
  const b = quants_of<F>(w, b0 + 1, 0, at), B = quants_of<F>(w, b0 + 1, 1, at);
  const c = quants_of<F>(w, b0 + 2, 0, at), C = quants_of<F>(w, b0 + 2, 1, at);
  const d = quants_of<F>(w, b0 + 3, 0, at), D = quants_of<F>(w, b0 + 3, 1, at);
  if (has_nibbles<F, S>()) {
    store_halves(to, low(a), low(A), low(b), low(B), low(c), low(C), low(d), low(D));
    store_halves(
      to + 256, high(a), high(A), high(b), high(B), high(c), high(C), high(d), high(D),
    );
  } else {
    store_halves(to, a, A, b, B, c, C, d, D);
  }
}

/** Nibbles of bytes. */
@inline
function low(x: v128): v128 {
  return v128.and(x, i8x16.splat(15));
}
@inline
function high(x: v128): v128 {
  return low(i16x8.shr_u(x, 4));
}

/** Sixteen weights plus their offset. */
@inline
function quants_of<F>(w: usize, b: u32, h: u32, at: usize): v128 {
  const f = changetype<F>(0);
  const i = 4 * (b & 3) + 2 * h, half = b >> 2, each = entries_of_8<F>();
  const entries = f.entries(at, address_at(half, i * each), address_at(half, (i + 1) * each));
  if (!isDefined(f.signs)) return i8x16.add(entries, f.eighths(w, b, h));
  const minus = f.minus(at, address_at(1 - half, i), address_at(1 - half, i + 1));
  const offset: i8 = isDefined(f.isWide) ? <i8>(16 * f.offset) : <i8>f.offset;
  return i8x16.add(i8x16.sub(v128.xor(entries, minus), minus), i8x16.splat(offset));
}

/** The quants of a superblock of TQ1_0. */
function take_digits_apart(w: usize, to: usize): void {
  const first = i8x16.splat(BELOW_FIRST), second = i8x16.splat(BELOW_SECOND);
  let x = bytes_of_digits(w), y = bytes_of_digits(w + 16);
  const a = digit(x, first, second), A = digit(y, first, second);
  x = next_digit(x), y = next_digit(y);
  const b = digit(x, first, second), B = digit(y, first, second);
  x = next_digit(x), y = next_digit(y);
  const c = digit(x, first, second), C = digit(y, first, second);
  x = next_digit(x), y = next_digit(y);
  store_halves(to, a, A, b, B, c, C, digit(x, first, second), digit(y, first, second));
  const e = digit(next_digit(x), first, second), E = digit(next_digit(y), first, second);
  x = bytes_of_digits(w + 32);
  const g = digit(x, first, second);
  x = next_digit(x);
  const G = digit(x, first, second);
  x = next_digit(x);
  const i = digit(x, first, second);
  x = next_digit(x);
  const I = digit(x, first, second), k = digit(next_digit(x), first, second);
  store_halves(to + 16, e, E, g, G, i, I, k, digit(last_digits(w + 48), first, second));
}

/** Halves of four blocks to their dwords of the eight places. */
@inline
function store_halves(
  to: usize,
  a: v128,
  A: v128,
  b: v128,
  B: v128,
  c: v128,
  C: v128,
  d: v128,
  D: v128,
): void {
  store_places(
    to,
    i16x8.shuffle(a, A, 0, 8, 1, 9, 2, 10, 3, 11),
    i16x8.shuffle(b, B, 0, 8, 1, 9, 2, 10, 3, 11),
    i16x8.shuffle(c, C, 0, 8, 1, 9, 2, 10, 3, 11),
    i16x8.shuffle(d, D, 0, 8, 1, 9, 2, 10, 3, 11),
  );
  store_places(
    to + 128,
    i16x8.shuffle(a, A, 4, 12, 5, 13, 6, 14, 7, 15),
    i16x8.shuffle(b, B, 4, 12, 5, 13, 6, 14, 7, 15),
    i16x8.shuffle(c, C, 4, 12, 5, 13, 6, 14, 7, 15),
    i16x8.shuffle(d, D, 4, 12, 5, 13, 6, 14, 7, 15),
  );
}
