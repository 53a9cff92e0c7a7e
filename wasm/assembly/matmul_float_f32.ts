// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * out[t, r] = Σ_i w[r, i] · x[t, i] for float rows: f32, f16 (T = u16) and bf16 (T = i16).
 * Rows and activations are read up to alignUp(k, 16); rows are padded with zeros. f16 rows go
 * through the bit trick of simd.ts, their 2^112 is multiplied in before the activations.
 * Every output is summed in the same order whatever n is.
 */
import { check_bytes, check_f32_rows, check_rows } from "./bounds";
import {
  f16_bits_to_f32x4,
  F16_MASK,
  join_pair,
  madd,
  opaque,
  store_lanes,
  sum_lanes_4,
  TWO_POW_112_BITS,
} from "./simd";

/** Tokens of a tile. */
const TILE_TOKENS: u32 = 4;
/** Bytes of weights that stay in the L2 cache while all tokens pass over them. */
const PANEL_BYTES: u32 = 256 << 10;

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

/** out[j] = Σ_i w[list[j], i] · x[i], j in 0..count; float rows of ggml type 0, 1 or 30. */
export function matmul_float_rows(
  type: u32,
  w: usize,
  rowStride: u32,
  rows: u32,
  k: u32,
  x: usize,
  list: usize,
  count: u32,
  out: usize,
): void {
  switch (type) {
    case 0: return listed<f32>(w, rowStride, rows, k, x, list, count, out);
    case 1: return listed<u16>(w, rowStride, rows, k, x, list, count, out);
    case 30: return listed<i16>(w, rowStride, rows, k, x, list, count, out);
    default: unreachable();
  }
}

function listed<T>(
  w: usize,
  rowStride: u32,
  rows: u32,
  k: u32,
  x: usize,
  list: usize,
  count: u32,
  out: usize,
): void {
  const columns = (<u64>k + 15) & ~15;
  check_rows(w, rows, rowStride, columns * sizeof<T>());
  check_bytes(x, columns << 2);
  check_bytes(list, <u64>count << 2);
  check_bytes(out, <u64>count << 2);
  if (rows == 0) unreachable();
  const steps = <u32>columns >> 4;
  const last = rows - 1;
  for (let j: u32 = 0; j < count; j += 4) {
    // Places behind the end are the first one of the four again.
    const valid = min(count - j, 4);
    const a = min(load<u32>(list + 4 * j), last);
    const b = valid > 1 ? min(load<u32>(list + 4 * j, 4), last) : a;
    const c = valid > 2 ? min(load<u32>(list + 4 * j, 8), last) : a;
    const d = valid > 3 ? min(load<u32>(list + 4 * j, 12), last) : a;
    gemv_4_rows<T>(
      w + a * rowStride, w + b * rowStride, w + c * rowStride, w + d * rowStride, steps, x,
      out + 4 * j, 4, valid,
    );
  }
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
  const columns = (<u64>k + 15) & ~15;
  check_rows(w, rows, rowStride, columns * sizeof<T>());
  check_f32_rows(x, n, xStride, columns);
  check_f32_rows(out, n, outStride, rows);
  const steps = <u32>columns >> 4;
  if (n == 1) {
    const quarter = rows >> 2;
    const far = quarter * rowStride;
    for (let r: u32 = 0; r < quarter; r++) {
      const a = w + r * rowStride, b = a + far, c = b + far, d = c + far;
      gemv_4_rows<T>(a, b, c, d, steps, x, out + 4 * r, 4 * quarter, 4);
    }
    for (let r = quarter << 2; r < rows; r++) {
      const a = w + r * rowStride;
      gemv_4_rows<T>(a, a, a, a, steps, x, out + 4 * r, 0, 1);
    }
    return;
  }
  const panelRows = max<u32>(2, (PANEL_BYTES / max<u32>(rowStride, 1)) & ~1);
  for (let panel: u32 = 0; panel < rows; panel += panelRows) {
    const end = min(panel + panelRows, rows);
    for (let t: u32 = 0; t < n; t += TILE_TOKENS) {
      const first = x + ((t * xStride) << 2);
      const valid = min(n - t, TILE_TOKENS);
      for (let r = panel; r < end; r += 2) {
        const second = r + 1 < end ? rowStride : 0; // an odd last row is computed twice
        const to = out + ((t * outStride + r) << 2);
        tile_2_rows<T>(
          w + r * rowStride,
          second,
          steps,
          first,
          xStride << 2,
          to,
          outStride << 2,
          valid,
        );
      }
    }
  }
}

/** Four rows by one token; the first `valid` results, outStep bytes apart. */
function gemv_4_rows<T>(
  w: usize,
  v1: usize,
  v2: usize,
  v3: usize,
  steps: u32,
  x: usize,
  out: usize,
  outStep: u32,
  valid: u32,
): void {
  const f16Mask = i32x4.splat(opaque(F16_MASK, steps));
  const f16Scale = f32x4.splat(reinterpret<f32>(opaque(TWO_POW_112_BITS, steps)));
  const zero = i32x4.splat(opaque(0, steps));
  w -= 16, v1 -= 16, v2 -= 16, v3 -= 16;
  let a0 = f32x4.splat(0), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0;
  for (let s = steps; s != 0; s--) {
    let x0 = v128.load(x);
    let x1 = v128.load(x, 16);
    a0 = madd(load_0<T>(w, f16Mask, f16Scale), x0, a0);
    a1 = madd(load_1<T>(w, f16Mask, f16Scale), x1, a1);
    b0 = madd(load_0<T>(v1, f16Mask, f16Scale), x0, b0);
    b1 = madd(load_1<T>(v1, f16Mask, f16Scale), x1, b1);
    c0 = madd(load_0<T>(v2, f16Mask, f16Scale), x0, c0);
    c1 = madd(load_1<T>(v2, f16Mask, f16Scale), x1, c1);
    d0 = madd(load_0<T>(v3, f16Mask, f16Scale), x0, d0);
    d1 = madd(load_1<T>(v3, f16Mask, f16Scale), x1, d1);
    x0 = v128.load(x, 32);
    x1 = v128.load(x, 48);
    a0 = madd(load_2<T>(w, f16Mask, f16Scale), x0, a0);
    a1 = madd(load_3<T>(w, f16Mask, f16Scale), x1, a1);
    b0 = madd(load_2<T>(v1, f16Mask, f16Scale), x0, b0);
    b1 = madd(load_3<T>(v1, f16Mask, f16Scale), x1, b1);
    c0 = madd(load_2<T>(v2, f16Mask, f16Scale), x0, c0);
    c1 = madd(load_3<T>(v2, f16Mask, f16Scale), x1, c1);
    d0 = madd(load_2<T>(v3, f16Mask, f16Scale), x0, d0);
    d1 = madd(load_3<T>(v3, f16Mask, f16Scale), x1, d1);
    w += 16 * sizeof<T>(), v1 += 16 * sizeof<T>();
    v2 += 16 * sizeof<T>(), v3 += 16 * sizeof<T>();
    x += 64;
  }
  const sums = sum_lanes_4(
    join_pair(a0, a1, 1, zero),
    join_pair(b0, b1, 1, zero),
    join_pair(c0, c1, 1, zero),
    join_pair(d0, d1, 1, zero),
  );
  store_lanes(out, outStep, valid, sums);
}

/** Two rows, rowStep bytes apart (0: one row), by `valid` tokens, at most four. */
function tile_2_rows<T>(
  w: usize,
  rowStep: u32,
  steps: u32,
  x: usize,
  xStep: u32,
  out: usize,
  outStep: u32,
  valid: u32,
): void {
  const f16Mask = i32x4.splat(opaque(F16_MASK, steps));
  const f16Scale = f32x4.splat(reinterpret<f32>(opaque(TWO_POW_112_BITS, steps)));
  const zero = i32x4.splat(opaque(0, steps));
  // Tokens beyond `valid` are the first one again.
  let x1 = valid > 1 ? x + xStep : x;
  let x2 = valid > 2 ? x + 2 * xStep : x;
  let x3 = valid > 3 ? x + 3 * xStep : x;
  w -= 16;
  let a00 = f32x4.splat(0), a01 = a00, a10 = a00, a11 = a00, a20 = a00, a21 = a00, a30 = a00;
  let a31 = a00, b00 = a00, b01 = a00, b10 = a00, b11 = a00, b20 = a00, b21 = a00, b30 = a00;
  let b31 = a00;
  // Eight columns at a time: what sixteen need does not fit the registers.
  for (let s = 2 * steps; s != 0; s--) {
    const v = w + rowStep;
    const w0 = load_0<T>(w, f16Mask, f16Scale);
    const w1 = load_1<T>(w, f16Mask, f16Scale);
    const v0 = load_0<T>(v, f16Mask, f16Scale);
    const v1 = load_1<T>(v, f16Mask, f16Scale);
    let y0 = v128.load(x);
    let y1 = v128.load(x, 16);
    a00 = madd(w0, y0, a00);
    a01 = madd(w1, y1, a01);
    b00 = madd(v0, y0, b00);
    b01 = madd(v1, y1, b01);
    y0 = v128.load(x1);
    y1 = v128.load(x1, 16);
    a10 = madd(w0, y0, a10);
    a11 = madd(w1, y1, a11);
    b10 = madd(v0, y0, b10);
    b11 = madd(v1, y1, b11);
    y0 = v128.load(x2);
    y1 = v128.load(x2, 16);
    a20 = madd(w0, y0, a20);
    a21 = madd(w1, y1, a21);
    b20 = madd(v0, y0, b20);
    b21 = madd(v1, y1, b21);
    y0 = v128.load(x3);
    y1 = v128.load(x3, 16);
    a30 = madd(w0, y0, a30);
    a31 = madd(w1, y1, a31);
    b30 = madd(v0, y0, b30);
    b31 = madd(v1, y1, b31);
    w += 8 * sizeof<T>();
    x += 32;
    x1 += 32;
    x2 += 32;
    x3 += 32;
  }
  const a0 = join_pair(a00, a01, 1, zero), a1 = join_pair(a10, a11, 1, zero);
  const a2 = join_pair(a20, a21, 1, zero), a3 = join_pair(a30, a31, 1, zero);
  const b0 = join_pair(b00, b01, 1, zero), b1 = join_pair(b10, b11, 1, zero);
  const b2 = join_pair(b20, b21, 1, zero), b3 = join_pair(b30, b31, 1, zero);
  if (rowStep != 0) store_lanes(out + 4, outStep, valid, sum_lanes_4(b0, b1, b2, b3));
  store_lanes(out, outStep, valid, sum_lanes_4(a0, a1, a2, a3));
}

// Weights 0..3, 4..7, 8..11 and 12..15 at w + 16: V8 pairs extending loads only when neither offset
// is 0, so all row pointers are 16 short. Offsets must be literals, hence four functions.
@inline
function load_0<T>(w: usize, f16Mask: v128, f16Scale: v128): v128 {
  if (isFloat<T>()) return v128.load(w, 16);
  if (isSigned<T>()) return i32x4.shl(v128.load_ext<u16>(w, 16), 16);
  return f32x4.mul(f16_bits_to_f32x4(v128.load_ext<i16>(w, 16), f16Mask), f16Scale);
}
@inline
function load_1<T>(w: usize, f16Mask: v128, f16Scale: v128): v128 {
  if (isFloat<T>()) return v128.load(w, 32);
  if (isSigned<T>()) return i32x4.shl(v128.load_ext<u16>(w, 24), 16);
  return f32x4.mul(f16_bits_to_f32x4(v128.load_ext<i16>(w, 24), f16Mask), f16Scale);
}
@inline
function load_2<T>(w: usize, f16Mask: v128, f16Scale: v128): v128 {
  if (isFloat<T>()) return v128.load(w, 48);
  if (isSigned<T>()) return i32x4.shl(v128.load_ext<u16>(w, 32), 16);
  return f32x4.mul(f16_bits_to_f32x4(v128.load_ext<i16>(w, 32), f16Mask), f16Scale);
}
@inline
function load_3<T>(w: usize, f16Mask: v128, f16Scale: v128): v128 {
  if (isFloat<T>()) return v128.load(w, 64);
  if (isSigned<T>()) return i32x4.shl(v128.load_ext<u16>(w, 40), 16);
  return f32x4.mul(f16_bits_to_f32x4(v128.load_ext<i16>(w, 40), f16Mask), f16Scale);
}
