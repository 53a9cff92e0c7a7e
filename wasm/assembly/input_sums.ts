// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** What a product reads, summed up: squares of each column, over rows. Sums are f64. */
import { check_bytes, check_f32_rows } from "./bounds";

/** sums[0] += n; sums[1 + i] += Σ_t x[t, i]²; sums f64 [1 + k]. */
export function add_squares_f32(x: usize, xStride: u32, n: u32, k: u32, sums: usize): void {
  check_f32_rows(x, n, xStride, k);
  check_bytes(sums, (<u64>k + 1) << 3);
  store<f64>(sums, load<f64>(sums) + <f64>n);
  for (let t: u32 = 0; t < n; t++) add_row_squares(x + (<usize>t * xStride << 2), sums + 8, k);
}

function add_row_squares(x: usize, to: usize, k: u32): void {
  const end = x + (<usize>k << 2);
  const wide = x + ((<usize>k & ~3) << 2);
  for (; x < wide; x += 16, to += 32) {
    const values = v128.load(x);
    const low = f64x2.promote_low_f32x4(values);
    const high = f64x2.promote_low_f32x4(v128.shuffle<f64>(values, values, 1, 0));
    v128.store(to, f64x2.add(v128.load(to), f64x2.mul(low, low)));
    v128.store(to, f64x2.add(v128.load(to, 16), f64x2.mul(high, high)), 16);
  }
  for (; x < end; x += 4, to += 8) {
    const value = <f64>load<f32>(x);
    store<f64>(to, load<f64>(to) + value * value);
  }
}
