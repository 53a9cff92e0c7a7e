// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** Keys, values and queries brought into the order in which the tiles of attention read them. */
import {
  BLOCK_POSITIONS,
  Call,
  mixed_of,
  reads_in_place,
  state_of,
  TILE_QUERIES,
} from "./attention_call";
import { F16_MASK, f16_bits_to_f32x4, opaque, TWO_POW_112_BITS } from "./simd";

/** keyBlock[i, p] = key p of the block, transposed; `count` of 32 positions are there. */
export function transpose_keys<T>(call: Call, keys: usize, count: u32): void {
  const stride = call.kvStride;
  const last = keys + (count - 1) * stride;
  const mask = i32x4.splat(opaque(F16_MASK, count));
  const scale = f32x4.splat(reinterpret<f32>(opaque(TWO_POW_112_BITS, count)));
  for (let p: u32 = 0; p < count; p += 4) {
    // Rows beyond the last are the last one again; what comes of them is masked.
    const k0 = keys + p * stride;
    const k1 = min(k0 + stride, last);
    const k2 = min(k1 + stride, last);
    const k3 = min(k2 + stride, last);
    let to = call.keyBlock + (p << 2);
    for (let i: u32 = 0; i < call.headDim; i += 4) {
      const at = i * sizeof<T>();
      const r0 = load_x4<T>(k0 + at, mask, scale), r1 = load_x4<T>(k1 + at, mask, scale);
      const r2 = load_x4<T>(k2 + at, mask, scale), r3 = load_x4<T>(k3 + at, mask, scale);
      const a = i32x4.shuffle(r0, r1, 0, 4, 1, 5), b = i32x4.shuffle(r2, r3, 0, 4, 1, 5);
      const c = i32x4.shuffle(r0, r1, 2, 6, 3, 7), d = i32x4.shuffle(r2, r3, 2, 6, 3, 7);
      v128.store(to, i64x2.shuffle(a, b, 0, 2));
      v128.store(to, i64x2.shuffle(a, b, 1, 3), 128);
      v128.store(to, i64x2.shuffle(c, d, 0, 2), 256);
      v128.store(to, i64x2.shuffle(c, d, 1, 3), 384);
      to += 4 * 4 * BLOCK_POSITIONS;
    }
  }
}

/** valueBlock[p, i] = value p of the block, as f32. What lies beyond headDim is never stored. */
export function copy_values<T>(call: Call, values: usize, count: u32): void {
  const mask = i32x4.splat(opaque(F16_MASK, count));
  const scale = f32x4.splat(reinterpret<f32>(opaque(TWO_POW_112_BITS, count)));
  const rowBytes = call.headDim * sizeof<T>();
  const pairs = rowBytes & ~(8 * sizeof<T>() - 1);
  let row = call.valueBlock;
  for (let p: u32 = 0; p < count; p++) {
    // 16 short: V8 pairs extending loads only when neither offset is 0.
    let from = values - 16;
    const end = from + pairs;
    let to = row;
    for (; from != end; from += 8 * sizeof<T>(), to += 32) {
      const v0 = load_low<T>(from, mask, scale), v1 = load_high<T>(from, mask, scale);
      v128.store(to, v0);
      v128.store(to, v1, 16);
    }
    if (pairs != rowBytes) v128.store(to, load_low<T>(from, mask, scale));
    values += call.kvStride;
    row += call.paddedDim << 2;
  }
}

/**
 * Packs the group's n · groupHeads queries, token by token, into tiles, times the scale: [dim, 4],
 * or [4, dim] when keys are read in place (`score_in_place`). The last tile is filled up with
 * zeros. Resets the tiles' states.
 */
export function pack_queries(call: Call): void {
  const count = call.n * call.groupHeads;
  const inPlace = reads_in_place(call);
  const step: u32 = inPlace ? 4 : 16;
  for (let first: u32 = 0; first < count; first += TILE_QUERIES) {
    const tile = call.tiles + (first / TILE_QUERIES) * call.tileBytes;
    for (let lane: u32 = 0; lane < TILE_QUERIES; lane++) {
      const index = first + lane;
      const to = inPlace ? tile + ((lane * call.headDim) << 2) : tile + (lane << 2);
      const from = index < count ? query_at(call, index) : 0;
      for (let i: u32 = 0; i < call.headDim; i++) {
        const value: f32 = from != 0 ? load<f32>(from + (i << 2)) * call.scale : 0;
        store<f32>(to + i * step, value);
      }
    }
    const state = state_of(call, tile);
    v128.store(state, f32x4.splat(-Infinity));
    v128.store(state, f32x4.splat(0), 16);
    memory.fill(mixed_of(call, tile), 0, call.paddedDim * 16);
  }
}

/** Query `index` of the group: token index / groupHeads. */
@inline
function query_at(call: Call, index: u32): usize {
  const t = index / call.groupHeads;
  const head = call.firstHead + index % call.groupHeads;
  return call.q + t * call.qStrideBytes + ((head * call.headDim) << 2);
}

/** Four cached numbers at ptr: f16 (T = u16) or f32; mask and scale of the f16 bit trick. */
@inline
function load_x4<T>(ptr: usize, mask: v128, scale: v128): v128 {
  if (isFloat<T>()) return v128.load(ptr);
  return f32x4.mul(f16_bits_to_f32x4(v128.load_ext<i16>(ptr), mask), scale);
}

/** Four cached numbers at ptr + 16. */
@inline
export function load_low<T>(ptr: usize, mask: v128, scale: v128): v128 {
  if (isFloat<T>()) return v128.load(ptr, 16);
  return f32x4.mul(f16_bits_to_f32x4(v128.load_ext<i16>(ptr, 16), mask), scale);
}

/** The four behind them. */
@inline
export function load_high<T>(ptr: usize, mask: v128, scale: v128): v128 {
  if (isFloat<T>()) return v128.load(ptr, 32);
  return f32x4.mul(f16_bits_to_f32x4(v128.load_ext<i16>(ptr, 24), mask), scale);
}
