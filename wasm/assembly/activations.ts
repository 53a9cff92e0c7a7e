// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * What neurons do with their inputs: silu, gelu, relu, relu², alone or times a second input. Rows
 * are f32, strides in floats; formulas: src/reference/activation_ops.ts.
 */
import { check_f32_rows } from "./bounds";
import { exp_f32x4 } from "./exp";
import { madd } from "./simd";

// Which function. Only ever passed as a constant to inlined code: the choice is made here, once.
const SILU: i32 = 0;
const GELU: i32 = 1;
const RELU: i32 = 2;
const RELU2: i32 = 3;
const SWIGLU7: i32 = 4;
const SOFTPLUS: i32 = 5;
const SIGMOID: i32 = 6;
const QUICK_GELU: i32 = 7;
const GELU_ERF: i32 = 8;

/** What SWIGLU7 clamps to, and how steep its sigmoid and QUICK_GELU's are. */
const SWIGLU_LIMIT: f32 = 7;
const SIGMOID_STEEPNESS: f32 = 1.702;

/** −2·√(2/π), and 0.044715 times it. */
const GELU_LINEAR: f32 = -1.5957691216057308;
const GELU_CUBIC: f32 = -0.07135481627260025;

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
  multiplied(SILU, gate, up, inStride, out, outStride, n, d);
}

/** The same with gelu, in its form with tanh. */
export function gelu_mul_f32(
  gate: usize,
  up: usize,
  inStride: u32,
  out: usize,
  outStride: u32,
  n: u32,
  d: u32,
): void {
  multiplied(GELU, gate, up, inStride, out, outStride, n, d);
}

/** The same with quickGelu, x / (1 + e^(−1.702·x)). */
export function quick_gelu_mul_f32(
  gate: usize,
  up: usize,
  inStride: u32,
  out: usize,
  outStride: u32,
  n: u32,
  d: u32,
): void {
  multiplied(QUICK_GELU, gate, up, inStride, out, outStride, n, d);
}

/** The same with relu. */
export function relu_mul_f32(
  gate: usize,
  up: usize,
  inStride: u32,
  out: usize,
  outStride: u32,
  n: u32,
  d: u32,
): void {
  multiplied(RELU, gate, up, inStride, out, outStride, n, d);
}

/** The same with relu². */
export function relu2_mul_f32(
  gate: usize,
  up: usize,
  inStride: u32,
  out: usize,
  outStride: u32,
  n: u32,
  d: u32,
): void {
  multiplied(RELU2, gate, up, inStride, out, outStride, n, d);
}

/** The same with swiglu7, times up + 1, up clamped. */
export function swiglu7_mul_f32(
  gate: usize,
  up: usize,
  inStride: u32,
  out: usize,
  outStride: u32,
  n: u32,
  d: u32,
): void {
  multiplied(SWIGLU7, gate, up, inStride, out, outStride, n, d);
}

/** The same with 1 / (1 + e⁻ˣ). */
export function sigmoid_mul_f32(
  gate: usize,
  up: usize,
  inStride: u32,
  out: usize,
  outStride: u32,
  n: u32,
  d: u32,
): void {
  multiplied(SIGMOID, gate, up, inStride, out, outStride, n, d);
}

/** out[t, i] = silu(x[t, i]); zero for i in d..outStride. */
export function silu_f32(
  x: usize,
  inStride: u32,
  out: usize,
  outStride: u32,
  n: u32,
  d: u32,
): void {
  alone(SILU, x, inStride, out, outStride, n, d);
}

/** The same with softplus, ln(1 + eˣ). */
export function softplus_f32(
  x: usize,
  inStride: u32,
  out: usize,
  outStride: u32,
  n: u32,
  d: u32,
): void {
  alone(SOFTPLUS, x, inStride, out, outStride, n, d);
}

/** The same with 1 / (1 + e⁻ˣ). */
export function sigmoid_f32(
  x: usize,
  inStride: u32,
  out: usize,
  outStride: u32,
  n: u32,
  d: u32,
): void {
  alone(SIGMOID, x, inStride, out, outStride, n, d);
}

/** The same with gelu. */
export function gelu_f32(
  x: usize,
  inStride: u32,
  out: usize,
  outStride: u32,
  n: u32,
  d: u32,
): void {
  alone(GELU, x, inStride, out, outStride, n, d);
}

/** The same with gelu by the error function. */
export function gelu_erf_f32(
  x: usize,
  inStride: u32,
  out: usize,
  outStride: u32,
  n: u32,
  d: u32,
): void {
  alone(GELU_ERF, x, inStride, out, outStride, n, d);
}

/** The same with quickGelu. */
export function quick_gelu_f32(
  x: usize,
  inStride: u32,
  out: usize,
  outStride: u32,
  n: u32,
  d: u32,
): void {
  alone(QUICK_GELU, x, inStride, out, outStride, n, d);
}

/** The same with relu. */
export function relu_f32(
  x: usize,
  inStride: u32,
  out: usize,
  outStride: u32,
  n: u32,
  d: u32,
): void {
  alone(RELU, x, inStride, out, outStride, n, d);
}

/** The same with relu². */
export function relu2_f32(
  x: usize,
  inStride: u32,
  out: usize,
  outStride: u32,
  n: u32,
  d: u32,
): void {
  alone(RELU2, x, inStride, out, outStride, n, d);
}

/** The same with swiglu7. */
export function swiglu7_f32(
  x: usize,
  inStride: u32,
  out: usize,
  outStride: u32,
  n: u32,
  d: u32,
): void {
  alone(SWIGLU7, x, inStride, out, outStride, n, d);
}

@inline
function multiplied(
  kind: i32,
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
    let g = gate + ((t * inStride) << 2), u = up + ((t * inStride) << 2);
    let to = out + ((t * outStride) << 2);
    const end = to + (<usize>d << 2);
    const wide = to + ((<usize>d & ~7) << 2);
    for (; to < wide; to += 32, g += 32, u += 32) {
      const low = f32x4.mul(activate_x4(kind, v128.load(g)), factor_x4(kind, v128.load(u)));
      const high = f32x4.mul(
        activate_x4(kind, v128.load(g, 16)),
        factor_x4(kind, v128.load(u, 16)),
      );
      v128.store(to, low);
      v128.store(to, high, 16);
    }
    for (; to < end; to += 4, g += 4, u += 4) {
      const factor = factor_x4(kind, v128.load32_zero(u));
      const value = f32x4.mul(activate_x4(kind, v128.load32_zero(g)), factor);
      v128.store_lane<u32>(to, value, 0);
    }
    if (outStride > d) memory.fill(end, 0, <usize>(outStride - d) << 2);
  }
}

@inline
function alone(
  kind: i32,
  x: usize,
  inStride: u32,
  out: usize,
  outStride: u32,
  n: u32,
  d: u32,
): void {
  check_f32_rows(x, n, inStride, d);
  check_f32_rows(out, n, outStride, max(d, outStride));
  for (let t: u32 = 0; t < n; t++) {
    let from = x + ((t * inStride) << 2);
    let to = out + ((t * outStride) << 2);
    const end = to + (<usize>d << 2);
    const wide = to + ((<usize>d & ~7) << 2);
    for (; to < wide; to += 32, from += 32) {
      const low = activate_x4(kind, v128.load(from));
      const high = activate_x4(kind, v128.load(from, 16));
      v128.store(to, low);
      v128.store(to, high, 16);
    }
    for (; to < end; to += 4, from += 4) {
      v128.store_lane<u32>(to, activate_x4(kind, v128.load32_zero(from)), 0);
    }
    if (outStride > d) memory.fill(end, 0, <usize>(outStride - d) << 2);
  }
}

@inline
function activate_x4(kind: i32, x: v128): v128 {
  const one = f32x4.splat(1);
  if (kind == SILU) return silu_x4(x);
  if (kind == SOFTPLUS) return softplus_x4(x);
  if (kind == SIGMOID) return f32x4.div(one, f32x4.add(one, exp_f32x4(f32x4.neg(x))));
  if (kind == GELU) {
    // x/2 · (1 + tanh(u)) = x / (1 + exp(−2u)), u = √(2/π) · (x + 0.044715·x³).
    const squares = f32x4.mul(x, x);
    const minus2u = f32x4.mul(
      x,
      madd(squares, f32x4.splat(GELU_CUBIC), f32x4.splat(GELU_LINEAR)),
    );
    return f32x4.div(x, f32x4.add(one, exp_f32x4(minus2u)));
  }
  if (kind == GELU_ERF) return gelu_erf_x4(x);
  if (kind == QUICK_GELU) {
    const e = exp_f32x4(f32x4.mul(x, f32x4.splat(-SIGMOID_STEEPNESS)));
    return f32x4.div(x, f32x4.add(one, e));
  }
  if (kind == SWIGLU7) {
    const gate = f32x4.min(x, f32x4.splat(SWIGLU_LIMIT));
    const e = exp_f32x4(f32x4.mul(gate, f32x4.splat(-SIGMOID_STEEPNESS)));
    return f32x4.div(gate, f32x4.add(one, e));
  }
  // pmax(0, x) keeps x where it is not above 0 only if it is NaN: pmax(a, b) = a < b ? b : a.
  const positive = f32x4.pmax(f32x4.splat(0), x);
  return kind == RELU ? positive : f32x4.mul(positive, positive);
}

/** What an activated gate is multiplied by. */
@inline
function factor_x4(kind: i32, up: v128): v128 {
  if (kind != SWIGLU7) return up;
  const low = f32x4.max(up, f32x4.splat(-SWIGLU_LIMIT));
  return f32x4.add(f32x4.min(low, f32x4.splat(SWIGLU_LIMIT)), f32x4.splat(1));
}

/**
 * x/2 · (1 + erf(x/√2)): erfc(z) = e^(−z²) · t · a polynomial in t = 1 / (1 + p·z), z ≥ 0, by
 * Abramowitz and Stegun, 7.1.26: 1.5e-7 at most.
 */
@inline
function gelu_erf_x4(x: v128): v128 {
  const z = f32x4.mul(f32x4.abs(x), f32x4.splat(0.7071067811865476));
  const t = f32x4.div(f32x4.splat(1), madd(z, f32x4.splat(0.3275911), f32x4.splat(1)));
  let p = madd(t, f32x4.splat(1.061405429), f32x4.splat(-1.453152027));
  p = madd(p, t, f32x4.splat(1.421413741));
  p = madd(p, t, f32x4.splat(-0.284496736));
  p = madd(p, t, f32x4.splat(0.254829592));
  const complement = f32x4.mul(f32x4.mul(p, t), exp_f32x4(f32x4.neg(f32x4.mul(z, z))));
  const isNegative = f32x4.lt(x, f32x4.splat(0));
  const twice = v128.bitselect(complement, f32x4.sub(f32x4.splat(2), complement), isNegative);
  return f32x4.mul(f32x4.mul(x, f32x4.splat(0.5)), twice);
}

@inline
export function silu_x4(x: v128): v128 {
  return f32x4.div(x, f32x4.add(f32x4.splat(1), exp_f32x4(f32x4.neg(x))));
}

/**
 * max(x, 0) + ln(1 + u) with u = exp(-|x|). ln(1 + u) = 2·atanh(z), z = u / (2 + u) ≤ 1/3, by z
 * times a polynomial of degree 4 in z², fitted to the smallest largest relative error (4e-9 before
 * rounding): small results are as exact as large ones.
 */
@inline
export function softplus_x4(x: v128): v128 {
  const u = exp_f32x4(f32x4.neg(f32x4.abs(x)));
  const z = f32x4.div(u, f32x4.add(f32x4.splat(2), u));
  const w = f32x4.mul(z, z);
  let p = madd(f32x4.splat(0.14089167), w, f32x4.splat(0.13980302));
  p = madd(p, w, f32x4.splat(0.20012455));
  p = madd(p, w, f32x4.splat(0.33333158));
  p = madd(p, w, f32x4.splat(1));
  const log = f32x4.mul(f32x4.add(z, z), p);
  return f32x4.add(f32x4.max(x, f32x4.splat(0)), log);
}
