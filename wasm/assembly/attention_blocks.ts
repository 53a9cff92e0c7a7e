// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** Keys, values and queries brought into the order in which the tiles of attention read them. */
import { BLOCK_POSITIONS, Call, mixed_of, state_of, TILE_QUERIES } from "./attention_call";
import { F16_MASK, f16_bits_to_f32x4, TWO_POW_112 } from "./simd";

/** keyBlock[i, p] = key p of the block, transposed; `count` of 32 positions are there. */
export function transpose_keys<T>(call: Call, keys: usize, count: u32): void {
  const stride = call.kvStride;
  const last = keys + (count - 1) * stride;
  for (let p: u32 = 0; p < count; p += 4) {
    // Rows beyond the last are the last one again; what comes of them is masked.
    const k0 = keys + p * stride;
    const k1 = min(k0 + stride, last);
    const k2 = min(k1 + stride, last);
    const k3 = min(k2 + stride, last);
    let to = call.keyBlock + (p << 2);
    for (let i: u32 = 0; i < call.headDim; i += 4) {
      const at = i * sizeof<T>();
      const r0 = load_x4<T>(k0 + at), r1 = load_x4<T>(k1 + at);
      const r2 = load_x4<T>(k2 + at), r3 = load_x4<T>(k3 + at);
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
  let to = call.valueBlock;
  for (let p: u32 = 0; p < count; p++) {
    for (let i: u32 = 0; i < call.headDim; i += 4) {
      v128.store(to + (i << 2), load_x4<T>(values + i * sizeof<T>()));
    }
    values += call.kvStride;
    to += call.paddedDim << 2;
  }
}

/**
 * Packs the group's n · groupHeads queries, token by token, into tiles [dim, 4], times the scale;
 * the last tile is filled up with zeros. Resets the tiles' states.
 */
export function pack_queries(call: Call): void {
  const count = call.n * call.groupHeads;
  for (let first: u32 = 0; first < count; first += TILE_QUERIES) {
    const tile = call.tiles + (first / TILE_QUERIES) * call.tileBytes;
    for (let lane: u32 = 0; lane < TILE_QUERIES; lane++) {
      const index = first + lane;
      const to = tile + (lane << 2);
      const from = index < count ? query_at(call, index) : 0;
      for (let i: u32 = 0; i < call.headDim; i++) {
        const value: f32 = from != 0 ? load<f32>(from + (i << 2)) * call.scale : 0;
        store<f32>(to + (i << 4), value);
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

/** Four cached numbers: f16 (T = u16) or f32. */
@inline
function load_x4<T>(ptr: usize): v128 {
  if (isFloat<T>()) return v128.load(ptr);
  const bits = v128.load_ext<i16>(ptr);
  return f32x4.mul(f16_bits_to_f32x4(bits, i32x4.splat(F16_MASK)), f32x4.splat(TWO_POW_112));
}
