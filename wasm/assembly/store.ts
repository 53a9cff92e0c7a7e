// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * New keys and values into the cache, each to its place: src/memory/kv_layout.ts. Contract:
 * wasm/kernels.ts. T = u16 stores f16, to the nearest, ties to even; what is too large for f16
 * becomes the largest finite f16, 65504, and so do infinity and NaN (±): the readers' bit trick
 * knows none of them.
 */
import { KV_BLOCK_POSITIONS } from "../../src/memory/kv_layout";
import { padded_dim } from "./attention_call";
import { check_bytes, check_f32_rows } from "./bounds";

export function store_keys_f16(
  src: usize,
  srcStride: u32,
  cache: usize,
  p0: u32,
  n: u32,
  kvHeads: u32,
  headDim: u32,
): void {
  store_keys<u16>(src, srcStride, cache, p0, n, kvHeads, headDim);
}

export function store_keys_f32(
  src: usize,
  srcStride: u32,
  cache: usize,
  p0: u32,
  n: u32,
  kvHeads: u32,
  headDim: u32,
): void {
  store_keys<f32>(src, srcStride, cache, p0, n, kvHeads, headDim);
}

export function store_values_f16(
  src: usize,
  srcStride: u32,
  cache: usize,
  p0: u32,
  n: u32,
  kvHeads: u32,
  headDim: u32,
): void {
  store_values<u16>(src, srcStride, cache, p0, n, kvHeads, headDim);
}

export function store_values_f32(
  src: usize,
  srcStride: u32,
  cache: usize,
  p0: u32,
  n: u32,
  kvHeads: u32,
  headDim: u32,
): void {
  store_values<f32>(src, srcStride, cache, p0, n, kvHeads, headDim);
}

/** Element i of head g of token t goes to column (p0 + t) % 32 of row i. */
function store_keys<T>(
  src: usize,
  srcStride: u32,
  cache: usize,
  p0: u32,
  n: u32,
  kvHeads: u32,
  headDim: u32,
): void {
  check<T>(src, srcStride, cache, p0, n, kvHeads, headDim, headDim);
  const step = KV_BLOCK_POSITIONS * <u32>sizeof<T>();
  for (let t: u32 = 0; t < n; t++) {
    const position = p0 + t;
    const block = position / KV_BLOCK_POSITIONS * kvHeads * headDim * step;
    let to = cache + block + position % KV_BLOCK_POSITIONS * <u32>sizeof<T>();
    let from = src + ((t * srcStride) << 2);
    for (let i = kvHeads * headDim; i != 0; i -= 4) {
      if (isFloat<T>()) {
        const x = v128.load(from);
        v128.store_lane<u32>(to, x, 0);
        v128.store_lane<u32>(to + step, x, 1);
        v128.store_lane<u32>(to + 2 * step, x, 2);
        v128.store_lane<u32>(to + 3 * step, x, 3);
      } else {
        const x = f16_bits_x4(v128.load(from));
        v128.store_lane<u16>(to, x, 0);
        v128.store_lane<u16>(to + step, x, 2);
        v128.store_lane<u16>(to + 2 * step, x, 4);
        v128.store_lane<u16>(to + 3 * step, x, 6);
      }
      to += 4 * step;
      from += 16;
    }
  }
}

/** Head g of token t goes to row (p0 + t) % 32. Columns behind headDim are left as they are. */
function store_values<T>(
  src: usize,
  srcStride: u32,
  cache: usize,
  p0: u32,
  n: u32,
  kvHeads: u32,
  headDim: u32,
): void {
  const padded = padded_dim(headDim);
  check<T>(src, srcStride, cache, p0, n, kvHeads, headDim, padded);
  const rowBytes = padded * <u32>sizeof<T>();
  const headBytes = rowBytes * KV_BLOCK_POSITIONS;
  for (let t: u32 = 0; t < n; t++) {
    const position = p0 + t;
    let to = cache + position / KV_BLOCK_POSITIONS * kvHeads * headBytes;
    to += position % KV_BLOCK_POSITIONS * rowBytes;
    let from = src + ((t * srcStride) << 2);
    for (let g: u32 = 0; g < kvHeads; g++) {
      for (let i: u32 = 0; i < headDim; i += 4) {
        const x = v128.load(from + (i << 2));
        if (isFloat<T>()) {
          v128.store(to + (i << 2), x);
        } else {
          const half = f16_bits_x4(x);
          v128.store_lane<u64>(to + (i << 1), i16x8.narrow_i32x4_u(half, half), 0);
        }
      }
      from += headDim << 2;
      to += headBytes;
    }
  }
}

/** Traps unless everything that positions p0 .. p0+n-1 touch is in the memory. */
function check<T>(
  src: usize,
  srcStride: u32,
  cache: usize,
  p0: u32,
  n: u32,
  kvHeads: u32,
  headDim: u32,
  rowElements: u32,
): void {
  if ((headDim & 3) != 0 || headDim >> 16 != 0 || kvHeads >> 16 != 0) unreachable();
  check_f32_rows(src, n, srcStride, <u64>kvHeads * headDim);
  const blocks = (<u64>p0 + n + KV_BLOCK_POSITIONS - 1) / KV_BLOCK_POSITIONS;
  const blockHeads = blocks * kvHeads;
  if (blockHeads >> 32 != 0) unreachable();
  check_bytes(cache, blockHeads * (rowElements * KV_BLOCK_POSITIONS * <u32>sizeof<T>()));
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
