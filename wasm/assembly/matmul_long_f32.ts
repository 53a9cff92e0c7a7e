// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * The products of matmul_float_f32.ts, of many tokens: the same sums in the same order, hence the
 * same bits. There a sum of eight lanes, each of every eighth column, is a product of one row and
 * one token; here lanes are sixteen rows, and the lanes of there pass one after another: class j
 * has columns j, j + 8, …. So a step loads one line of weights and six numbers of tokens for
 * twelve operations, where two rows by four tokens take four lines for eight: what is loaded from
 * new lines, not what is multiplied, was the limit. Contract: wasm/kernels.ts.
 *
 *   weights of 16 rows: f32 [8 classes, steps, 16]    tokens: f32 [8 classes, steps, 6]
 *
 * Both are packed into scratch: tokens as many as fit, for all rows; rows as many as stay in the L2
 * cache while these tokens pass.
 */
import { check_bytes, check_f32_rows, check_rows } from "./bounds";
import { F16_MASK, f16_bits_to_f32x4, madd, opaque, TWO_POW_112_BITS } from "./simd";

const CLASSES: u32 = 8;
const TILE_ROWS: u32 = 16;
const TILE_TOKENS: u32 = 6;
/** Sums of a tile, f32 [8 classes, 6 tokens, 16 rows]. */
const SUMS_BYTES: u32 = CLASSES * TILE_TOKENS * TILE_ROWS * 4;
const TOKENS_BYTES: u32 = 2 << 20;
const PANEL_BYTES: u32 = 1 << 20;
/** Of that, what shares the L2 cache with tokens; one tile's rows may be more. */
const CACHED_BYTES: u32 = 384 << 10;
const COLUMNS_MAX: u32 = PANEL_BYTES / (TILE_ROWS * 4);

const TYPE_F32: u32 = 0;
const TYPE_F16: u32 = 1;
const TYPE_BF16: u32 = 30;

/** Bytes of scratch, exact as f64. */
export function matmul_long_scratch_bytes(): f64 {
  return <f64>(SUMS_BYTES + TOKENS_BYTES + PANEL_BYTES);
}

export function matmul_long_f32(
  type: u32,
  w: usize,
  rowStride: u32,
  rows: u32,
  k: u32,
  x: usize,
  xStride: u32,
  n: u32,
  out: usize,
  outStride: u32,
  scratch: usize,
): void {
  if (type != TYPE_F32 && type != TYPE_F16 && type != TYPE_BF16) unreachable();
  const columns = (<u64>k + 15) & ~15;
  check_rows(w, rows, rowStride, columns << (type == TYPE_F32 ? 2 : 1));
  check_f32_rows(x, n, xStride, columns);
  check_f32_rows(out, n, outStride, rows);
  check_bytes(scratch, SUMS_BYTES + TOKENS_BYTES + PANEL_BYTES);
  if (columns > COLUMNS_MAX) unreachable();
  const steps = <u32>columns / CLASSES;
  const tokenTile = max<u32>(<u32>columns, 1) * (TILE_TOKENS * 4);
  const rowTile = max<u32>(<u32>columns, 1) * (TILE_ROWS * 4);
  const groupTokens = TOKENS_BYTES / tokenTile * TILE_TOKENS;
  const panelRows = max<u32>(CACHED_BYTES / rowTile, 1) * TILE_ROWS;
  const tokens = scratch + SUMS_BYTES, panel = tokens + TOKENS_BYTES;
  for (let t: u32 = 0; t < n; t += groupTokens) {
    const tokenCount = min(n - t, groupTokens);
    pack_tokens(x + ((t * xStride) << 2), xStride << 2, tokenCount, steps, tokens);
    for (let r: u32 = 0; r < rows; r += panelRows) {
      const rowCount = min(rows - r, panelRows);
      pack_rows(type, w + r * rowStride, rowStride, rowCount, steps, panel);
      const to = out + ((t * outStride + r) << 2);
      multiply_panel(panel, rowCount, tokens, tokenCount, steps, to, outStride << 2, scratch);
    }
  }
}

/** Tiles of six tokens; what is missing in the last one is the tile's first. */
function pack_tokens(x: usize, xStep: u32, count: u32, steps: u32, to: usize): void {
  const classStep = steps * (TILE_TOKENS * 4);
  for (let t: u32 = 0; t < count; t += TILE_TOKENS) {
    const left = count - t;
    const x1 = left > 1 ? x + xStep : x, x2 = left > 2 ? x + 2 * xStep : x;
    const x3 = left > 3 ? x + 3 * xStep : x, x4 = left > 4 ? x + 4 * xStep : x;
    const x5 = left > 5 ? x + 5 * xStep : x;
    for (let half: u32 = 0; half < 2; half++) {
      let at = to + half * 4 * classStep, i = half << 4;
      for (let s = steps; s != 0; s--) {
        const e = v128.load(x4 + i), f = v128.load(x5 + i);
        const ef = i32x4.shuffle(e, f, 0, 4, 1, 5), gh = i32x4.shuffle(e, f, 2, 6, 3, 7);
        transpose(
          v128.load(x + i), v128.load(x1 + i), v128.load(x2 + i), v128.load(x3 + i), at, classStep,
        );
        v128.store_lane<u64>(at, ef, 0, 16);
        v128.store_lane<u64>(at + classStep, ef, 1, 16);
        v128.store_lane<u64>(at + 2 * classStep, gh, 0, 16);
        v128.store_lane<u64>(at + 3 * classStep, gh, 1, 16);
        at += TILE_TOKENS * 4;
        i += CLASSES * 4;
      }
    }
    x += TILE_TOKENS * xStep;
    to += CLASSES * classStep;
  }
}

/** Tiles of sixteen rows, widened; what is missing in the last one is its first. */
function pack_rows(
  type: u32,
  w: usize,
  rowStride: u32,
  count: u32,
  steps: u32,
  to: usize,
): void {
  for (let r: u32 = 0; r < count; r += TILE_ROWS) {
    const valid = min(count - r, TILE_ROWS);
    for (let first: u32 = 0; first < TILE_ROWS; first += 4) {
      const a = first < valid ? w + first * rowStride : w;
      const b = first + 1 < valid ? w + (first + 1) * rowStride : w;
      const c = first + 2 < valid ? w + (first + 2) * rowStride : w;
      const d = first + 3 < valid ? w + (first + 3) * rowStride : w;
      const at = to + (first << 2);
      if (type == TYPE_F32) pack_four<f32>(a, b, c, d, steps, at);
      else if (type == TYPE_F16) pack_four<i16>(a, b, c, d, steps, at);
      else pack_four<u16>(a, b, c, d, steps, at);
    }
    w += TILE_ROWS * rowStride;
    to += CLASSES * steps * (TILE_ROWS * 4);
  }
}

function pack_four<T>(a: usize, b: usize, c: usize, d: usize, steps: u32, to: usize): void {
  const classStep = steps * (TILE_ROWS * 4);
  const mask = i32x4.splat(opaque(F16_MASK, steps));
  const power = f32x4.splat(reinterpret<f32>(opaque(TWO_POW_112_BITS, steps)));
  for (let s: u32 = 0; s < steps; s++) {
    const i = s * (CLASSES * <u32>sizeof<T>());
    const j = i + 4 * <u32>sizeof<T>();
    transpose(
      widened<T>(a + i, mask, power), widened<T>(b + i, mask, power),
      widened<T>(c + i, mask, power), widened<T>(d + i, mask, power),
      to, classStep,
    );
    transpose(
      widened<T>(a + j, mask, power), widened<T>(b + j, mask, power),
      widened<T>(c + j, mask, power), widened<T>(d + j, mask, power),
      to + 4 * classStep, classStep,
    );
    to += TILE_ROWS * 4;
  }
}

/** Four numbers as f32: T = f32, i16 for f16, u16 for bf16. Constants of f16: see `opaque`. */
@inline
function widened<T>(at: usize, mask: v128, power: v128): v128 {
  if (isFloat<T>()) return v128.load(at);
  if (!isSigned<T>()) return i32x4.shl(v128.load_ext<u16>(at), 16);
  return f32x4.mul(f16_bits_to_f32x4(v128.load_ext<i16>(at), mask), power);
}

/** Stores the four columns of four rows, `step` bytes apart. */
@inline
function transpose(a: v128, b: v128, c: v128, d: v128, to: usize, step: u32): void {
  const ab = i32x4.shuffle(a, b, 0, 4, 1, 5), cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
  const ef = i32x4.shuffle(a, b, 2, 6, 3, 7), gh = i32x4.shuffle(c, d, 2, 6, 3, 7);
  v128.store(to, i32x4.shuffle(ab, cd, 0, 1, 4, 5));
  v128.store(to + step, i32x4.shuffle(ab, cd, 2, 3, 6, 7));
  v128.store(to + 2 * step, i32x4.shuffle(ef, gh, 0, 1, 4, 5));
  v128.store(to + 3 * step, i32x4.shuffle(ef, gh, 2, 3, 6, 7));
}

/** out [tokens, rows] of what is packed. */
function multiply_panel(
  panel: usize,
  rows: u32,
  tokens: usize,
  n: u32,
  steps: u32,
  out: usize,
  outStep: u32,
  sums: usize,
): void {
  const rowClass = steps * (TILE_ROWS * 4), tokenClass = steps * (TILE_TOKENS * 4);
  for (let t: u32 = 0; t < n; t += TILE_TOKENS) {
    const valid = min(n - t, TILE_TOKENS);
    let w = panel;
    for (let r: u32 = 0; r < rows; r += TILE_ROWS) {
      let x = tokens, to = sums;
      for (let j: u32 = 0; j < CLASSES; j++) {
        multiply_class(w, x, steps, to);
        w += rowClass;
        x += tokenClass;
        to += SUMS_BYTES / CLASSES;
      }
      store_tile(sums, min(rows - r, TILE_ROWS), out + (r << 2), outStep, valid);
    }
    tokens += CLASSES * tokenClass;
    out += TILE_TOKENS * outStep;
  }
}

/** Sums of sixteen rows and six tokens over one class of columns. */
function multiply_class(w: usize, x: usize, steps: u32, sums: usize): void {
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  let c0 = a0, c1 = a0, c2 = a0, c3 = a0, d0 = a0, d1 = a0, d2 = a0, d3 = a0;
  let e0 = a0, e1 = a0, e2 = a0, e3 = a0, f0 = a0, f1 = a0, f2 = a0, f3 = a0;
  for (; steps != 0; steps--) {
    const w0 = v128.load(w), w1 = v128.load(w, 16), w2 = v128.load(w, 32), w3 = v128.load(w, 48);
    const xa = v128.load_splat<u32>(x);
    a0 = madd(w0, xa, a0);
    a1 = madd(w1, xa, a1);
    a2 = madd(w2, xa, a2);
    a3 = madd(w3, xa, a3);
    const xb = v128.load_splat<u32>(x, 4);
    b0 = madd(w0, xb, b0);
    b1 = madd(w1, xb, b1);
    b2 = madd(w2, xb, b2);
    b3 = madd(w3, xb, b3);
    const xc = v128.load_splat<u32>(x, 8);
    c0 = madd(w0, xc, c0);
    c1 = madd(w1, xc, c1);
    c2 = madd(w2, xc, c2);
    c3 = madd(w3, xc, c3);
    const xd = v128.load_splat<u32>(x, 12);
    d0 = madd(w0, xd, d0);
    d1 = madd(w1, xd, d1);
    d2 = madd(w2, xd, d2);
    d3 = madd(w3, xd, d3);
    const xe = v128.load_splat<u32>(x, 16);
    e0 = madd(w0, xe, e0);
    e1 = madd(w1, xe, e1);
    e2 = madd(w2, xe, e2);
    e3 = madd(w3, xe, e3);
    const xf = v128.load_splat<u32>(x, 20);
    f0 = madd(w0, xf, f0);
    f1 = madd(w1, xf, f1);
    f2 = madd(w2, xf, f2);
    f3 = madd(w3, xf, f3);
    w += TILE_ROWS * 4;
    x += TILE_TOKENS * 4;
  }
  v128.store(sums, a0), v128.store(sums, a1, 16);
  v128.store(sums, a2, 32), v128.store(sums, a3, 48);
  v128.store(sums, b0, 64), v128.store(sums, b1, 80);
  v128.store(sums, b2, 96), v128.store(sums, b3, 112);
  v128.store(sums, c0, 128), v128.store(sums, c1, 144);
  v128.store(sums, c2, 160), v128.store(sums, c3, 176);
  v128.store(sums, d0, 192), v128.store(sums, d1, 208);
  v128.store(sums, d2, 224), v128.store(sums, d3, 240);
  v128.store(sums, e0, 256), v128.store(sums, e1, 272);
  v128.store(sums, e2, 288), v128.store(sums, e3, 304);
  v128.store(sums, f0, 320), v128.store(sums, f1, 336);
  v128.store(sums, f2, 352), v128.store(sums, f3, 368);
}

/** out of a tile: its classes' sums, in the order in which lanes are added there. */
function store_tile(sums: usize, rows: u32, out: usize, outStep: u32, tokens: u32): void {
  const zero = i32x4.splat(opaque(0, tokens));
  for (let t: u32 = 0; t < tokens; t++) {
    for (let r: u32 = 0; r < rows; r += 4) {
      const at = sums + ((t * TILE_ROWS + r) << 2);
      const even = f32x4.add(pair_of(at, 0, zero), pair_of(at, 2, zero));
      const odd = f32x4.add(pair_of(at, 1, zero), pair_of(at, 3, zero));
      store_rows(out + (r << 2), f32x4.add(even, odd), rows - r);
    }
    out += outStep;
  }
}

/** Classes j and j + 4; adding zero makes -0 what it is there. */
@inline
function pair_of(at: usize, j: u32, zero: v128): v128 {
  const a = v128.load(at + j * (SUMS_BYTES / CLASSES));
  return f32x4.add(f32x4.add(a, v128.load(at + (j + 4) * (SUMS_BYTES / CLASSES))), zero);
}

@inline
function store_rows(to: usize, lanes: v128, count: u32): void {
  if (count >= 4) return v128.store(to, lanes);
  v128.store_lane<u32>(to, lanes, 0);
  if (count > 1) v128.store_lane<u32>(to, lanes, 1, 4);
  if (count > 2) v128.store_lane<u32>(to, lanes, 2, 8);
}
