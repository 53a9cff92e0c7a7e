// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** Elements of the key/value cache, f16 (T = u16) or f32, as attention reads them. */
import { f16_bits_to_f32x4 } from "./simd";

/**
 * Four elements at ptr + 16: f32 as they are, f16 as value · 2^-112; mask is F16_MASK. Pointers
 * are 16 short, because V8 pairs extending loads only when neither offset is 0.
 */
@inline
export function cached_low<T>(ptr: usize, mask: v128): v128 {
  if (isFloat<T>()) return v128.load(ptr, 16);
  return f16_bits_to_f32x4(v128.load_ext<i16>(ptr, 16), mask);
}

/** The four behind them. */
@inline
export function cached_high<T>(ptr: usize, mask: v128): v128 {
  if (isFloat<T>()) return v128.load(ptr, 32);
  return f16_bits_to_f32x4(v128.load_ext<i16>(ptr, 24), mask);
}
