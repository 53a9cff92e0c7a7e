// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Queries of an attention call as its tiles have them: the heads of a key/value head's group, token
 * by token, times the scale; over integers as integers with a scale of their own.
 */
import { KV_LEVEL_MAX } from "../../src/memory/kv_layout";
import {
  Call,
  STATE_CORRECTION,
  STATE_MAX,
  state_of,
  STATE_QUERY_SCALE,
  TILE_QUERIES,
} from "./attention_call";
import { sum_lanes } from "./simd";

/** Sets the group that query head h is the first of, whose tiles are number `slot` of all. */
export function begin_group(call: Call, h: u32, slot: u32): void {
  call.firstHead = h;
  call.groupHeads = min((kv_head(call, h) + 1) * call.groupSize - call.headOffset, call.heads) - h;
  const queries = call.n * call.groupHeads;
  call.width = queries == 1 ? 1 : TILE_QUERIES;
  call.tiles = call.firstTiles + slot * call.groupBytes;
}

/** The key/value head of query head h. */
@inline
export function kv_head(call: Call, h: u32): u32 {
  return (h + call.headOffset) / call.groupSize;
}

/**
 * Packs the group's n · groupHeads queries, token by token, into tiles, times the scale; the last
 * tile is filled up with zeros. Resets the tiles' states.
 */
export function pack_queries<T>(call: Call): void {
  const count = call.n * call.groupHeads;
  const step = call.width << 2;
  for (let first: u32 = 0; first < count; first += call.width) {
    const tile = call.tiles + (first / call.width) * call.tileBytes;
    memory.fill(tile, 0, call.tileBytes);
    for (let lane: u32 = 0; lane < call.width; lane++) {
      const state = state_of(call, tile) + (lane << 2);
      store<f32>(state, -Infinity, STATE_MAX);
      store<f32>(state, 1, STATE_CORRECTION);
      if (first + lane >= count) continue;
      const from = query_at(call, first + lane);
      if (isFloat<T>()) pack_floats(call, from, tile + (lane << 2), step);
      else pack_integers(call, from, tile + (lane << 2), step, state);
    }
  }
}

/** One query as a column of floats. */
function pack_floats(call: Call, from: usize, to: usize, step: u32): void {
  for (let i: u32 = 0; i < call.headDim; i++) {
    store<f32>(to + i * step, load<f32>(from + (i << 2)) * call.scale);
  }
}

/**
 * One query as a column of pairs of integers, so large that headDim products with a key's stay
 * below 2^31: that is decided by the sum of all, not by the largest alone, for wide heads have many
 * small ones. A query that is not finite gets a scale that is not.
 */
function pack_integers(call: Call, from: usize, to: usize, step: u32, state: usize): void {
  let tops = f32x4.splat(0), sums = tops;
  for (let i: u32 = 0; i < call.headDim; i += 4) {
    const sizes = f32x4.abs(v128.load(from + (i << 2)));
    tops = f32x4.max(tops, sizes);
    sums = f32x4.add(sums, sizes);
  }
  const halves = f32x4.max(tops, i32x4.shuffle(tops, tops, 2, 3, 0, 1));
  const all = f32x4.max(halves, i32x4.shuffle(halves, halves, 1, 0, 3, 2));
  const largest = f32x4.extract_lane(all, 0), sum = sum_lanes(sums);
  // Rounding adds half a unit to each at most; the other half is for the sum's own error.
  const fits: u32 = 0x7fffffff / <u32>KV_LEVEL_MAX - call.headDim;
  const most = <f32>KV_LEVEL_MAX;
  const level: f32 = sum > 0 ? min<f32>(<f32>fits * (largest / sum), most) : most;
  store<f32>(state, largest / level * call.scale, STATE_QUERY_SCALE);
  if (largest == 0) return;
  const inverse = f32x4.splat(level / largest);
  for (let i: u32 = 0; i < call.headDim; i += 4) {
    const rounded = f32x4.nearest(f32x4.mul(v128.load(from + (i << 2)), inverse));
    const levels = i32x4.trunc_sat_f32x4_s(rounded);
    const pairs = i16x8.narrow_i32x4_s(levels, levels);
    v128.store_lane<u32>(to, pairs, 0);
    v128.store_lane<u32>(to + step, pairs, 1);
    to += step << 1;
  }
}

/** Query `index` of the group: token index / groupHeads. */
@inline
function query_at(call: Call, index: u32): usize {
  const t = index / call.groupHeads;
  const head = call.firstHead + index % call.groupHeads;
  return call.q + t * call.qStrideBytes + ((head * call.headDim) << 2);
}
