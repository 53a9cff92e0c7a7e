// deno-fmt-ignore-file: deno fmt removes decorators, and @unmanaged is one.
/**
 * Causal attention over a key/value cache of f16 (T = u16) or f32. Contract: wasm/kernels.ts;
 * layout of the cache: src/memory/kv_layout.ts.
 *
 * Per key/value head, all query heads of its group and all tokens are queries alike, in tiles of
 * four, or of one when there is one. The positions pass in blocks of 32: every tile that sees a
 * block scores it (attention_score.ts), softens the scores (attention_soften.ts) and mixes its
 * values in (attention_mix.ts). The cache's layout is the one these loops read; only where several
 * tiles read a block of f16, it is widened first. headDim is a multiple of 4.
 */
import {
  BLOCK_POSITIONS,
  Call,
  CHUNK_COLUMNS,
  first_seen,
  mixed_of,
  padded_dim,
  place_scratch,
  scratch_bytes,
  STATE_CORRECTION,
  STATE_MAX,
  state_of,
  STATE_SUM,
  TILE_QUERIES,
} from "./attention_call";
import { cached_high, cached_low } from "./attention_cached";
import { LOG2_E } from "./exp";
import { mix_tile } from "./attention_mix";
import { score_tile } from "./attention_score";
import { soften_tile } from "./attention_soften";
import { check_bytes, check_f32_rows } from "./bounds";
import { F16_MASK, opaque, TWO_POW_56 } from "./simd";

/** Bytes of scratch, exact as f64. It does not grow with the positions. */
export function attention_scratch_bytes(n: u32, heads: u32, groupSize: u32, headDim: u32): f64 {
  return <f64>scratch_bytes(n, heads, groupSize, headDim);
}

export function attention_f16(
  q: usize,
  qStride: u32,
  keys: usize,
  values: usize,
  kvHeads: u32,
  out: usize,
  outStride: u32,
  scratch: usize,
  n: u32,
  p0: u32,
  heads: u32,
  headOffset: u32,
  groupSize: u32,
  headDim: u32,
  window: u32,
  scale: f32,
  softCap: f32,
): void {
  attention<u16>(
    q, qStride, keys, values, kvHeads, out, outStride, scratch,
    n, p0, heads, headOffset, groupSize, headDim, window, scale, softCap,
  );
}

export function attention_f32(
  q: usize,
  qStride: u32,
  keys: usize,
  values: usize,
  kvHeads: u32,
  out: usize,
  outStride: u32,
  scratch: usize,
  n: u32,
  p0: u32,
  heads: u32,
  headOffset: u32,
  groupSize: u32,
  headDim: u32,
  window: u32,
  scale: f32,
  softCap: f32,
): void {
  attention<f32>(
    q, qStride, keys, values, kvHeads, out, outStride, scratch,
    n, p0, heads, headOffset, groupSize, headDim, window, scale, softCap,
  );
}

function attention<T>(
  q: usize,
  qStride: u32,
  keys: usize,
  values: usize,
  kvHeads: u32,
  out: usize,
  outStride: u32,
  scratch: usize,
  n: u32,
  p0: u32,
  heads: u32,
  headOffset: u32,
  groupSize: u32,
  headDim: u32,
  window: u32,
  scale: f32,
  softCap: f32,
): void {
  if ((headDim & 3) != 0 || (headDim >> 16) != 0) unreachable();
  if (n == 0 || heads == 0 || headDim == 0) return;
  const positions = <u64>p0 + n;
  if (groupSize == 0 || positions >> 31 != 0 || kvHeads >> 16 != 0) unreachable();
  if ((<u64>heads - 1 + headOffset) / groupSize >= kvHeads) unreachable();
  const width = <u64>heads * headDim;
  check_f32_rows(q, n, qStride, width);
  check_f32_rows(out, n, outStride, max<u64>(width, outStride));
  const blocks = (positions + BLOCK_POSITIONS - 1) / BLOCK_POSITIONS;
  const blockHeads = blocks * kvHeads;
  if (blockHeads >> 32 != 0) unreachable();
  check_bytes(keys, blockHeads * (headDim * BLOCK_POSITIONS * <u32>sizeof<T>()));
  check_bytes(values, blockHeads * (padded_dim(headDim) * BLOCK_POSITIONS * <u32>sizeof<T>()));
  check_bytes(scratch, scratch_bytes(n, heads, groupSize, headDim));

  const call = changetype<Call>(scratch);
  call.q = q;
  call.qStrideBytes = qStride << 2;
  call.keys = keys;
  call.values = values;
  call.kvHeads = kvHeads;
  call.out = out;
  call.outStrideBytes = outStride << 2;
  call.n = n;
  call.p0 = p0;
  call.heads = heads;
  call.headOffset = headOffset;
  call.groupSize = groupSize;
  call.headDim = headDim;
  call.window = window;
  call.scale = scale * LOG2_E * (isFloat<T>() ? 1 : TWO_POW_56);
  call.softCap = softCap;
  place_scratch(call);
  for (let h: u32 = 0; h < heads; h += call.groupHeads) {
    begin_group(call, h);
    attend_group<T>(call);
  }
  if (outStride > <u32>width) clear_padding(call, <u32>width);
}

/** All query heads of one key/value head. */
function attend_group<T>(call: Call): void {
  const queries = call.n * call.groupHeads;
  const end = call.p0 + call.n;
  const keyBytes = call.headDim * (BLOCK_POSITIONS * <u32>sizeof<T>());
  const valueBytes = call.paddedDim * (BLOCK_POSITIONS * <u32>sizeof<T>());
  const isWidened = !isFloat<T>() && queries > TILE_QUERIES;
  pack_queries(call);
  let block = first_seen(call, 0) / BLOCK_POSITIONS;
  for (let begin = block * BLOCK_POSITIONS; begin < end; begin += BLOCK_POSITIONS, block++) {
    const count = min(end - begin, BLOCK_POSITIONS);
    const at = block * call.kvHeads + kv_head(call);
    const keys = call.keys + at * keyBytes;
    const values = call.values + at * valueBytes;
    if (isWidened) {
      widen<T>(keys, call.keyBlock, call.headDim * BLOCK_POSITIONS);
      widen<T>(values, call.valueBlock, call.paddedDim * count);
    }
    for (let first: u32 = 0; first < queries; first += call.width) {
      const firstToken = first / call.groupHeads;
      const lastToken = min(first + call.width - 1, queries - 1) / call.groupHeads;
      const seesNothingYet = call.p0 + lastToken < begin;
      const seesNothingMore = first_seen(call, firstToken) >= begin + count;
      if (seesNothingYet || seesNothingMore) continue;
      const tile = call.tiles + (first / call.width) * call.tileBytes;
      if (isWidened) {
        score_tile<f32>(call, tile, call.keyBlock);
        soften_tile<T>(call, tile, first, begin);
        mix_tile<f32>(call, tile, call.valueBlock, count);
      } else {
        score_tile<T>(call, tile, keys);
        soften_tile<T>(call, tile, first, begin);
        mix_tile<T>(call, tile, values, count);
      }
    }
  }
  for (let first: u32 = 0; first < queries; first += call.width) {
    store_tile(call, call.tiles + (first / call.width) * call.tileBytes, first);
  }
}

/** A block of f16 as f32 · 2^-112, as the tiles take it; `count` is a multiple of 16. */
function widen<T>(from: usize, to: usize, count: u32): void {
  const mask = i32x4.splat(opaque(F16_MASK, count));
  from -= 16;
  const end = to + (count << 2);
  for (; to != end; to += 32, from += 8 * sizeof<T>()) {
    const x0 = cached_low<T>(from, mask), x1 = cached_high<T>(from, mask);
    v128.store(to, x0);
    v128.store(to, x1, 16);
  }
}

/** Sets the group that query head h is the first of. */
function begin_group(call: Call, h: u32): void {
  call.firstHead = h;
  call.groupHeads = min((kv_head(call) + 1) * call.groupSize - call.headOffset, call.heads) - h;
  const queries = call.n * call.groupHeads;
  call.width = queries == 1 ? 1 : TILE_QUERIES;
}

/** The key/value head of the group at work. */
@inline
function kv_head(call: Call): u32 {
  return (call.firstHead + call.headOffset) / call.groupSize;
}

/**
 * Packs the group's n · groupHeads queries, token by token, into tiles [dim, width], times the
 * scale; the last tile is filled up with zeros. Resets the tiles' states.
 */
function pack_queries(call: Call): void {
  const count = call.n * call.groupHeads;
  const step = call.width << 2;
  for (let first: u32 = 0; first < count; first += call.width) {
    const tile = call.tiles + (first / call.width) * call.tileBytes;
    for (let lane: u32 = 0; lane < call.width; lane++) {
      const index = first + lane;
      const to = tile + (lane << 2);
      const from = index < count ? query_at(call, index) : 0;
      for (let i: u32 = 0; i < call.headDim; i++) {
        const value: f32 = from != 0 ? load<f32>(from + (i << 2)) * call.scale : 0;
        store<f32>(to + i * step, value);
      }
      const state = state_of(call, tile) + (lane << 2);
      store<f32>(state, -Infinity, STATE_MAX);
      store<f32>(state, 0, STATE_SUM);
      store<f32>(state, 1, STATE_CORRECTION);
    }
    memory.fill(mixed_of(call, tile), 0, call.paddedDim * step);
  }
}

/** Query `index` of the group: token index / groupHeads. */
@inline
function query_at(call: Call, index: u32): usize {
  const t = index / call.groupHeads;
  const head = call.firstHead + index % call.groupHeads;
  return call.q + t * call.qStrideBytes + ((head * call.headDim) << 2);
}

/** out = mixed / sum for the queries of a tile that are there. */
function store_tile(call: Call, tile: usize, first: u32): void {
  const total = call.n * call.groupHeads;
  const mixed = mixed_of(call, tile);
  for (let lane: u32 = 0; lane < call.width && first + lane < total; lane++) {
    const t = (first + lane) / call.groupHeads;
    const head = call.firstHead + (first + lane) % call.groupHeads;
    const to = call.out + t * call.outStrideBytes + ((head * call.headDim) << 2);
    const inverse = f32x4.splat(1 / load<f32>(state_of(call, tile) + (lane << 2), STATE_SUM));
    for (let i: u32 = 0; i < call.headDim; i += 4) {
      const chunk = (i / CHUNK_COLUMNS * call.width + lane) * CHUNK_COLUMNS;
      const from = mixed + ((chunk + i % CHUNK_COLUMNS) << 2);
      v128.store(to + (i << 2), f32x4.mul(v128.load(from), inverse));
    }
  }
}

/** Zeroes what lies behind the heads in every row of the output. */
function clear_padding(call: Call, width: u32): void {
  const bytes = call.outStrideBytes - (width << 2);
  for (let t: u32 = 0; t < call.n; t++) {
    memory.fill(call.out + t * call.outStrideBytes + (width << 2), 0, bytes);
  }
}
