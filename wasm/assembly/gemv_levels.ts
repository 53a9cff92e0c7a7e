// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Decoding by formats whose quants are looked up (`levels`, format.ts: FP4). V8 makes no 256-bit
 * operations of swizzles, nor of anything computed together with one. So eight superblocks are
 * multiplied and added up as whole numbers, in 128 bits, then these are made floats, in 256.
 */
import { k1_of, SUPERBLOCKS_AT_ONCE } from "./format";
import { offset_of } from "./product_sums";
import { LINE_BYTES } from "./read_ahead";
import { opaque } from "./simd";
import { superblock_bytes } from "./superblock_form";
import { add_floats, ROW_SUMS_BYTES, SUMS_BYTES } from "./whole_sums";
import { start } from "./widen";

/**
 * sums[2 · pairs, 8] += rows that are rowStep bytes apart by a token; two pairs take turns,
 * superblock by superblock: the prefetcher loses four streams that come in strips. One pair is
 * read `reach` bytes ahead of; what comes back is of no use, but keeps these reads. `scratch`: four
 * times ROW_SUMS_BYTES.
 */
@inline
export function add_levels<F, S>(
  w: usize,
  rowStep: u32,
  superblocks: u32,
  acts: usize,
  xStep: u32,
  sums: usize,
  pairs: u32,
  scratch: usize,
  reach: u32,
): u32 {
  const f = changetype<F>(0), zero = i32x4.splat(opaque(0, superblocks));
  const k0 = f.k0(zero), k1 = k1_of<F>(zero);
  const offset = i16x8.splat(<i16>opaque(offset_of<F, S>(), superblocks));
  const pairStep = 2 * rowStep;
  let seen: u32 = 0;
  for (let s: u32 = 0; s < superblocks; s += SUPERBLOCKS_AT_ONCE) {
    const count = min(superblocks - s, SUPERBLOCKS_AT_ONCE);
    const bytes = count * superblock_bytes<F>();
    if (pairs == 1) {
      for (let l: u32 = reach; l < reach + bytes; l += LINE_BYTES) {
        seen |= load<u32>(w + l) | load<u32>(w + rowStep + l);
      }
    }
    let v = w, x = acts;
    const end = scratch + count * SUMS_BYTES;
    for (let to = scratch; to != end; to += SUMS_BYTES) {
      add_whole<F, S>(v, v + rowStep, x, to, k0, k1, offset);
      if (pairs == 2) {
        const y = v + pairStep;
        add_whole<F, S>(y, y + rowStep, x, to + 2 * ROW_SUMS_BYTES, k0, k1, offset);
      }
      v += superblock_bytes<F>();
      x += xStep;
    }
    add_floats<F, S>(w, w + rowStep, count, acts, xStep, scratch, sums);
    if (pairs == 2) {
      const y = w + pairStep, to = sums + 64;
      add_floats<F, S>(y, y + rowStep, count, acts, xStep, scratch + 2 * ROW_SUMS_BYTES, to);
    }
    w = v;
    acts = x;
  }
  return seen;
}

/** Whole sums of the superblocks at w and u by a record, those of u ROW_SUMS_BYTES behind `to`. */
@inline
function add_whole<F, S>(
  w: usize,
  u: usize,
  acts: usize,
  to: usize,
  k0: v128,
  k1: v128,
  offset: v128,
): void {
  const f = changetype<F>(0), by = changetype<S>(0);
  let a0 = start<F, S>(acts, 0, 0, offset), a1 = start<F, S>(acts, 1, 0, offset);
  let b0 = a0, b1 = a1;
  const next = acts + 128;
  for (; acts != next; acts += 32, w += 32, u += 32) {
    const x0 = v128.load(acts), x1 = v128.load(acts, 16);
    const X0 = v128.load(acts, 128), X1 = v128.load(acts, 144);
    const m0 = v128.load(w), m1 = v128.load(w, 16), n0 = v128.load(u), n1 = v128.load(u, 16);
    a0 = by.add(a0, x0, f.lower(m0, m0, k0, k1), offset);
    a1 = by.add(a1, x1, f.lower(m1, m1, k0, k1), offset);
    b0 = by.add(b0, x0, f.lower(n0, n0, k0, k1), offset);
    b1 = by.add(b1, x1, f.lower(n1, n1, k0, k1), offset);
    a0 = by.add(a0, X0, f.upper(m0, m0, k0, k1), offset);
    a1 = by.add(a1, X1, f.upper(m1, m1, k0, k1), offset);
    b0 = by.add(b0, X0, f.upper(n0, n0, k0, k1), offset);
    b1 = by.add(b1, X1, f.upper(n1, n1, k0, k1), offset);
  }
  v128.store(to, a0);
  v128.store(to, a1, 16);
  v128.store(to, b0, ROW_SUMS_BYTES);
  v128.store(to, b1, ROW_SUMS_BYTES + 16);
}
