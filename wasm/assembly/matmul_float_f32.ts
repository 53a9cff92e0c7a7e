/**
 * out[t, r] = Σ_i w[r, i] · x[t, i] for float rows: f32, f16 (T = u16) and bf16 (T = i16).
 * Rows and activations are read up to alignUp(k, 16); rows are padded with zeros.
 */
import { check_f32_rows, check_rows } from "./bounds";
import { f16_bits_to_f32x4, F16_MASK, madd, sum_lanes_4, TWO_POW_112 } from "./simd";

export function matmul_f32_f32(
  w: usize,
  rowStride: u32,
  rows: u32,
  k: u32,
  x: usize,
  xStride: u32,
  n: u32,
  out: usize,
  outStride: u32,
): void {
  matmul<f32>(w, rowStride, rows, k, x, xStride, n, out, outStride);
}

export function matmul_f16_f32(
  w: usize,
  rowStride: u32,
  rows: u32,
  k: u32,
  x: usize,
  xStride: u32,
  n: u32,
  out: usize,
  outStride: u32,
): void {
  matmul<u16>(w, rowStride, rows, k, x, xStride, n, out, outStride);
}

export function matmul_bf16_f32(
  w: usize,
  rowStride: u32,
  rows: u32,
  k: u32,
  x: usize,
  xStride: u32,
  n: u32,
  out: usize,
  outStride: u32,
): void {
  matmul<i16>(w, rowStride, rows, k, x, xStride, n, out, outStride);
}

function matmul<T>(
  w: usize,
  rowStride: u32,
  rows: u32,
  k: u32,
  x: usize,
  xStride: u32,
  n: u32,
  out: usize,
  outStride: u32,
): void {
  const columns = (<u64> k + 15) & ~15;
  check_rows(w, rows, rowStride, columns * sizeof<T>());
  check_f32_rows(x, n, xStride, columns);
  check_f32_rows(out, n, outStride, rows);
  for (let r: u32 = 0; r < rows; r++) {
    for (let t: u32 = 0; t < n; t++) {
      const sum = dot_row<T>(w + r * rowStride, x + ((t * xStride) << 2), <u32> columns);
      store<f32>(out + ((t * outStride + r) << 2), sum);
    }
  }
}

/** One row by one token. */
function dot_row<T>(w: usize, x: usize, columns: u32): f32 {
  let f0 = f32x4.splat(0), f1 = f0;
  for (let i: u32 = 0; i < columns; i += 8) {
    f0 = madd(load_low<T>(w), v128.load(x), f0);
    f1 = madd(load_high<T>(w), v128.load(x, 16), f1);
    w += 8 * sizeof<T>();
    x += 32;
  }
  const total = f32x4.add(f0, f1);
  return f32x4.extract_lane(sum_lanes_4(total, total, total, total), 0);
}

/** Weights 0..3 at w. */

function load_low<T>(w: usize): v128 {
  if (isFloat<T>()) return v128.load(w);
  if (isSigned<T>()) return i32x4.shl(v128.load_ext<u16>(w), 16);
  return f32x4.mul(
    f16_bits_to_f32x4(v128.load_ext<i16>(w), i32x4.splat(F16_MASK)),
    f32x4.splat(TWO_POW_112),
  );
}

/** Weights 4..7 at w. */

function load_high<T>(w: usize): v128 {
  if (isFloat<T>()) return v128.load(w, 16);
  if (isSigned<T>()) return i32x4.shl(v128.load_ext<u16>(w, 8), 16);
  return f32x4.mul(
    f16_bits_to_f32x4(v128.load_ext<i16>(w, 8), i32x4.splat(F16_MASK)),
    f32x4.splat(TWO_POW_112),
  );
}
