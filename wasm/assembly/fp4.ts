// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * FP4 numbers (2 bits of exponent, 1 of fraction), which MXFP4 and NVFP4 have in common: a nibble
 * is 0, ½, 1, 1½, 2, 3, 4, 6 and the same below zero. All tables hold q = 12 + twice the number.
 */

/** q by the nibble that a file has. */
@inline
export function fp4_levels(): v128 {
  return i8x16(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0);
}

/** q by a code that ascends with the number, as columns have it. */
@inline
export function fp4_ascending_levels(): v128 {
  return i8x16(0, 4, 6, 8, 9, 10, 11, 12, 12, 13, 14, 15, 16, 18, 20, 24);
}

/** Codes that ascend with the number, of sixteen nibbles of a file. */
@inline
export function fp4_ascending_codes(nibbles: v128): v128 {
  const ascending = i8x16(8, 9, 10, 11, 12, 13, 14, 15, 7, 6, 5, 4, 3, 2, 1, 0);
  return i8x16.relaxed_swizzle(ascending, nibbles);
}
