// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** Element by element: sums, biases and the gated activation. Rows are f32, strides in floats. */
import { check_bytes, check_f32_rows } from "./bounds";
import { exp_f32x4 } from "./exp";

/** x[t, i] += y[t, i]. */
export function add_f32(x: usize, xStride: u32, y: usize, yStride: u32, n: u32, d: u32): void {
  check_f32_rows(x, n, xStride, d);
  check_f32_rows(y, n, yStride, d);
  for (let t: u32 = 0; t < n; t++) add_row(x + ((t * xStride) << 2), y + ((t * yStride) << 2), d);
}

/** x[t, i] += bias[i]. */
export function add_bias_f32(x: usize, xStride: u32, bias: usize, n: u32, d: u32): void {
  check_f32_rows(x, n, xStride, d);
  check_bytes(bias, <u64>d << 2);
  for (let t: u32 = 0; t < n; t++) add_row(x + ((t * xStride) << 2), bias, d);
}

function add_row(x: usize, y: usize, d: u32): void {
  const end = x + (<usize>d << 2);
  const wide = x + ((<usize>d & ~7) << 2);
  for (; x < wide; x += 32, y += 32) {
    const low = f32x4.add(v128.load(x), v128.load(y));
    const high = f32x4.add(v128.load(x, 16), v128.load(y, 16));
    v128.store(x, low);
    v128.store(x, high, 16);
  }
  for (; x < end; x += 4, y += 4) store<f32>(x, load<f32>(x) + load<f32>(y));
}

/** out[t, i] = silu(gate[t, i]) · up[t, i]; zero for i in d..outStride. */
export function silu_mul_f32(
  gate: usize,
  up: usize,
  inStride: u32,
  out: usize,
  outStride: u32,
  n: u32,
  d: u32,
): void {
  check_f32_rows(gate, n, inStride, d);
  check_f32_rows(up, n, inStride, d);
  check_f32_rows(out, n, outStride, max(d, outStride));
  for (let t: u32 = 0; t < n; t++) {
    const row = out + ((t * outStride) << 2);
    const from = (t * inStride) << 2;
    silu_mul_row(gate + from, up + from, row, d);
    if (outStride > d) memory.fill(row + (<usize>d << 2), 0, <usize>(outStride - d) << 2);
  }
}

function silu_mul_row(gate: usize, up: usize, out: usize, d: u32): void {
  const end = out + (<usize>d << 2);
  const wide = out + ((<usize>d & ~7) << 2);
  for (; out < wide; out += 32, gate += 32, up += 32) {
    const low = silu_mul_x4(v128.load(gate), v128.load(up));
    const high = silu_mul_x4(v128.load(gate, 16), v128.load(up, 16));
    v128.store(out, low);
    v128.store(out, high, 16);
  }
  for (; out < end; out += 4, gate += 4, up += 4) {
    const value = silu_mul_x4(v128.load32_zero(gate), v128.load32_zero(up));
    v128.store_lane<u32>(out, value, 0);
  }
}
@inline
function silu_mul_x4(g: v128, u: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.mul(f32x4.div(g, f32x4.add(one, exp_f32x4(f32x4.neg(g)))), u);
}
