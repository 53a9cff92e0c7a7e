// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Selective state spaces: a state per channel, f32 [states], that decays and is added to with every
 * token. Of the first kind each channel has time steps and decays of its own, of the second heads
 * of channels share them. Four channels at a time, whose states stay in the core's first cache for
 * all tokens. Contract: wasm/kernels.ts; formulas: src/reference/state_space.ts.
 */
import { check_bytes, check_f32_rows } from "./bounds";
import { exp_f32x4 } from "./exp";
import { madd, opaque, splat_lane, sum_lanes_4 } from "./simd";
import { step_four } from "./state_step";

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
