// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * The short convolution in front of a recurrent state, channel by channel, with what it keeps of a
 * sequence: its last rows, side by side with the state. Contract: wasm/kernels.ts.
 */
import { silu_x4 } from "./activations";
import { check_bytes, check_f32_rows } from "./bounds";
import { madd } from "./simd";

/** out[t] = silu(bias + Σ_i weights[i] ⊙ row t - taps + 1 + i); `to` takes the last taps - 1. */
export function state_convolution_f32(
  x: usize,
  stride: u32,
  from: usize,
  to: usize,
  taps: u32,
  weights: usize,
  bias: usize,
  out: usize,
  outStride: u32,
  n: u32,
  width: u32,
): void {
  const rowBytes = width << 2;
  const kept = taps - 1;
  check_f32_rows(x, n, stride, width);
  check_f32_rows(out, n, outStride, width);
  if ((width & 3) != 0 || width >> 20 != 0 || taps < 2 || taps > 32) unreachable();
  check_bytes(weights, <u64>taps * rowBytes);
  check_bytes(from, <u64>kept * rowBytes);
  check_bytes(to, <u64>kept * rowBytes);
  check_bytes(bias, rowBytes);
  for (let t: u32 = 0; t < n; t++) {
    const row = out + ((t * outStride) << 2);
    // Of the rows that a token looks at so many are kept ones.
    const before = t < kept ? kept - t : 0;
    for (let at: usize = 0; at < rowBytes; at += 16) {
      let sum = bias == 0 ? f32x4.splat(0) : v128.load(bias + at);
      let w = weights + at;
      if (from == 0) w += before * rowBytes;
      else {
        for (let i: u32 = 0, old = from + t * rowBytes + at; i < before; i++) {
          sum = madd(v128.load(w), v128.load(old), sum);
          w += rowBytes;
          old += rowBytes;
        }
      }
      let own = x + (((t + before - kept) * stride) << 2) + at;
      for (let i = before; i < taps; i++) {
        sum = madd(v128.load(w), v128.load(own), sum);
        w += rowBytes;
        own += stride << 2;
      }
      v128.store(row + at, silu_x4(sum));
    }
  }
  keep(x, stride, from, to, kept, n, rowBytes);
}

/** The last rows of what was kept and of x; `to` may be `from`. */
@inline
function keep(
  x: usize,
  stride: u32,
  from: usize,
  to: usize,
  kept: u32,
  n: u32,
  rowBytes: u32,
): void {
  const stays = n < kept ? kept - n : 0;
  if (stays != 0) {
    if (from == 0) memory.fill(to, 0, stays * rowBytes);
    else memory.copy(to, from + n * rowBytes, stays * rowBytes);
  }
  for (let i = stays; i < kept; i++) {
    memory.copy(to + i * rowBytes, x + (((n + i - kept) * stride) << 2), rowBytes);
  }
}
