// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** Rotary position embedding in place. Formula: src/reference/ops.ts rope. */
import { check_f32_rows } from "./bounds";

/**
 * x f32 [n, stride] holds `heads` heads of headDim; the first rotDim dimensions of each turn.
 * cosSin f32 [n, rotDim]: rotDim/2 cosines, then as many sines. neox 0: pairs (2i, 2i+1);
 * 1: pairs (i, i + rotDim/2). rotDim is even and at most headDim.
 */
export function rope_f32(
  x: usize,
  stride: u32,
  n: u32,
  heads: u32,
  headDim: u32,
  rotDim: u32,
  cosSin: usize,
  neox: u32,
): void {
  if (rotDim > headDim || (rotDim & 1) != 0) unreachable();
  check_f32_rows(x, n, stride, <u64>heads * headDim);
  check_f32_rows(cosSin, n, rotDim, rotDim);
  const half = rotDim >> 1;
  for (let t: u32 = 0; t < n; t++) {
    const cos = cosSin + ((t * rotDim) << 2);
    for (let h: u32 = 0; h < heads; h++) {
      const head = x + ((t * stride + h * headDim) << 2);
      if (neox != 0) turn_halves(head, cos, half);
      else turn_neighbours(head, cos, half);
    }
  }
}

/** Pairs (i, i + half). */
function turn_halves(head: usize, cos: usize, half: u32): void {
  const bytes = <usize>half << 2;
  const whole = bytes & ~15;
  let i: usize = 0;
  for (; i < whole; i += 16) {
    const a = v128.load(head + i);
    const b = v128.load(head + bytes + i);
    const c = v128.load(cos + i);
    const s = v128.load(cos + bytes + i);
    v128.store(head + i, f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s)));
    v128.store(head + bytes + i, f32x4.add(f32x4.mul(a, s), f32x4.mul(b, c)));
  }
  for (; i < bytes; i += 4) turn_one(head + i, head + bytes + i, cos + i, cos + bytes + i);
}

/** Pairs (2i, 2i+1): de-interleaved, turned, interleaved. */
function turn_neighbours(head: usize, cos: usize, half: u32): void {
  const bytes = <usize>half << 2;
  const whole = bytes & ~15;
  let i: usize = 0;
  for (; i < whole; i += 16) {
    const x0 = v128.load(head + 2 * i);
    const x1 = v128.load(head + 2 * i, 16);
    const a = i32x4.shuffle(x0, x1, 0, 2, 4, 6);
    const b = i32x4.shuffle(x0, x1, 1, 3, 5, 7);
    const c = v128.load(cos + i);
    const s = v128.load(cos + bytes + i);
    const ra = f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s));
    const rb = f32x4.add(f32x4.mul(a, s), f32x4.mul(b, c));
    v128.store(head + 2 * i, i32x4.shuffle(ra, rb, 0, 4, 1, 5));
    v128.store(head + 2 * i, i32x4.shuffle(ra, rb, 2, 6, 3, 7), 16);
  }
  for (; i < bytes; i += 4) {
    turn_one(head + 2 * i, head + 2 * i + 4, cos + i, cos + bytes + i);
  }
}
@inline
function turn_one(aAt: usize, bAt: usize, cos: usize, sin: usize): void {
  const a = load<f32>(aAt);
  const b = load<f32>(bAt);
  const c = load<f32>(cos);
  const s = load<f32>(sin);
  store<f32>(aAt, a * c - b * s);
  store<f32>(bAt, a * s + b * c);
}
