// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** Scores of a single tile of queries (decoding): keys are read where they are, not transposed. */
import { load_high, load_low } from "./attention_blocks";
import { Call, SCORE_ROW_BYTES } from "./attention_call";
import { F16_MASK, join_pair, madd, opaque, sum_lanes_4, TWO_POW_112_BITS } from "./simd";

/** scores[4, p] = queries [4, dim] · key p, for p in 0..count; the other columns are left. */
export function score_in_place<T>(call: Call, tile: usize, keys: usize, count: u32): void {
  const rowBytes = call.headDim * 4;
  for (let p: u32 = 0; p < count; p++) {
    const sums = dot_4_queries<T>(tile, rowBytes, keys - 16);
    const to = call.scores + (p << 2);
    v128.store_lane<u32>(to, sums, 0);
    v128.store_lane<u32>(to, sums, 1, SCORE_ROW_BYTES);
    v128.store_lane<u32>(to, sums, 2, 2 * SCORE_ROW_BYTES);
    v128.store_lane<u32>(to, sums, 3, 3 * SCORE_ROW_BYTES);
    keys += call.kvStride;
  }
}

/** One key, 16 bytes behind `key`, by four queries of rowBytes each. */
function dot_4_queries<T>(q: usize, rowBytes: u32, key: usize): v128 {
  const mask = i32x4.splat(opaque(F16_MASK, rowBytes));
  const scale = f32x4.splat(reinterpret<f32>(opaque(TWO_POW_112_BITS, rowBytes)));
  const zero = i32x4.splat(opaque(0, rowBytes));
  let a0 = f32x4.splat(0), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0;
  const end = q + (rowBytes & ~31);
  for (; q != end; q += 32, key += 8 * sizeof<T>()) {
    const k0 = load_low<T>(key, mask, scale), k1 = load_high<T>(key, mask, scale);
    const qb = q + rowBytes, qc = qb + rowBytes, qd = qc + rowBytes;
    a0 = madd(v128.load(q), k0, a0);
    a1 = madd(v128.load(q, 16), k1, a1);
    b0 = madd(v128.load(qb), k0, b0);
    b1 = madd(v128.load(qb, 16), k1, b1);
    c0 = madd(v128.load(qc), k0, c0);
    c1 = madd(v128.load(qc, 16), k1, c1);
    d0 = madd(v128.load(qd), k0, d0);
    d1 = madd(v128.load(qd, 16), k1, d1);
  }
  let a = join_pair(a0, a1, 1, zero), b = join_pair(b0, b1, 1, zero);
  let c = join_pair(c0, c1, 1, zero), d = join_pair(d0, d1, 1, zero);
  if ((rowBytes & 16) != 0) {
    const k = load_low<T>(key, mask, scale);
    a = madd(v128.load(q), k, a);
    b = madd(v128.load(q + rowBytes), k, b);
    c = madd(v128.load(q + 2 * rowBytes), k, c);
    d = madd(v128.load(q + 3 * rowBytes), k, d);
  }
  return sum_lanes_4(a, b, c, d);
}
