// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Selective state spaces: a state per channel, f32 [states], that decays and is added to with every
 * token. Of the first kind each channel has time steps and decays of its own, of the second heads
 * of channels share them. Four channels at a time, whose states stay in the core's first cache for
 * all tokens. Contract: wasm/kernels.ts; formulas: src/reference/state_space.ts.
 */
import { check_bytes, check_f32_rows } from "./bounds";
import { exp_f32x4 } from "./exp";
import { join_pair, madd, opaque, splat_lane, step_states, sum_lanes_4 } from "./simd";

/** What both kernels ask of their sizes. */
@inline
function check(from: usize, to: usize, channels: u64, states: u32): void {
  if (channels == 0 || (channels & 3) != 0 || channels >> 20 != 0) unreachable();
  if (states == 0 || (states & 3) != 0 || states >> 12 != 0) unreachable();
  check_bytes(from, (channels * states) << 2);
  check_bytes(to, (channels * states) << 2);
}

/** The states of four channels to where they will be changed. */
@inline
function carry(from: usize, to: usize, bytes: u32): void {
  if (from == 0) memory.fill(to, 0, bytes);
  else if (from != to) memory.copy(to, from, bytes);
}

/** The first kind: a [channels, states], b and c [n, bcStride] of all channels. */
export function scan_channels_f32(
  x: usize,
  stride: u32,
  dt: usize,
  dtStride: u32,
  a: usize,
  b: usize,
  c: usize,
  bcStride: u32,
  d: usize,
  from: usize,
  to: usize,
  out: usize,
  outStride: u32,
  n: u32,
  channels: u32,
  states: u32,
): void {
  check(from, to, channels, states);
  check_f32_rows(x, n, stride, channels);
  check_f32_rows(dt, n, dtStride, channels);
  check_f32_rows(out, n, outStride, channels);
  check_f32_rows(b, n, bcStride, states);
  check_f32_rows(c, n, bcStride, states);
  check_bytes(a, <u64>channels * states << 2);
  check_bytes(d, <u64>channels << 2);
  const rowBytes = states << 2;
  for (let first: u32 = 0; first < channels; first += 4) {
    const at = first << 2;
    const state = to + first * rowBytes;
    const decay = a + first * rowBytes;
    carry(from == 0 ? 0 : from + first * rowBytes, state, 4 * rowBytes);
    const skip = v128.load(d + at);
    for (let t: u32 = 0; t < n; t++) {
      const xs = v128.load(x + ((t * stride) << 2) + at);
      const dts = v128.load(dt + ((t * dtStride) << 2) + at);
      const added = f32x4.mul(xs, dts);
      const bs = b + ((t * bcStride) << 2), cs = c + ((t * bcStride) << 2);
      const y = sum_lanes_4(
        step_channel(state, decay, bs, cs, dts, added, 0, rowBytes),
        step_channel(state, decay, bs, cs, dts, added, 1, rowBytes),
        step_channel(state, decay, bs, cs, dts, added, 2, rowBytes),
        step_channel(state, decay, bs, cs, dts, added, 3, rowBytes),
      );
      v128.store(out + ((t * outStride) << 2) + at, madd(skip, xs, y));
    }
  }
}

/** One of four channels and a token; gives state · c in four sums. */
@inline
function step_channel(
  states: usize,
  decays: usize,
  b: usize,
  c: usize,
  dts: v128,
  addeds: v128,
  channel: i32,
  rowBytes: u32,
): v128 {
  const state = states + channel * rowBytes, decay = decays + channel * rowBytes;
  const dt = splat_lane(dts, channel), added = splat_lane(addeds, channel);
  let y = f32x4.splat(0);
  for (let i: usize = 0; i < rowBytes; i += 16) {
    const stays = exp_f32x4(f32x4.mul(dt, v128.load(decay + i)));
    const s = madd(v128.load(state + i), stays, f32x4.mul(v128.load(b + i), added));
    v128.store(state + i, s);
    y = madd(s, v128.load(c + i), y);
  }
  return y;
}

/** The second kind: a and d [heads]; head h reads group (h + headOffset) / groupSize of b and c. */
export function scan_heads_f32(
  x: usize,
  stride: u32,
  dt: usize,
  dtStride: u32,
  a: usize,
  b: usize,
  c: usize,
  bcStride: u32,
  d: usize,
  from: usize,
  to: usize,
  out: usize,
  outStride: u32,
  n: u32,
  heads: u32,
  headDim: u32,
  states: u32,
  headOffset: u32,
  groupSize: u32,
): void {
  const channels = <u64>heads * headDim;
  check(from, to, channels, states);
  if ((headDim & 3) != 0 || groupSize == 0 || headOffset >= groupSize) unreachable();
  const groups = (<u64>headOffset + heads + groupSize - 1) / groupSize;
  check_f32_rows(x, n, stride, channels);
  check_f32_rows(dt, n, dtStride, heads);
  check_f32_rows(out, n, outStride, channels);
  check_f32_rows(b, n, bcStride, groups * states);
  check_f32_rows(c, n, bcStride, groups * states);
  check_bytes(a, <u64>heads << 2);
  check_bytes(d, <u64>heads << 2);
  const rowBytes = states << 2, zero = i32x4.splat(opaque(0, states));
  for (let head: u32 = 0; head < heads; head++) {
    const group = (head + headOffset) / groupSize * rowBytes;
    const decay = f32x4.splat(load<f32>(a + (head << 2)));
    const skip = f32x4.splat(load<f32>(d + (head << 2)));
    for (let first: u32 = 0; first < headDim; first += 4) {
      const channel = head * headDim + first;
      const at = channel << 2;
      const state = to + channel * rowBytes;
      carry(from == 0 ? 0 : from + channel * rowBytes, state, 4 * rowBytes);
      for (let t: u32 = 0; t < n; t++) {
        const xs = v128.load(x + ((t * stride) << 2) + at);
        const dts = f32x4.splat(load<f32>(dt + ((t * dtStride + head) << 2)));
        const bs = b + ((t * bcStride) << 2) + group, cs = c + ((t * bcStride) << 2) + group;
        const stay = f32x4.extract_lane(exp_f32x4(f32x4.mul(dts, decay)), 0);
        const y = step_four(state, stay, bs, cs, f32x4.mul(xs, dts), rowBytes, zero);
        v128.store(out + ((t * outStride) << 2) + at, madd(skip, xs, y));
      }
    }
  }
}

/**
 * Four channels of a head and one token; gives state · c of each. Neighbouring pairs of operations,
 * which V8 makes 256-bit ones of; the last four of an odd number of fours stand alone.
 */
@inline
function step_four(
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
