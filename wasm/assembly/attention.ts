// deno-fmt-ignore-file: deno fmt removes decorators, and @unmanaged is one.
/**
 * Attention over a key/value cache of 16-bit integers with scales (T = i16) or f32.
 * Contract: wasm/kernels.ts; layout of the cache: src/memory/kv_layout.ts.
 *
 * Per key/value head, all query heads of its group and all tokens are queries alike, in tiles of
 * four, or of one when there is one. The positions pass in blocks of 32: every tile that sees a
 * block scores it (attention_score.ts), softens the scores (attention_soften.ts) and mixes its
 * values in (attention_mix.ts). The cache's layout is the one these loops read. Meanwhile the next
 * block is fetched a few lines at a time: it starts on other pages, which no prefetcher expects. A
 * sequence's blocks lie anywhere among the cache's: a table has their numbers. Tokens of encoders
 * see those behind them, too.
 *
 * Over integers, queries and weights become integers, too: products are exact, and a sum of two of
 * 16 bits is one operation where a float's is two. headDim and valueDim are multiples of 4.
 */
import {
  BLOCK_POSITIONS,
  Call,
  CHUNK_COLUMNS,
  first_seen,
  key_piece_bytes,
  mixed_of,
  place_scratch,
  scratch_bytes,
  seen_end,
  STATE_CORRECTION,
  STATE_MAX,
  state_of,
  STATE_QUERY_SCALE,
  STATE_SUM,
  TILE_QUERIES,
  value_piece_bytes,
} from "./attention_call";
import { LOG2_E } from "./exp";
import { mix_tile } from "./attention_mix";
import { score_tile } from "./attention_score";
import { prepare_values, sink_share, soften_tile } from "./attention_soften";
import { check_bytes, check_f32_rows } from "./bounds";
import { BIAS_SPAN } from "../../src/memory/bias_layout";
import { KV_LEVEL_MAX } from "../../src/memory/kv_layout";

/** Bytes of scratch, exact as f64. It does not grow with the positions. */
export function attention_scratch_bytes(n: u32, heads: u32, groupSize: u32, headDim: u32): f64 {
  return <f64>scratch_bytes(n, heads, groupSize, headDim);
}

export function attention_i16(
  q: usize,
  qStride: u32,
  keys: usize,
  values: usize,
  kvHeads: u32,
  table: usize,
  blocks: u32,
  out: usize,
  outStride: u32,
  scratch: usize,
  n: u32,
  p0: u32,
  heads: u32,
  headOffset: u32,
  groupSize: u32,
  headDim: u32,
  valueDim: u32,
  window: u32,
  scale: f32,
  softCap: f32,
  sinks: usize,
  chunk: u32,
  slopes: usize,
  biases: usize,
  ahead: u32,
  end: u32,
): void {
  attention<i16>(
    q, qStride, keys, values, kvHeads, table, blocks, out, outStride, scratch,
    n, p0, heads, headOffset, groupSize, headDim, valueDim, window, scale, softCap, sinks,
    chunk, slopes, biases, ahead, end,
  );
}

export function attention_f32(
  q: usize,
  qStride: u32,
  keys: usize,
  values: usize,
  kvHeads: u32,
  table: usize,
  blocks: u32,
  out: usize,
  outStride: u32,
  scratch: usize,
  n: u32,
  p0: u32,
  heads: u32,
  headOffset: u32,
  groupSize: u32,
  headDim: u32,
  valueDim: u32,
  window: u32,
  scale: f32,
  softCap: f32,
  sinks: usize,
  chunk: u32,
  slopes: usize,
  biases: usize,
  ahead: u32,
  end: u32,
): void {
  attention<f32>(
    q, qStride, keys, values, kvHeads, table, blocks, out, outStride, scratch,
    n, p0, heads, headOffset, groupSize, headDim, valueDim, window, scale, softCap, sinks,
    chunk, slopes, biases, ahead, end,
  );
}

function attention<T>(
  q: usize,
  qStride: u32,
  keys: usize,
  values: usize,
  kvHeads: u32,
  table: usize,
  blocks: u32,
  out: usize,
  outStride: u32,
  scratch: usize,
  n: u32,
  p0: u32,
  heads: u32,
  headOffset: u32,
  groupSize: u32,
  headDim: u32,
  valueDim: u32,
  window: u32,
  scale: f32,
  softCap: f32,
  sinks: usize,
  chunk: u32,
  slopes: usize,
  biases: usize,
  ahead: u32,
  end: u32,
): void {
  if ((headDim & 3) != 0 || (headDim >> 16) != 0) unreachable();
  if ((valueDim & 3) != 0 || valueDim > headDim) unreachable();
  if (n == 0 || heads == 0 || headDim == 0) return;
  const positions = ahead == 0 ? <u64>p0 + n : <u64>end;
  if (positions < <u64>p0 + n || positions >> 31 != 0 || ahead >> 31 != 0) unreachable();
  if (groupSize == 0 || kvHeads >> 16 != 0) unreachable();
  if ((<u64>heads - 1 + headOffset) / groupSize >= kvHeads) unreachable();
  const width = <u64>heads * valueDim;
  check_f32_rows(q, n, qStride, <u64>heads * headDim);
  check_f32_rows(out, n, outStride, max<u64>(width, outStride));
  const blockHeads = <u64>blocks * kvHeads;
  if (blocks == 0 || blockHeads >> 32 != 0) unreachable();
  check_bytes(keys, blockHeads * key_piece_bytes<T>(headDim));
  check_bytes(values, blockHeads * value_piece_bytes<T>(valueDim));
  check_bytes(scratch, scratch_bytes(n, heads, groupSize, headDim));

  if (sinks != 0) check_bytes(sinks, <u64>heads << 2);
  if (slopes != 0) check_bytes(slopes, <u64>heads << 2);
  if (biases != 0) check_bytes(biases, <u64>heads * (BIAS_SPAN << 2));

  check_bytes(table, (positions + BLOCK_POSITIONS - 1) / BLOCK_POSITIONS << 2);

  const call = changetype<Call>(scratch);
  call.q = q;
  call.qStrideBytes = qStride << 2;
  call.keys = keys;
  call.values = values;
  call.kvHeads = kvHeads;
  call.table = table;
  call.lastBlock = blocks - 1;
  call.out = out;
  call.outStrideBytes = outStride << 2;
  call.n = n;
  call.p0 = p0;
  call.heads = heads;
  call.headOffset = headOffset;
  call.groupSize = groupSize;
  call.headDim = headDim;
  call.valueDim = valueDim;
  call.window = window;
  call.scale = scale * LOG2_E;
  call.softCap = softCap;
  call.sinks = sinks;
  call.chunk = chunk;
  call.slopes = slopes;
  call.biases = biases;
  call.ahead = ahead;
  call.positions = <u32>positions;
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
  const end = seen_end(call, call.n - 1);
  const keyBytes = key_piece_bytes<T>(call.headDim);
  const valueBytes = value_piece_bytes<T>(call.valueDim);
  const fetchedBytes = min(keyBytes, valueBytes); // of each
  pack_queries<T>(call);
  let block = first_seen(call, 0) / BLOCK_POSITIONS;
  for (let begin = block * BLOCK_POSITIONS; begin < end; begin += BLOCK_POSITIONS, block++) {
    const count = min(end - begin, BLOCK_POSITIONS);
    const isLast = end - begin <= BLOCK_POSITIONS;
    const at = piece_at(call, block);
    const keys = call.keys + at * keyBytes;
    const values = call.values + at * valueBytes;
    const next = isLast ? at : piece_at(call, block + 1);
    call.nextKeys = call.keys + next * keyBytes;
    call.nextValues = call.values + next * valueBytes;
    call.nextLeft = isLast ? 0 : fetchedBytes;
    call.nextStep = (fetchedBytes / fetches(call, queries) + 63) & ~63;
    if (!isFloat<T>() && count == BLOCK_POSITIONS) {
      call.valueUnit = prepare_values(call, values, count, call.valueWeights);
    }
    for (let first: u32 = 0; first < queries; first += call.width) {
      const firstToken = first / call.groupHeads;
      const lastToken = min(first + call.width - 1, queries - 1) / call.groupHeads;
      const seesNothingYet = seen_end(call, lastToken) <= begin;
      const seesNothingMore = first_seen(call, firstToken) >= begin + count;
      if (seesNothingYet || seesNothingMore) continue;
      const tile = call.tiles + (first / call.width) * call.tileBytes;
      fetch_next(call);
      score_tile<T>(call, tile, keys);
      fetch_next(call);
      soften_tile<T>(call, tile, values, first, begin);
      fetch_next(call);
      mix_tile<T>(call, tile, values, count);
    }
  }
  for (let first: u32 = 0; first < queries; first += call.width) {
    store_tile(call, call.tiles + (first / call.width) * call.tileBytes, first);
  }
}

/** Number of the group's piece of a block of the sequence; what is no block is the last one. */
@inline
function piece_at(call: Call, block: u32): u32 {
  const number = min(load<u32>(call.table + (block << 2)), call.lastBlock);
  return number * call.kvHeads + kv_head(call);
}

/** How often a block's work pauses to fetch. */
@inline
function fetches(call: Call, queries: u32): u32 {
  return (queries + call.width - 1) / call.width * 3;
}

/** Loads a word of each line of the next part of the next block. */
function fetch_next(call: Call): void {
  const bytes = min(call.nextStep, call.nextLeft);
  const keys = call.nextKeys, values = call.nextValues;
  let sum = call.fetched;
  for (let i: u32 = 0; i < bytes; i += 64) sum += load<u32>(keys + i) + load<u32>(values + i);
  call.fetched = sum;
  call.nextKeys = keys + bytes;
  call.nextValues = values + bytes;
  call.nextLeft -= bytes;
}

/** Sets the group that query head h is the first of. */
export function begin_group(call: Call, h: u32): void {
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
  let largest: f32 = 0, sum: f32 = 0;
  for (let i: u32 = 0; i < call.headDim; i++) {
    const size = abs<f32>(load<f32>(from + (i << 2)));
    largest = max<f32>(largest, size);
    sum += size;
  }
  // Rounding adds half a unit to each at most; the other half is for the sum's own error.
  const fits: u32 = 0x7fffffff / <u32>KV_LEVEL_MAX - call.headDim;
  const most = <f32>KV_LEVEL_MAX;
  const level: f32 = sum > 0 ? min<f32>(<f32>fits * (largest / sum), most) : most;
  store<f32>(state, largest / level * call.scale, STATE_QUERY_SCALE);
  if (largest == 0) return;
  const inverse = level / largest;
  for (let i: u32 = 0; i < call.headDim; i += 2) {
    const even = <i32>nearest<f32>(load<f32>(from + (i << 2)) * inverse);
    const odd = <i32>nearest<f32>(load<f32>(from + (i << 2), 4) * inverse);
    store<u32>(to + (i >> 1) * step, (even & 0xffff) | (odd << 16));
  }
}

/** Query `index` of the group: token index / groupHeads. */
@inline
function query_at(call: Call, index: u32): usize {
  const t = index / call.groupHeads;
  const head = call.firstHead + index % call.groupHeads;
  return call.q + t * call.qStrideBytes + ((head * call.headDim) << 2);
}

/** out = mixed / sum for the queries of a tile that are there; sinks count in the sum only. */
function store_tile(call: Call, tile: usize, first: u32): void {
  const total = call.n * call.groupHeads;
  const mixed = mixed_of(call, tile);
  for (let lane: u32 = 0; lane < call.width && first + lane < total; lane++) {
    const t = (first + lane) / call.groupHeads;
    const head = call.firstHead + (first + lane) % call.groupHeads;
    const to = call.out + t * call.outStrideBytes + ((head * call.valueDim) << 2);
    const state = state_of(call, tile) + (lane << 2);
    let sum = load<f32>(state, STATE_SUM);
    if (call.sinks != 0) sum += sink_share(load<f32>(call.sinks + (head << 2)), state);
    const inverse = f32x4.splat(1 / sum);
    for (let i: u32 = 0; i < call.valueDim; i += 4) {
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
