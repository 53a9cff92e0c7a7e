// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** What one token does to states, of both kinds of scans (state_space.ts, delta_scan.ts). */
import { join_pair, madd, sum_lanes_4 } from "./simd";

/**
 * Four rows of a state, rowBytes apart, by one token: they decay by `stay`, and `added` of b is
 * added to each; gives the rows by c. Neighbouring pairs of operations, which V8 makes 256-bit ones
 * of; the last four of an odd number of fours stand alone.
 */
@inline
export function step_four(
  state: usize,
  stay: f32,
  b: usize,
  c: usize,
  added: v128,
  rowBytes: u32,
  zero: v128,
): v128 {
  const stays = f32x4.splat(stay);
  const add0 = f32x4.splat(f32x4.extract_lane(added, 0));
  const add1 = f32x4.splat(f32x4.extract_lane(added, 1));
  const add2 = f32x4.splat(f32x4.extract_lane(added, 2));
  const add3 = f32x4.splat(f32x4.extract_lane(added, 3));
  let y0 = f32x4.splat(0), y1 = y0, y2 = y0, y3 = y0, z0 = y0, z1 = y0, z2 = y0, z3 = y0;
  let s0 = state, s1 = state + rowBytes, s2 = s1 + rowBytes, s3 = s2 + rowBytes;
  const end = b + (rowBytes & ~31);
  for (; b != end; b += 32, c += 32, s0 += 32, s1 += 32, s2 += 32, s3 += 32) {
    const b0 = v128.load(b), b1 = v128.load(b, 16), c0 = v128.load(c), c1 = v128.load(c, 16);
    const n0 = madd(v128.load(s0), stays, f32x4.mul(b0, add0));
    const m0 = madd(v128.load(s0, 16), stays, f32x4.mul(b1, add0));
    const n1 = madd(v128.load(s1), stays, f32x4.mul(b0, add1));
    const m1 = madd(v128.load(s1, 16), stays, f32x4.mul(b1, add1));
    const n2 = madd(v128.load(s2), stays, f32x4.mul(b0, add2));
    const m2 = madd(v128.load(s2, 16), stays, f32x4.mul(b1, add2));
    const n3 = madd(v128.load(s3), stays, f32x4.mul(b0, add3));
    const m3 = madd(v128.load(s3, 16), stays, f32x4.mul(b1, add3));
    v128.store(s0, n0), v128.store(s0, m0, 16);
    v128.store(s1, n1), v128.store(s1, m1, 16);
    v128.store(s2, n2), v128.store(s2, m2, 16);
    v128.store(s3, n3), v128.store(s3, m3, 16);
    y0 = madd(n0, c0, y0), z0 = madd(m0, c1, z0);
    y1 = madd(n1, c0, y1), z1 = madd(m1, c1, z1);
    y2 = madd(n2, c0, y2), z2 = madd(m2, c1, z2);
    y3 = madd(n3, c0, y3), z3 = madd(m3, c1, z3);
  }
  y0 = join_pair(y0, z0, 1, zero), y1 = join_pair(y1, z1, 1, zero);
  y2 = join_pair(y2, z2, 1, zero), y3 = join_pair(y3, z3, 1, zero);
  if ((rowBytes & 16) != 0) {
    const bs = v128.load(b), cs = v128.load(c);
    y0 = madd(step_states(s0, stays, f32x4.mul(bs, add0)), cs, y0);
    y1 = madd(step_states(s1, stays, f32x4.mul(bs, add1)), cs, y1);
    y2 = madd(step_states(s2, stays, f32x4.mul(bs, add2)), cs, y2);
    y3 = madd(step_states(s3, stays, f32x4.mul(bs, add3)), cs, y3);
  }
  return sum_lanes_4(y0, y1, y2, y3);
}

/** Four of a state's numbers, which decay and are added to; gives them back. */
@inline
function step_states(state: usize, stays: v128, added: v128): v128 {
  const next = madd(v128.load(state), stays, added);
  v128.store(state, next);
  return next;
}
