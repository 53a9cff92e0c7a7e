// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Decoding by formats whose quants are looked up with a swizzle (isLookedUp, format.ts). V8 makes
 * no 256-bit operations of swizzles, nor of anything computed together with one: so quants are
 * looked up first, some superblocks at a time, and stored for the products of gemv_q8.ts, which
 * then know no swizzle.
 */
import { SUPERBLOCKS_AT_ONCE, upper_main_of } from "./format";
import { lower_of, upper_of } from "./product_sums";

/** What the quants take that are looked up of a row at once. */
export const LOOKED_UP_ROW_BYTES: u32 = SUPERBLOCKS_AT_ONCE * 256;
/** Rows that are computed side by side at most. */
const ROWS: u32 = 4;

/** Are F's quants stored before they are multiplied? A constant. */
@inline
export function is_looked_up<F>(): bool {
  return isDefined(changetype<F>(0).isLookedUp);
}

/** Room for those of all rows side by side. */
@inline
export function looked_up_bytes(superblocks: u64): u64 {
  return (ROWS - 1) * LOOKED_UP_ROW_BYTES + min<u64>(superblocks, SUPERBLOCKS_AT_ONCE) * 256;
}

/** The quants, for sums S, of `count` superblocks from w on. */
@inline
export function look_up<F, S>(w: usize, count: u32, to: usize, k0: v128, k1: v128): void {
  const f = changetype<F>(0);
  const zero = i32x4.splat(0);
  const end = to + 256 * count;
  for (; to != end; to += 128, w += f.factorBytes) {
    const half = to + 128;
    for (; to != half; to += 32, w += 32) {
      const m0 = v128.load(w), m1 = v128.load(w, 16);
      const M0 = upper_main_of<F>(w, 0, m0), M1 = upper_main_of<F>(w, 1, m1);
      v128.store(to, lower_of<F, S>(m0, zero, k0, k1));
      v128.store(to, lower_of<F, S>(m1, zero, k0, k1), 16);
      v128.store(to, upper_of<F, S>(M0, zero, k0, k1), 128);
      v128.store(to, upper_of<F, S>(M1, zero, k0, k1), 144);
    }
  }
}

/** Sixteen lower or upper quants: out of a vector, or, looked up, from `at` on. */
@inline
export function lower_at<F, S>(
  at: usize, half: u32, x: v128, y: v128, k0: v128, k1: v128,
): v128 {
  if (is_looked_up<F>()) return v128.load(at + 16 * half);
  return lower_of<F, S>(x, y, k0, k1);
}
@inline
export function upper_at_of<F, S>(
  at: usize, half: u32, x: v128, y: v128, k0: v128, k1: v128,
): v128 {
  if (is_looked_up<F>()) return v128.load(at + (128 + 16 * half));
  return upper_of<F, S>(x, y, k0, k1);
}
