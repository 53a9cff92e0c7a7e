// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * A probe, not part of kernels.wasm: decoding with E0M4 weights that become floats in registers, by
 * two bit operations or by a conversion, and are multiplied by float activations. It shows what the
 * int8 product (gemv_q8.ts), which the engine uses, is worth: tests/bench/e0m4_floats.ts.
 *
 * A row lies as suits it best. Per superblock of 8 blocks, dword j of the 32 bytes at 32·i is word
 * i of block j, unchanged; then come 8 f16 scales and 8 f16 offsets: 160 bytes. Activations are
 * arranged to match: lane j of the 32 bytes at 32·(8i + n) is what code n of word i of block j is
 * multiplied by. So a lane is a block, and factors are applied once per superblock.
 *
 * Shifts are not needed: a code need not be the top of the fraction. Where it stands at bit 16, it
 * makes the float 1 + q / 128, at bit 12 1 + q / 2048, and activations are multiplied by 8 and 128
 * instead; and words are moved by whole bytes when they are loaded from an address beside them.
 * Converted codes are q · 16^m, activations are divided by 16^m.
 */
import { check_bytes, check_f32_rows, check_rows } from "../bounds";
import {
  f16_bits_to_f32x4,
  F16_MASK,
  join_pair,
  madd,
  opaque,
  store_lanes,
  sum_lanes_4,
} from "../simd";

const ROW_BYTES: u32 = 160;
/** Activations of a superblock; per block Σ x, and Σ factor · x over even and over odd codes. */
const RECORD: u32 = 1024 + 96;
/** What the f16 bit trick owes, 2^112, and 2^116. */
const OWED: i32 = 0x77800000;
const OWED_16: i32 = 0x79800000;

/** Which of a block's weights is code n of word i. */
@inline
function weight_of(i: u32, n: u32): u32 {
  return 16 * (n & 1) + 4 * (n >> 1) + i;
}

/** Blocks of a file's rows, `blocks` each, a multiple of 8, to rows of the layout above. */
export function pack(src: usize, rows: u32, blocks: u32, dst: usize): void {
  if (blocks % 8 != 0) unreachable();
  check_rows(src, rows, 20 * blocks, 20 * blocks);
  check_rows(dst, rows, 20 * blocks, 20 * blocks);
  for (let b: u32 = 0; b < rows * blocks; b++, src += 20) {
    const to = dst + (b >> 3) * ROW_BYTES, j = b & 7;
    for (let i: u32 = 0; i < 4; i++) store<u32>(to + 32 * i + 4 * j, load<u32>(src + 4 * i, 4));
    store<u16>(to + 2 * j, load<u16>(src), 128);
    store<u16>(to + 2 * j, load<u16>(src, 2), 144);
  }
}

/** Activations f32 [k], k a multiple of 256, to records: for codes by bits, or by conversion. */
export function arrange(x: usize, k: u32, byBits: bool, dst: usize): void {
  if (k % 256 != 0) unreachable();
  check_bytes(x, <u64>k << 2);
  check_bytes(dst, <u64>(k >> 8) * RECORD);
  for (let s: u32 = 0; s < k >> 8; s++, x += 1024, dst += RECORD) {
    for (let j: u32 = 0; j < 8; j++) {
      let sum: f32 = 0, even: f32 = 0, odd: f32 = 0;
      for (let i: u32 = 0; i < 4; i++) {
        for (let n: u32 = 0; n < 8; n++) {
          const value = load<f32>(x + 4 * (32 * j + weight_of(i, n)));
          const factor: f32 = byBits ? ((n & 1) == 0 ? 8 : 128) : 1 / <f32>(1 << (4 * (n & 3)));
          store<f32>(dst + 32 * (8 * i + n) + 4 * j, factor * value);
          sum += value;
          if ((n & 1) == 0) even += factor * value;
          else odd += factor * value;
        }
      }
      store<f32>(dst + 4 * j, sum, 1024);
      store<f32>(dst + 4 * j, even, 1056);
      store<f32>(dst + 4 * j, odd, 1088);
    }
  }
}

/** out[r] = Σ_i w[r, i] · x[i]; rows a multiple of 4; sums: 128 bytes. */
export function matvec_by_bits(
  w: usize, rows: u32, k: u32, records: usize, out: usize, sums: usize,
): void {
  matvec<bool>(w, rows, k, records, out, sums);
}

/** The same with codes converted as integers. */
export function matvec_by_conversion(
  w: usize, rows: u32, k: u32, records: usize, out: usize, sums: usize,
): void {
  matvec<u8>(w, rows, k, records, out, sums);
}

/** How: bool: by bits, u8: by conversion. Four rows side by side, far apart, two at a time. */
@inline
function matvec<How>(
  w: usize, rows: u32, k: u32, records: usize, out: usize, sums: usize,
): void {
  if (k % 256 != 0 || rows % 4 != 0) unreachable();
  const superblocks = k >> 8;
  const stride = superblocks * ROW_BYTES;
  check_rows(w, rows, stride, stride);
  check_bytes(records, <u64>superblocks * RECORD);
  check_f32_rows(out, 1, rows, rows);
  check_bytes(sums, 128);
  const quarter = rows >> 2;
  const far = quarter * stride;
  const zero = i32x4.splat(opaque(0, superblocks));
  const one = i32x4.splat(opaque(0x3f800000, superblocks));
  const f16 = i32x4.splat(opaque(F16_MASK, superblocks));
  const owed = f32x4.splat(reinterpret<f32>(opaque(OWED, superblocks)));
  const by = f32x4.splat(reinterpret<f32>(opaque(isBoolean<How>() ? OWED_16 : OWED, superblocks)));
  const m0 = i32x4.splat(opaque(isBoolean<How>() ? 0xf0000 : 15, superblocks));
  const m1 = i32x4.splat(opaque(isBoolean<How>() ? 0xf000 : 15 << 4, superblocks));
  const m2 = isBoolean<How>() ? m0 : i32x4.splat(opaque(15 << 8, superblocks));
  const m3 = isBoolean<How>() ? m1 : i32x4.splat(opaque(15 << 12, superblocks));
  for (let r: u32 = 0; r < quarter; r++, w += stride) {
    memory.fill(sums, 0, 128);
    for (let s: u32 = 0; s < superblocks; s++) {
      const at = w + s * ROW_BYTES, x = records + s * RECORD;
      add_superblock<How>(at, x, sums, one, f16, owed, by, m0, m1, m2, m3);
      add_superblock<How>(at + far, x, sums + 32, one, f16, owed, by, m0, m1, m2, m3);
      add_superblock<How>(at + 2 * far, x, sums + 64, one, f16, owed, by, m0, m1, m2, m3);
      add_superblock<How>(at + 3 * far, x, sums + 96, one, f16, owed, by, m0, m1, m2, m3);
    }
    const p = join_pair(v128.load(sums), v128.load(sums, 16), 1, zero);
    const q = join_pair(v128.load(sums, 32), v128.load(sums, 48), 1, zero);
    const u = join_pair(v128.load(sums, 64), v128.load(sums, 80), 1, zero);
    const v = join_pair(v128.load(sums, 96), v128.load(sums, 112), 1, zero);
    store_lanes(out + 4 * r, 4 * quarter, 4, sum_lanes_4(p, q, u, v));
  }
}

/** acc + code n of four words as floats, 1 + q / 128, 1 + q / 2048 or q · 16^(n % 4), by y. */
@inline
function add<How>(x: v128, y: v128, acc: v128, mask: v128, one: v128): v128 {
  const code = v128.and(x, mask);
  if (isBoolean<How>()) return madd(v128.or(code, one), y, acc);
  return madd(f32x4.convert_i32x4_s(code), y, acc);
}

/** sums[8] += a superblock of the row at w by the record at x. Unrolled by hand. */
@inline
function add_superblock<How>(
  w: usize, x: usize, sums: usize,
  one: v128, f16: v128, owed: v128, by: v128, m0: v128, m1: v128, m2: v128, m3: v128,
): void {
  const factors = w;
  let a0 = f32x4.splat(0), a1 = a0, b0 = a0, b1 = a0;
  let c0 = a0, c1 = a0, d0 = a0, d1 = a0;
  const end = x + 1024;
  w -= 2;
  for (; x != end; x += 256) {
    // By bits, code n stands at bit 16 or 12 of the words from 2 bytes before them on, 1 byte …
    let p0 = isBoolean<How>() ? v128.load(w) : v128.load(w, 2);
    let p1 = isBoolean<How>() ? v128.load(w, 16) : v128.load(w, 18);
    a0 = add<How>(p0, v128.load(x, 0), a0, m0, one);
    a1 = add<How>(p1, v128.load(x, 16), a1, m0, one);
    if (isBoolean<How>()) p0 = v128.load(w, 1), p1 = v128.load(w, 17);
    b0 = add<How>(p0, v128.load(x, 32), b0, m1, one);
    b1 = add<How>(p1, v128.load(x, 48), b1, m1, one);
    c0 = add<How>(p0, v128.load(x, 64), c0, m2, one);
    c1 = add<How>(p1, v128.load(x, 80), c1, m2, one);
    if (isBoolean<How>()) p0 = v128.load(w, 2), p1 = v128.load(w, 18);
    d0 = add<How>(p0, v128.load(x, 96), d0, m3, one);
    d1 = add<How>(p1, v128.load(x, 112), d1, m3, one);
    if (!isBoolean<How>()) p0 = i32x4.shr_u(p0, 16), p1 = i32x4.shr_u(p1, 16);
    a0 = add<How>(p0, v128.load(x, 128), a0, m0, one);
    a1 = add<How>(p1, v128.load(x, 144), a1, m0, one);
    if (isBoolean<How>()) p0 = v128.load(w, 3), p1 = v128.load(w, 19);
    b0 = add<How>(p0, v128.load(x, 160), b0, m1, one);
    b1 = add<How>(p1, v128.load(x, 176), b1, m1, one);
    c0 = add<How>(p0, v128.load(x, 192), c0, m2, one);
    c1 = add<How>(p1, v128.load(x, 208), c1, m2, one);
    if (isBoolean<How>()) p0 = v128.load(w, 4), p1 = v128.load(w, 20);
    d0 = add<How>(p0, v128.load(x, 224), d0, m3, one);
    d1 = add<How>(p1, v128.load(x, 240), d1, m3, one);
    w += 32;
  }
  const t0 = v128.load(x), t1 = v128.load(x, 16);
  a0 = f32x4.add(a0, c0), a1 = f32x4.add(a1, c1);
  b0 = f32x4.add(b0, d0), b1 = f32x4.add(b1, d1);
  if (isBoolean<How>()) {
    a0 = f32x4.sub(a0, v128.load(x, 32)), a1 = f32x4.sub(a1, v128.load(x, 48));
    b0 = f32x4.sub(b0, v128.load(x, 64)), b1 = f32x4.sub(b1, v128.load(x, 80));
  }
  a0 = f32x4.add(a0, b0), a1 = f32x4.add(a1, b1);
  const e0 = f16_bits_to_f32x4(v128.load_ext<i16>(factors, 128), f16);
  const e1 = f16_bits_to_f32x4(v128.load_ext<i16>(factors, 136), f16);
  const g0 = f16_bits_to_f32x4(v128.load_ext<i16>(factors, 144), f16);
  const g1 = f16_bits_to_f32x4(v128.load_ext<i16>(factors, 152), f16);
  let r0 = v128.load(sums), r1 = v128.load(sums, 16);
  r0 = madd(f32x4.mul(e0, by), a0, r0), r1 = madd(f32x4.mul(e1, by), a1, r1);
  r0 = madd(f32x4.mul(g0, owed), t0, r0), r1 = madd(f32x4.mul(g1, owed), t1, r1);
  v128.store(sums, r0);
  v128.store(sums, r1, 16);
}
