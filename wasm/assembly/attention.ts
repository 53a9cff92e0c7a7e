// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** Causal attention over a key/value cache of f16 (T = u16) or f32. Contract: wasm/kernels.ts. */
import { check_bytes, check_f32_rows, check_rows } from "./bounds";
import { exp_f32x4 } from "./exp";
import { f16_bits_to_f32x4, F16_MASK, madd, sum_lanes, TWO_POW_112 } from "./simd";

/** Bytes of scratch, exact as f64. */
export function attention_scratch_bytes(
  n: u32,
  positions: u32,
  heads: u32,
  groupSize: u32,
  headDim: u32,
): f64 {
  return <f64>scratch_bytes(positions);
}
@inline
function scratch_bytes(positions: u32): u64 {
  return ((<u64>positions + 15) & ~15) * 4;
}

export function attention_f16(
  q: usize,
  qStride: u32,
  kCache: usize,
  vCache: usize,
  kvStride: u32,
  out: usize,
  outStride: u32,
  scratch: usize,
  n: u32,
  p0: u32,
  heads: u32,
  headOffset: u32,
  groupSize: u32,
  headDim: u32,
  window: u32,
  scale: f32,
): void {
  // deno-fmt-ignore
  attention<u16>(q, qStride, kCache, vCache, kvStride, out, outStride, scratch, n, p0, heads, headOffset, groupSize, headDim, window, scale);
}

export function attention_f32(
  q: usize,
  qStride: u32,
  kCache: usize,
  vCache: usize,
  kvStride: u32,
  out: usize,
  outStride: u32,
  scratch: usize,
  n: u32,
  p0: u32,
  heads: u32,
  headOffset: u32,
  groupSize: u32,
  headDim: u32,
  window: u32,
  scale: f32,
): void {
  // deno-fmt-ignore
  attention<f32>(q, qStride, kCache, vCache, kvStride, out, outStride, scratch, n, p0, heads, headOffset, groupSize, headDim, window, scale);
}

function attention<T>(
  q: usize,
  qStride: u32,
  kCache: usize,
  vCache: usize,
  kvStride: u32,
  out: usize,
  outStride: u32,
  scratch: usize,
  n: u32,
  p0: u32,
  heads: u32,
  headOffset: u32,
  groupSize: u32,
  headDim: u32,
  window: u32,
  scale: f32,
): void {
  if ((headDim & 3) != 0 || n == 0 || heads == 0) {
    if ((headDim & 3) != 0) unreachable();
    return;
  }
  const positions = <u64>p0 + n;
  if (positions >> 32 != 0) unreachable();
  const kvHeads = (<u64>heads - 1 + headOffset) / groupSize + 1;
  check_f32_rows(q, n, qStride, <u64>heads * headDim);
  check_f32_rows(out, n, outStride, max<u64>(<u64>heads * headDim, outStride));
  if (kvHeads >> 24 != 0) unreachable();
  check_rows(kCache, <u32>positions, kvStride, kvHeads * headDim * sizeof<T>());
  check_rows(vCache, <u32>positions, kvStride, kvHeads * headDim * sizeof<T>());
  check_bytes(scratch, scratch_bytes(<u32>positions));
  for (let t: u32 = 0; t < n; t++) {
    const last = p0 + t;
    const first = window != 0 && last + 1 > window ? last + 1 - window : 0;
    const row = out + ((t * outStride) << 2);
    for (let h: u32 = 0; h < heads; h++) {
      const skip = first * kvStride + ((h + headOffset) / groupSize) * headDim * sizeof<T>();
      const head = q + ((t * qStride + h * headDim) << 2);
      const seen = last + 1 - first;
      score<T>(head, kCache + skip, kvStride, scratch, seen, headDim, scale);
      mix<T>(scratch, vCache + skip, kvStride, row + ((h * headDim) << 2), seen, headDim);
    }
    const width = heads * headDim;
    if (outStride > width) memory.fill(row + (width << 2), 0, (outStride - width) << 2);
  }
}

/** scores[p] = exp(scale · q·k[p] − max). */
function score<T>(
  q: usize,
  k: usize,
  kvStride: u32,
  scores: usize,
  count: u32,
  headDim: u32,
  scale: f32,
): void {
  let largest: f32 = -Infinity;
  for (let p: u32 = 0; p < count; p++) {
    let sum = f32x4.splat(0);
    for (let i: u32 = 0; i < headDim; i += 4) {
      sum = madd(load_x4<T>(k + p * kvStride + i * sizeof<T>()), v128.load(q + (i << 2)), sum);
    }
    const value = sum_lanes(sum) * scale;
    store<f32>(scores + (p << 2), value);
    if (value > largest) largest = value;
  }
  for (let p: u32 = 0; p < count; p += 4) {
    const shifted = f32x4.sub(v128.load(scores + (p << 2)), f32x4.splat(largest));
    v128.store(scores + (p << 2), exp_f32x4(shifted));
  }
}

/** out = Σ_p scores[p] · v[p] / Σ scores. */
function mix<T>(
  scores: usize,
  v: usize,
  kvStride: u32,
  out: usize,
  count: u32,
  headDim: u32,
): void {
  let total: f32 = 0;
  for (let p: u32 = 0; p < count; p++) total += load<f32>(scores + (p << 2));
  const inverse = f32x4.splat(1 / total);
  for (let i: u32 = 0; i < headDim; i += 4) {
    let sum = f32x4.splat(0);
    for (let p: u32 = 0; p < count; p++) {
      const weight = v128.load_splat<f32>(scores + (p << 2));
      sum = madd(weight, load_x4<T>(v + p * kvStride + i * sizeof<T>()), sum);
    }
    v128.store(out + (i << 2), f32x4.mul(sum, inverse));
  }
}
@inline
function load_x4<T>(ptr: usize): v128 {
  if (isFloat<T>()) return v128.load(ptr);
  return f32x4.mul(
    f16_bits_to_f32x4(v128.load_ext<i16>(ptr), i32x4.splat(F16_MASK)),
    f32x4.splat(TWO_POW_112),
  );
}
