// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * One token by float rows that are kept neuron by neuron (neurons.ts): rows are added up in the
 * order of their numbers, four side by side, so that outputs are loaded and stored once for four.
 * Every output is the same chain of operations as in neurons_panel.ts.
 */
import { next_row, row_at, value_at } from "./neurons_list";
import { f16_at, f16_bits_to_f32x4, F16_MASK, madd, opaque, TWO_POW_112_BITS } from "./simd";

/** out = Σ values[j] · row list[j]; returns how many rows were read. `last`: the last neuron. */
export function add_float_rows<T>(
  w: usize,
  rowStride: u32,
  last: u32,
  d: u32,
  list: usize,
  values: usize,
  count: u32,
  skips: bool,
  out: usize,
): u32 {
  memory.fill(out, 0, <usize>d << 2);
  let read: u32 = 0;
  let j = next_row(values, 0, count, skips);
  while (j < count) {
    const p = w + row_at(list, j, last) * rowStride, a = value_at(values, j);
    let q = p, r = p, s = p;
    let b: f32 = 0, c: f32 = 0, e: f32 = 0;
    read++;
    j = next_row(values, j + 1, count, skips);
    if (j < count) {
      q = w + row_at(list, j, last) * rowStride, b = value_at(values, j);
      read++;
      j = next_row(values, j + 1, count, skips);
    }
    if (j < count) {
      r = w + row_at(list, j, last) * rowStride, c = value_at(values, j);
      read++;
      j = next_row(values, j + 1, count, skips);
    }
    if (j < count) {
      s = w + row_at(list, j, last) * rowStride, e = value_at(values, j);
      read++;
      j = next_row(values, j + 1, count, skips);
    }
    add_four<T>(p, q, r, s, a, b, c, e, out, d);
  }
  return read;
}

/** out += a·p + b·q + c·r + e·s, in that order. */
function add_four<T>(
  p: usize,
  q: usize,
  r: usize,
  s: usize,
  a: f32,
  b: f32,
  c: f32,
  e: f32,
  out: usize,
  d: u32,
): void {
  const mask = i32x4.splat(opaque(F16_MASK, d >> 3));
  const owed = f32x4.splat(reinterpret<f32>(opaque(TWO_POW_112_BITS, d >> 3)));
  const A = f32x4.splat(a), B = f32x4.splat(b), C = f32x4.splat(c), E = f32x4.splat(e);
  const end = out + (<usize>d << 2);
  const wide = out + ((<usize>d & ~7) << 2);
  p -= 16, q -= 16, r -= 16, s -= 16;
  for (; out < wide; out += 32) {
    let x = v128.load(out), y = v128.load(out, 16);
    x = madd(low_four<T>(p, mask, owed), A, x);
    y = madd(high_four<T>(p, mask, owed), A, y);
    x = madd(low_four<T>(q, mask, owed), B, x);
    y = madd(high_four<T>(q, mask, owed), B, y);
    x = madd(low_four<T>(r, mask, owed), C, x);
    y = madd(high_four<T>(r, mask, owed), C, y);
    x = madd(low_four<T>(s, mask, owed), E, x);
    y = madd(high_four<T>(s, mask, owed), E, y);
    v128.store(out, x);
    v128.store(out, y, 16);
    p += 8 * sizeof<T>(), q += 8 * sizeof<T>(), r += 8 * sizeof<T>(), s += 8 * sizeof<T>();
  }
  // Lane by lane in vectors: scalars would be rounded twice.
  for (; out < end; out += 4) {
    let x = v128.load32_zero(out);
    x = madd(f32x4.splat(one<T>(p + 16)), A, x);
    x = madd(f32x4.splat(one<T>(q + 16)), B, x);
    x = madd(f32x4.splat(one<T>(r + 16)), C, x);
    x = madd(f32x4.splat(one<T>(s + 16)), E, x);
    v128.store_lane<u32>(out, x, 0);
    p += sizeof<T>(), q += sizeof<T>(), r += sizeof<T>(), s += sizeof<T>();
  }
}

// Weights 0..3 and 4..7 at w + 16: V8 pairs extending loads only where neither offset is 0.
@inline
export function low_four<T>(w: usize, mask: v128, owed: v128): v128 {
  if (isFloat<T>()) return v128.load(w, 16);
  if (isSigned<T>()) return i32x4.shl(v128.load_ext<u16>(w, 16), 16);
  return f32x4.mul(f16_bits_to_f32x4(v128.load_ext<i16>(w, 16), mask), owed);
}
@inline
export function high_four<T>(w: usize, mask: v128, owed: v128): v128 {
  if (isFloat<T>()) return v128.load(w, 32);
  if (isSigned<T>()) return i32x4.shl(v128.load_ext<u16>(w, 24), 16);
  return f32x4.mul(f16_bits_to_f32x4(v128.load_ext<i16>(w, 24), mask), owed);
}

/** One weight. */
@inline
export function one<T>(w: usize): f32 {
  if (isFloat<T>()) return load<f32>(w);
  if (isSigned<T>()) return reinterpret<f32>(<u32>load<u16>(w) << 16);
  return f16_at(w);
}
