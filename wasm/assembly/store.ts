// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** New keys and values into the cache: n rows of d floats; srcStride in floats, dstStride bytes. */
import { check_f32_rows, check_rows } from "./bounds";

/** Copies the rows. */
export function store_f32(
  src: usize,
  srcStride: u32,
  dst: usize,
  dstStride: u32,
  n: u32,
  d: u32,
): void {
  check_f32_rows(src, n, srcStride, d);
  check_rows(dst, n, dstStride, <u64>d << 2);
  for (let t: u32 = 0; t < n; t++) {
    memory.copy(dst + t * dstStride, src + ((t * srcStride) << 2), <usize>d << 2);
  }
}

/**
 * Converts the rows to f16, to the nearest, ties to even. What is too large for f16 becomes the
 * largest finite f16, 65504, and so does infinity: the readers' bit trick knows no infinities.
 * NaN becomes ±65504 too.
 */
export function store_f16(
  src: usize,
  srcStride: u32,
  dst: usize,
  dstStride: u32,
  n: u32,
  d: u32,
): void {
  check_f32_rows(src, n, srcStride, d);
  check_rows(dst, n, dstStride, <u64>d << 1);
  for (let t: u32 = 0; t < n; t++) {
    const from = src + ((t * srcStride) << 2);
    const to = dst + t * dstStride;
    const whole = d & ~3;
    for (let i: u32 = 0; i < whole; i += 4) {
      const half = f16_bits_x4(v128.load(from + (i << 2)));
      v128.store_lane<u64>(to + (i << 1), i16x8.narrow_i32x4_u(half, half), 0);
    }
    for (let i = whole; i < d; i++) {
      const half = f16_bits_x4(v128.load32_zero(from + (i << 2)));
      store<u16>(to + (i << 1), <u16>i32x4.extract_lane(half, 0));
    }
  }
}

/**
 * Bits of the nearest f16 in each 32-bit lane. Adding 2^(e+13) of the value's own exponent e (at
 * least that of the smallest normal f16) aligns the f16's last place with the sum's, so that the
 * addition itself rounds to nearest even.
 */
@inline
function f16_bits_x4(x: v128): v128 {
  const sign = v128.and(x, i32x4.splat(0x80000000));
  const size = f32x4.pmin(f32x4.splat(65504), v128.xor(x, sign));
  const exponent = i32x4.max_u(
    v128.and(size, i32x4.splat(0x7f800000)),
    i32x4.splat(0x38800000), // 2^-14
  );
  const anchor = i32x4.add(exponent, i32x4.splat(0x06800000)); // · 2^13
  const steps = i32x4.sub(f32x4.add(size, anchor), anchor); // in units of the f16's last place
  const field = i32x4.sub(i32x4.shr_u(exponent, 13), i32x4.splat(0x1c400)); // (e - 1) << 10
  return v128.or(i32x4.add(steps, field), i32x4.shr_u(sign, 16));
}
