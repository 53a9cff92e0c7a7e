// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Formats that stay in memory as they are in the file: their weights are looked up, 4 or 8 at a
 * time and in natural order, so that putting them in another order at load would not make unpacking
 * cheaper. A superblock is the file's, w its address; there are no factor records. Beside what
 * format.ts asks of the file, of offset and of isWide, such a format says
 *
 *   isNatural             that it is one
 *   size, minus(w, b, h)  the sixteen weights of half h of block b: their sizes, 0..62, and bytes
 *                         −1 where they are negative; or
 *   value(w, b, h)        the weights themselves, int8
 *   d4(w, half)           D of four blocks
 *   l(w, b, h)            if: L of half h of block b
 *
 * with D and L as in superblock_form.ts. b and h are constants where these are called.
 */
import { FORM_D, FORM_L, FORM_QUANTS } from "./superblock_form";
import { has_nibbles, takes_bytes } from "./product_sums";
import { F16_REBIAS, F16_SIGN, F16_SIZE, F16_SMALLEST, two_f16 } from "./weight_bits";

/** Is F such a format? A constant. */
@inline
export function is_natural<F>(): bool {
  return isDefined(changetype<F>(0).isNatural);
}

/** The f16 at ptr, by operations that meet no subnormal number. */
@inline
export function half_at(ptr: usize): f32 {
  return half_of(load<u16>(ptr));
}
@inline
export function half_of(bits: u32): f32 {
  const both = two_f16(
    i32x4.splat(bits),
    i32x4.splat(F16_SIZE),
    i32x4.splat(F16_REBIAS),
    i32x4.splat(F16_SMALLEST),
    i32x4.splat(F16_SIGN),
  );
  return f32x4.extract_lane(both, 0);
}

/** `count` superblocks from w on into forms. */
export function take_natural_apart<F, S>(w: usize, count: u32, form: usize, formBytes: u32): void {
  const f = changetype<F>(0);
  for (; count != 0; count--) {
    v128.store(form, f.d4(w, 0), FORM_D);
    v128.store(form, f.d4(w, 1), FORM_D + 16);
    for (let b: u32 = 0; b < 8; b++) {
      const to = form + FORM_QUANTS + 4 * b;
      const first = natural_of<F>(w, b, 0), second = natural_of<F>(w, b, 1);
      if (isDefined(f.l)) {
        store<i16>(form + 4 * b, <i16>f.l(w, b, 0), FORM_L);
        store<i16>(form + 4 * b, <i16>f.l(w, b, 1), FORM_L + 2);
      }
      if (isDefined(f.isWide)) {
        const offset = i8x16.splat(<i8>(16 * f.offset));
        const x = i8x16.add(first, offset), y = i8x16.add(second, offset);
        if (takes_bytes<F, S>()) {
          store_places(to, x, y);
        } else {
          const low = i8x16.splat(15);
          store_places(to, v128.and(x, low), v128.and(y, low));
          store_places(
            to + 256,
            v128.and(i16x8.shr_u(x, 4), low),
            v128.and(i16x8.shr_u(y, 4), low),
          );
        }
      } else {
        const offset = i8x16.splat(<i8>f.offset);
        store_places(to, i8x16.add(first, offset), i8x16.add(second, offset));
      }
    }
    w += f.quantBytes;
    form += formBytes;
  }
}

/** Sixteen weights. */
@inline
function natural_of<F>(w: usize, b: u32, h: u32): v128 {
  const f = changetype<F>(0);
  if (isDefined(f.value)) return f.value(w, b, h);
  const minus = f.minus(w, b, h);
  return i8x16.sub(v128.xor(f.size(w, b, h), minus), minus);
}

/** The bytes of a block's halves to its dwords of the eight places. */
@inline
function store_places(to: usize, x: v128, y: v128): void {
  const lower = i16x8.shuffle(x, y, 0, 8, 1, 9, 2, 10, 3, 11);
  const upper = i16x8.shuffle(x, y, 4, 12, 5, 13, 6, 14, 7, 15);
  v128.store_lane<u32>(to, lower, 0);
  v128.store_lane<u32>(to, lower, 1, 32);
  v128.store_lane<u32>(to, lower, 2, 64);
  v128.store_lane<u32>(to, lower, 3, 96);
  v128.store_lane<u32>(to, upper, 0, 128);
  v128.store_lane<u32>(to, upper, 1, 160);
  v128.store_lane<u32>(to, upper, 2, 192);
  v128.store_lane<u32>(to, upper, 3, 224);
}
