// deno-fmt-ignore-file: deno fmt removes decorators, and @unmanaged is one.
/**
 * Attention over a key/value cache of 16-bit integers with scales (T = i16) or f32.
 * Contract: wasm/kernels.ts; layout of the cache: src/memory/kv_layout.ts.
 *
 * Per key/value head, all query heads of its group and all tokens are queries alike, in tiles of
 * four, or of one when there is one (attention_queries.ts). The positions pass in blocks of 32:
 * every tile that sees a block scores it (attention_score.ts), softens the scores
 * (attention_soften.ts) and mixes its values in (attention_mix.ts). The cache's layout is the one
 * these loops read; meanwhile they fetch what is next. A sequence's blocks lie anywhere among the
 * cache's: a table has their numbers. Tokens of encoders see those behind them, too.
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
  state_of,
  STATE_SUM,
  value_piece_bytes,
} from "./attention_call";
import { LOG2_E } from "./exp";
import { mix_tile } from "./attention_mix";
import { begin_group, kv_head, pack_queries } from "./attention_queries";
import { score_tile } from "./attention_score";
import { prepare_values, sink_share, soften_tile } from "./attention_soften";
import { check_bytes, check_f32_rows } from "./bounds";
import { BIAS_SPAN } from "../../src/memory/bias_layout";

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
  for (let h: u32 = 0; h < heads;) h = attend_groups<T>(call, h);
  if (outStride > <u32>width) clear_padding(call, <u32>width);
}

/**
 * Query heads from `first` on, of as many key/value heads as there is room for; returns the one
 * behind them. A block's pieces lie one behind another, and one token's queries need little room:
 * so what is read is read from end to end, as prefetchers expect it.
 */
function attend_groups<T>(call: Call, first: u32): u32 {
  let behind = first, groups: u32 = 0;
  for (; behind < call.heads && groups < call.groupsMax; groups++) {
    begin_group(call, behind, groups);
    pack_queries<T>(call);
    behind += call.groupHeads;
  }
  const end = seen_end(call, call.n - 1);
  let block = first_seen(call, 0) / BLOCK_POSITIONS;
  for (let begin = block * BLOCK_POSITIONS; begin < end; begin += BLOCK_POSITIONS, block++) {
    const isLast = end - begin <= BLOCK_POSITIONS;
    const at = piece_at(call, block, first);
    const behindBlock = isLast ? at : piece_at(call, block + 1, first);
    for (let group: u32 = 0, h = first; group < groups; group++, h += call.groupHeads) {
      begin_group(call, h, group);
      const isLastGroup = group + 1 == groups;
      expect_piece<T>(call, isLastGroup ? behindBlock : at + group + 1, isLast && isLastGroup);
      attend_block<T>(call, at + group, begin, min(end - begin, BLOCK_POSITIONS));
    }
  }
  for (let group: u32 = 0, h = first; group < groups; group++, h += call.groupHeads) {
    begin_group(call, h, group);
    const queries = call.n * call.groupHeads;
    for (let query: u32 = 0; query < queries; query += call.width) {
      store_tile(call, tile_of(call, query), query);
    }
  }
  return behind;
}

/** The group's queries see the block that begins at position `begin`, in piece `at`. */
function attend_block<T>(call: Call, at: u32, begin: u32, count: u32): void {
  const keys = call.keys + at * key_piece_bytes<T>(call.headDim);
  const values = call.values + at * value_piece_bytes<T>(call.valueDim);
  const queries = call.n * call.groupHeads;
  if (!isFloat<T>() && count == BLOCK_POSITIONS) {
    call.valueUnit = prepare_values(call, values, count, call.valueWeights);
  }
  for (let first: u32 = 0; first < queries; first += call.width) {
    const firstToken = first / call.groupHeads;
    const lastToken = min(first + call.width - 1, queries - 1) / call.groupHeads;
    const seesNothingYet = seen_end(call, lastToken) <= begin;
    const seesNothingMore = first_seen(call, firstToken) >= begin + count;
    if (seesNothingYet || seesNothingMore) continue;
    const tile = tile_of(call, first);
    score_tile<T>(call, tile, keys);
    soften_tile<T>(call, tile, values, first, begin);
    mix_tile<T>(call, tile, values, count);
    call.lineStep = 0; // it has come
  }
}

/** The tile whose first query is number `first` of the group. */
@inline
function tile_of(call: Call, first: u32): usize {
  return call.tiles + (first / call.width) * call.tileBytes;
}

/**
 * Number of the piece of query head h's group in a block of the sequence; what is no block is the
 * last one.
 */
@inline
function piece_at(call: Call, block: u32, h: u32): u32 {
  const number = min(load<u32>(call.table + (block << 2)), call.lastBlock);
  return number * call.kvHeads + kv_head(call, h);
}

/**
 * Has the next tile's loops load a word of each line of piece `at`, of keys and of values in turns:
 * two streams, for a prefetcher is as many lines ahead of one as of each of two. Where keys are
 * wider than values, or narrower, one stream ends within the piece and one behind it.
 */
@inline
function expect_piece<T>(call: Call, at: u32, isNothing: bool): void {
  const keyBytes = key_piece_bytes<T>(call.headDim);
  const valueBytes = value_piece_bytes<T>(call.valueDim);
  const pieces = (call.lastBlock + 1) * call.kvHeads;
  const bytes = (keyBytes + valueBytes) / 2;
  const isTooSmall = pieces * min(keyBytes, valueBytes) < bytes;
  call.lineStep = isNothing || isTooSmall ? 0 : 64;
  call.nextLine = call.keys + min(at * keyBytes, pieces * keyBytes - bytes);
  call.otherLine = call.values + min(at * valueBytes, pieces * valueBytes - bytes);
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
