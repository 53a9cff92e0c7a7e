// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** Packed rows back to floats: token embeddings. out f32 [k], nothing beyond is written. */
import { check_bytes } from "./bounds";
import { superblocks_of } from "./q8_tile";
import { f16_bits_to_f32x4, F16_MASK, TWO_POW_112 } from "./simd";

/** Q4_0: out[i] = scale · (nibble − 8). */
export function dequantize_row_q4_0(row: usize, k: u32, out: usize): void {
  const superblocks = superblocks_of(k);
  check_bytes(row, <u64>superblocks * 144);
  check_bytes(out, <u64>k << 2);
  for (let i: u32 = 0; i < k; i++) {
    const pair = (i & 15) >> 1;
    const byte = load<u8>(row + (i >> 8) * 128 + pair * 16 + ((i >> 5) & 7) * 2 + (i & 1));
    const nibble: i32 = (i & 16) == 0 ? byte & 15 : byte >> 4;
    const scale = scale_at(row + superblocks * 128, i >> 5);
    store<f32>(out + (i << 2), scale * <f32>(nibble - 8));
  }
}

/** Q8_0: out[i] = scale · (byte − 128). */
export function dequantize_row_q8_0(row: usize, k: u32, out: usize): void {
  const superblocks = superblocks_of(k);
  check_bytes(row, <u64>superblocks * 272);
  check_bytes(out, <u64>k << 2);
  for (let i: u32 = 0; i < k; i++) {
    const pair = (i & 31) >> 1;
    const place = ((pair & 6) << 1) | (pair & 1) | ((pair & 8) >> 2);
    const byte = load<u8>(row + (i >> 8) * 256 + place * 16 + ((i >> 5) & 7) * 2 + (i & 1));
    const scale = scale_at(row + superblocks * 256, i >> 5);
    store<f32>(out + (i << 2), scale * <f32>(<i32>byte - 128));
  }
}

/** f32: a copy. */
export function dequantize_row_f32(row: usize, k: u32, out: usize): void {
  check_bytes(row, <u64>k << 2);
  check_bytes(out, <u64>k << 2);
  memory.copy(out, row, <usize>k << 2);
}

/** f16 to f32, exact; infinities and NaN come out as finite numbers. */
export function dequantize_row_f16(row: usize, k: u32, out: usize): void {
  check_bytes(row, <u64>k << 1);
  check_bytes(out, <u64>k << 2);
  const whole = k & ~3;
  const owed = f32x4.splat(TWO_POW_112);
  for (let i: u32 = 0; i < whole; i += 4) {
    v128.store(
      out + (i << 2),
      f32x4.mul(f16_bits_to_f32x4(v128.load_ext<i16>(row + (i << 1)), i32x4.splat(F16_MASK)), owed),
    );
  }
  for (let i = whole; i < k; i++) store<f32>(out + (i << 2), scale_at(row, i));
}

/** bf16 to f32, exact. */
export function dequantize_row_bf16(row: usize, k: u32, out: usize): void {
  check_bytes(row, <u64>k << 1);
  check_bytes(out, <u64>k << 2);
  for (let i: u32 = 0; i < k; i++) {
    store<u32>(out + (i << 2), <u32>load<u16>(row + (i << 1)) << 16);
  }
}

/** The f16 number `index` at ptr. */
@inline
function scale_at(ptr: usize, index: u32): f32 {
  const bits = <i32>load<i16>(ptr + (index << 1)) << 13;
  return reinterpret<f32>(bits & 0x8fffffff) * TWO_POW_112;
}
