// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Decoding by natural formats (natural.ts): one token by rows whose weights are looked up, in
 * natural order, and multiplied by activations that are put in that order first. Signs are given to
 * the activations, so that products take sizes from 0 up. Sums of a block are whole numbers, and
 * what becomes of them is as in widen.ts: every output has the bits that gemm_q8.ts gives it.
 *
 * Look-ups are most of the work, not memory: rows are read one by one.
 */
import { RECORD_BYTES, RECORD_SCALES } from "./q8_tile";
import { dot_i8, join_pair, madd, opaque, sum_lanes } from "./simd";

/** Rows by one token; `natural`: room for 256 bytes a superblock. */
export function gemv_natural<F>(
  w: usize,
  rowStride: u32,
  rows: u32,
  superblocks: u32,
  acts: usize,
  out: usize,
  natural: usize,
): void {
  put_in_natural_order(acts, superblocks, natural);
  for (let r: u32 = 0; r < rows; r++) {
    store<f32>(out + 4 * r, row<F>(w + r * rowStride, superblocks, acts, natural));
  }
}

/** The listed rows by one token; a number that is no row counts as the last one. */
export function gemv_natural_rows<F>(
  w: usize,
  rowStride: u32,
  rows: u32,
  superblocks: u32,
  acts: usize,
  list: usize,
  count: u32,
  out: usize,
  natural: usize,
): void {
  put_in_natural_order(acts, superblocks, natural);
  for (let j: u32 = 0; j < count; j++) {
    const at = min(load<u32>(list + 4 * j), rows - 1);
    store<f32>(out + 4 * j, row<F>(w + at * rowStride, superblocks, acts, natural));
  }
}

/** Activations of records (q8_tile.ts) one behind the other. */
function put_in_natural_order(acts: usize, superblocks: u32, to: usize): void {
  for (let s: u32 = 0; s < superblocks; s++, acts += RECORD_BYTES) {
    for (let block: u32 = 0; block < 8; block++, to += 32) {
      for (let place: u32 = 0; place < 8; place++) {
        const pairs = load<u32>(acts + 32 * place + 4 * block);
        store<u16>(to + 2 * place, <u16>pairs);
        store<u16>(to + 2 * place, <u16>(pairs >> 16), 16);
      }
    }
  }
}

/** One row by one token. */
function row<F>(w: usize, superblocks: u32, acts: usize, natural: usize): f32 {
  const f = changetype<F>(0);
  const ones = i16x8.splat(<i16>opaque(1, superblocks));
  let p0 = f32x4.splat(0), p1 = p0;
  for (let s = superblocks; s != 0; s--) {
    const a = sums_of_4<F>(w, 0, natural, ones), b = sums_of_4<F>(w, 4, natural + 128, ones);
    const d0 = f32x4.mul(f.d4(w, 0), v128.load(acts, RECORD_SCALES));
    const d1 = f32x4.mul(f.d4(w, 1), v128.load(acts, RECORD_SCALES + 16));
    p0 = madd(f32x4.convert_i32x4_s(a), d0, p0);
    p1 = madd(f32x4.convert_i32x4_s(b), d1, p1);
    w += f.quantBytes;
    acts += RECORD_BYTES;
    natural += 256;
  }
  return sum_lanes(join_pair(p0, p1, 1, i32x4.splat(opaque(0, superblocks))));
}

/** Σ of blocks first to first + 3, in their lanes. */
@inline
function sums_of_4<F>(w: usize, first: u32, x: usize, ones: v128): v128 {
  const a = block_sum<F>(w, first, x, ones), b = block_sum<F>(w, first + 1, x + 32, ones);
  const c = block_sum<F>(w, first + 2, x + 64, ones), d = block_sum<F>(w, first + 3, x + 96, ones);
  const ab = i32x4.add(i32x4.shuffle(a, b, 0, 4, 1, 5), i32x4.shuffle(a, b, 2, 6, 3, 7));
  const cd = i32x4.add(i32x4.shuffle(c, d, 0, 4, 1, 5), i32x4.shuffle(c, d, 2, 6, 3, 7));
  return i32x4.add(i32x4.shuffle(ab, cd, 0, 1, 4, 5), i32x4.shuffle(ab, cd, 2, 3, 6, 7));
}

/** Σ of block b in four lanes; a lane of 16 bits takes four products, 4 · 62 · 127 at most. */
@inline
function block_sum<F>(w: usize, b: u32, x: usize, ones: v128): v128 {
  const f = changetype<F>(0);
  const p = half_products<F>(w, b, 0, v128.load(x));
  const q = half_products<F>(w, b, 1, v128.load(x, 16));
  if (!isDefined(f.l)) return i32x4.dot_i16x8_s(i16x8.add(p, q), ones);
  return i32x4.add(
    i32x4.dot_i16x8_s(p, i16x8.splat(<i16>f.l(w, b, 0))),
    i32x4.dot_i16x8_s(q, i16x8.splat(<i16>f.l(w, b, 1))),
  );
}

/** Sixteen weights by sixteen activations, added in pairs. */
@inline
function half_products<F>(w: usize, b: u32, h: u32, x: v128): v128 {
  const f = changetype<F>(0);
  let size: v128, minus: v128;
  if (isDefined(f.value)) {
    const value = f.value(w, b, h);
    size = i8x16.abs(value);
    minus = i8x16.lt_s(value, i8x16.splat(0));
  } else {
    size = f.size(w, b, h);
    minus = f.minus(w, b, h);
  }
  return dot_i8(i8x16.sub(v128.xor(x, minus), minus), size);
}
