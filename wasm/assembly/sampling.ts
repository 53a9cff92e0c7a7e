/** What choosing a token needs of a row of scores, f32 [n]: the largest one, the k largest ones. */
import { check_bytes } from "./bounds";

/** 4 KiB: the second look, for where the largest is, finds its part in the L1 cache. */
const PART_FLOATS: u32 = 1024;

/** Index of the largest value; the first among equals; NaN never wins (0 when all are NaN). */
export function argmax_f32(x: usize, n: u32): u32 {
  check_bytes(x, <u64> n << 2);
  let largest: f32 = -Infinity;
  let from: u32 = 0;
  for (let i: u32 = 0; i < n; i += PART_FLOATS) {
    const most = largest_of(x + (i << 2), min(PART_FLOATS, n - i));
    if (most > largest) {
      largest = most;
      from = i;
    }
  }
  const largests = f32x4.splat(largest);
  let i = from;
  for (; i + 4 <= n; i += 4) {
    const equal = i32x4.bitmask(f32x4.eq(v128.load(x + (i << 2)), largests));
    if (equal != 0) return i + ctz(equal);
  }
  for (; i < n; i++) if (load<f32>(x + (i << 2)) == largest) return i;
  return 0;
}

/**
 * ids u32 [k] = the indices of the k largest values, in no order; of equal values the first. NaN
 * and -Infinity are left out: where no more than k are left, all of them, ascending. Returns how
 * many there are.
 *
 * A heap of k indices with the smallest value at its root meets the others from left to right: one
 * comparison of sixteen values with the root's turns most of them away.
 */
export function top_k_f32(x: usize, n: u32, k: u32, ids: usize): u32 {
  check_bytes(x, <u64> n << 2);
  check_bytes(ids, <u64> k << 2);
  let count: u32 = 0;
  let i: u32 = 0;
  for (; i < n && count < k; i++) {
    store<u32>(ids + (count << 2), i);
    count += u32(load<f32>(x + (i << 2)) > -Infinity);
  }
  if (k == 0) return 0;
  i = next_above(x, i, n, -Infinity);
  if (i == n) return count;
  for (let root = k >> 1; root > 0; root--) sift_down(ids, root - 1, k, x);
  let bar = value_at(x, ids, 0);
  // What equals the bar has a larger index than it, and stays out.
  for (i = next_above(x, i, n, bar); i < n; i = next_above(x, i + 1, n, bar)) {
    store<u32>(ids, i);
    sift_down(ids, 0, k, x);
    bar = value_at(x, ids, 0);
  }
  return k;
}

/** The first index from `from` on whose value is above `bar`; n when there is none. */
function next_above(x: usize, from: u32, n: u32, bar: f32): u32 {
  const bars = f32x4.splat(bar);
  let i = from;
  for (; i + 16 <= n; i += 16) {
    const at = x + (i << 2);
    const a = v128.or(f32x4.gt(v128.load(at), bars), f32x4.gt(v128.load(at, 16), bars));
    const b = v128.or(f32x4.gt(v128.load(at, 32), bars), f32x4.gt(v128.load(at, 48), bars));
    if (v128.any_true(v128.or(a, b))) break;
  }
  for (; i + 4 <= n; i += 4) {
    const above = i32x4.bitmask(f32x4.gt(v128.load(x + (i << 2)), bars));
    if (above != 0) return i + ctz(above);
  }
  while (i < n && !(load<f32>(x + (i << 2)) > bar)) i++;
  return i;
}

/** Restores the heap of `size` indices below `root`: none is larger than its children's. */
function sift_down(ids: usize, root: u32, size: u32, x: usize): void {
  const id = load<u32>(ids + (root << 2));
  const value = load<f32>(x + (id << 2));
  let hole = root;
  for (let child: u32 = 2 * hole + 1; child < size; child = 2 * hole + 1) {
    let childId = load<u32>(ids + (child << 2));
    let childValue = load<f32>(x + (childId << 2));
    if (child + 1 < size) {
      const otherId = load<u32>(ids + (child << 2), 4);
      const otherValue = load<f32>(x + (otherId << 2));
      if (is_larger(childValue, childId, otherValue, otherId)) {
        child++;
        childId = otherId;
        childValue = otherValue;
      }
    }
    if (!is_larger(value, id, childValue, childId)) break;
    store<u32>(ids + (hole << 2), childId);
    hole = child;
  }
  store<u32>(ids + (hole << 2), id);
}

/** Of equal values, the one of the smaller index counts as the larger. */
function is_larger(a: f32, aId: u32, b: f32, bId: u32): bool {
  return a > b || (a == b && aId < bId);
}

/** The value that ids[index] names. */
function value_at(x: usize, ids: usize, index: u32): f32 {
  return load<f32>(x + (load<u32>(ids + (index << 2)) << 2));
}

/** The largest value that is a number; -Infinity when there is none. */
function largest_of(x: usize, n: u32): f32 {
  const whole = (<usize> n & ~15) << 2;
  const end = <usize> n << 2;
  let m0 = f32x4.splat(-Infinity), m1 = m0, m2 = m0, m3 = m0;
  // pmax(a, b) is a < b ? b : a: a NaN in b never replaces a.
  for (let i: usize = 0; i < whole; i += 64) {
    m0 = f32x4.pmax(m0, v128.load(x + i));
    m1 = f32x4.pmax(m1, v128.load(x + i, 16));
    m2 = f32x4.pmax(m2, v128.load(x + i, 32));
    m3 = f32x4.pmax(m3, v128.load(x + i, 48));
  }
  m0 = f32x4.pmax(f32x4.pmax(m0, m1), f32x4.pmax(m2, m3));
  m0 = f32x4.pmax(m0, i32x4.shuffle(m0, m0, 2, 3, 0, 1));
  m0 = f32x4.pmax(m0, i32x4.shuffle(m0, m0, 1, 0, 3, 2));
  let largest = f32x4.extract_lane(m0, 0);
  for (let i = whole; i < end; i += 4) {
    const value = load<f32>(x + i);
    if (value > largest) largest = value;
  }
  return largest;
}
