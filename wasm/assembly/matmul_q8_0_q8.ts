/**
 * out[t, r] = Σ_i w[r, i] · act[t, i], Q8_0 rows (row_layout.ts) by q8 tiles (q8_tile.ts).
 *
 * A byte u = w + 128 is two nibbles: w = 16·(high − 8) + (low − 8) + 8. With H = Σa(high − 8) and
 * L = Σa(low − 8), each in 16 bits as for Q4_0, a block's dot product is 16·H + L + 8·Σa, formed
 * once per superblock in 32 bits. No operand of the dot instruction leaves 0..15.
 */
import { check_bytes, check_f32_rows, check_rows } from "./bounds";
import {
  GROUP_TOKENS,
  RECORD_BYTES,
  RECORD_SCALES,
  RECORD_SUMS,
  superblocks_of,
  tile_bytes,
} from "./q8_tile";
import { dot_i8, f16_bits_to_f32x4, madd, sum_lanes_4, TWO_POW_56 } from "./simd";

export function matmul_q8_0_q8(
  w: usize,
  rowStride: u32,
  rows: u32,
  k: u32,
  acts: usize,
  n: u32,
  out: usize,
  outStride: u32,
): void {
  const superblocks = superblocks_of(k);
  check_rows(w, rows, rowStride, <u64> superblocks * 272);
  check_bytes(acts, tile_bytes(n, k));
  check_f32_rows(out, n, outStride, rows);
  const group: u32 = n == 1 ? 1 : GROUP_TOKENS;
  const step = group * RECORD_BYTES;
  for (let r: u32 = 0; r < rows; r++) {
    for (let t: u32 = 0; t < n; t++) {
      const token = acts + (t / group) * superblocks * step + (t % group) * RECORD_BYTES;
      store<f32>(
        out + ((t * outStride + r) << 2),
        dot_row(w + r * rowStride, superblocks, token, step),
      );
    }
  }
}

/** One row by one token whose records are actStep bytes apart. */
function dot_row(w: usize, superblocks: u32, acts: usize, actStep: u32): f32 {
  const mask = i8x16.splat(15);
  let scales = w + superblocks * 256;
  let f0 = f32x4.splat(0), f1 = f0;
  for (let s = superblocks; s != 0; s--) {
    const start = v128.load(acts, RECORD_SUMS), zero = v128.load(acts, RECORD_SUMS + 16);
    let l0 = start, l1 = zero, h0 = start, h1 = zero;
    for (let m: u32 = 0; m < 8; m++) {
      const w0 = v128.load(w + 32 * m), w1 = v128.load(w + 32 * m, 16);
      const a0 = v128.load(acts + 32 * m), a1 = v128.load(acts + 32 * m, 16);
      l0 = i16x8.add(l0, dot_i8(a0, v128.and(w0, mask)));
      l1 = i16x8.add(l1, dot_i8(a1, v128.and(w1, mask)));
      h0 = i16x8.add(h0, dot_i8(a0, v128.and(i16x8.shr_u(w0, 4), mask)));
      h1 = i16x8.add(h1, dot_i8(a1, v128.and(i16x8.shr_u(w1, 4), mask)));
    }
    const low = i16x8.add(l0, l1), high = i16x8.add(h0, h1);
    const d0 = i32x4.add(
      i32x4.shl(i32x4.extend_low_i16x8_s(high), 4),
      i32x4.sub(i32x4.extend_low_i16x8_s(low), i32x4.extend_low_i16x8_s(start)),
    );
    const d1 = i32x4.add(
      i32x4.shl(i32x4.extend_high_i16x8_s(high), 4),
      i32x4.sub(i32x4.extend_high_i16x8_s(low), i32x4.extend_high_i16x8_s(start)),
    );
    const scale0 = f32x4.mul(
      f16_bits_to_f32x4(v128.load_ext<i16>(scales)),
      v128.load(acts, RECORD_SCALES),
    );
    const scale1 = f32x4.mul(
      f16_bits_to_f32x4(v128.load_ext<i16>(scales, 8)),
      v128.load(acts, RECORD_SCALES + 16),
    );
    f0 = madd(f32x4.convert_i32x4_s(d0), scale0, f0);
    f1 = madd(f32x4.convert_i32x4_s(d1), scale1, f1);
    w += 256;
    scales += 16;
    acts += actStep;
  }
  const total = f32x4.add(f0, f1);
  const sums = f32x4.mul(sum_lanes_4(total, total, total, total), f32x4.splat(TWO_POW_56));
  return f32x4.extract_lane(sums, 0);
}
