// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Two ways to add up the products of a superblock, the same integers: products of several tokens
 * (gemm_q8.ts, gemm_few_q8.ts) are compiled for both. Fours are one operation where V8 has
 * AVX-VNNI (or ARM's dot product), and four of them elsewhere, where pairs are faster: which is
 * taken is measured (src/rank/tune.ts). A way is a class without instances, as a format is.
 */
import { is_wide } from "./format";
import { dot_add_i8, dot_i8, madd } from "./simd";
import { add_blocks } from "./widen";

/** i16x8: lane 2j and 2j + 1 are the halves of block j. Every format can be summed so. */
@unmanaged
export class Pairs {
  @inline add(sums: v128, x: v128, w: v128): v128 { return i16x8.add(sums, dot_i8(x, w)); }
  @inline plus(a: v128, b: v128): v128 { return i16x8.add(a, b); }
  /** A multiple of 16-bit sums of halves, in the lanes of this way. */
  @inline times(halves: v128, factor: v128): v128 { return i16x8.mul(halves, factor); }
  @inline splat(x: i32): v128 { return i16x8.splat(<i16>x); }
  @inline shl(x: v128, by: u32): v128 { return i16x8.shl(x, by); }
  /** p + factors · the sums of four blocks; `lanes`: integer scales of the halves. */
  @inline add_blocks<F>(p: v128, sums: v128, lanes: v128, factors: v128): v128 {
    return add_blocks(p, sums, lanes, factors);
  }
}

/** i32x4: lane j is block j. Only for formats whose halves have one scale: can_sum_fours. */
@unmanaged
export class Fours {
  @inline add(sums: v128, x: v128, w: v128): v128 { return dot_add_i8(x, w, sums); }
  @inline plus(a: v128, b: v128): v128 { return i32x4.add(a, b); }
  @inline times(halves: v128, factor: v128): v128 { return i32x4.dot_i16x8_s(halves, factor); }
  @inline splat(x: i32): v128 { return i32x4.splat(x); }
  @inline shl(x: v128, by: u32): v128 { return i32x4.shl(x, by); }
  @inline add_blocks<F>(p: v128, sums: v128, lanes: v128, factors: v128): v128 {
    const blocks = is_wide<F>() ? i32x4.mul(sums, lanes) : sums;
    return madd(f32x4.convert_i32x4_s(blocks), factors, p);
  }
}

/** A constant: quarters exist, and halves have scales of their own, for 16-bit sums' sake. */
@inline
export function can_sum_fours<F>(): bool {
  const f = changetype<F>(0);
  return !isDefined(f.l) && !isDefined(f.quarters);
}

/** Are products of several tokens summed by fours? Of the instance: load.ts. */
@external("env", "sums_by_fours")
declare const sumsByFours: i32;

@inline
export function sums_by_fours(): bool {
  return sumsByFours != 0;
}
