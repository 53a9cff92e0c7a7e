// deno-fmt-ignore-file: deno fmt removes decorators, and @unmanaged is one.
/**
 * Causal attention over a key/value cache of f16 (T = u16) or f32. Contract: wasm/kernels.ts.
 *
 * Per key/value head, all query heads of its group and all tokens are queries alike, in tiles of
 * four. The positions pass in blocks of 32: a block's keys are transposed and its values widened
 * to f32 once, then every tile that sees the block scores it, softens the scores (softmax with a
 * running maximum) and mixes the values in. headDim is a multiple of 4.
 * Method: Dao et al., FlashAttention, arXiv:2205.14135 (online softmax over blocks).
 */
import { copy_values, pack_queries, transpose_keys } from "./attention_blocks";
import {
  are_few,
  BLOCK_POSITIONS,
  Call,
  first_seen,
  first_tile,
  place_scratch,
  reads_in_place,
  scratch_bytes,
  TILE_QUERIES,
} from "./attention_call";
import { score_in_place } from "./attention_in_place";
import { mix_tile, score_tile, soften_tile, store_tile } from "./attention_tiles";
import { check_bytes, check_f32_rows, check_rows } from "./bounds";

/** Bytes of scratch, exact as f64. It does not grow with the positions. */
export function attention_scratch_bytes(
  n: u32,
  positions: u32,
  heads: u32,
  groupSize: u32,
  headDim: u32,
): f64 {
  return <f64>scratch_bytes(n, heads, groupSize, headDim);
}

export function attention_f16(
  q: usize,
  qStride: u32,
  kCache: usize,
  vCache: usize,
  kvStride: u32,
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
    q, qStride, kCache, vCache, kvStride, out, outStride, scratch,
    n, p0, heads, headOffset, groupSize, headDim, window, scale, softCap,
  );
}

export function attention_f32(
  q: usize,
  qStride: u32,
  kCache: usize,
  vCache: usize,
  kvStride: u32,
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
    q, qStride, kCache, vCache, kvStride, out, outStride, scratch,
    n, p0, heads, headOffset, groupSize, headDim, window, scale, softCap,
  );
}

function attention<T>(
  q: usize,
  qStride: u32,
  kCache: usize,
  vCache: usize,
  kvStride: u32,
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
  if ((headDim & 3) != 0) unreachable();
  if (n == 0 || heads == 0 || headDim == 0) return;
  const positions = <u64>p0 + n;
  const kvHeads = (<u64>heads - 1 + headOffset) / groupSize + 1;
  if (positions >> 32 != 0 || kvHeads >> 24 != 0) unreachable();
  const width = <u64>heads * headDim;
  check_f32_rows(q, n, qStride, width);
  check_f32_rows(out, n, outStride, max<u64>(width, outStride));
  check_rows(kCache, <u32>positions, kvStride, kvHeads * headDim * sizeof<T>());
  check_rows(vCache, <u32>positions, kvStride, kvHeads * headDim * sizeof<T>());
  check_bytes(scratch, scratch_bytes(n, heads, groupSize, headDim));

  const call = changetype<Call>(scratch);
  call.q = q;
  call.qStrideBytes = qStride << 2;
  call.keys = kCache;
  call.values = vCache;
  call.kvStride = kvStride;
  call.out = out;
  call.outStrideBytes = outStride << 2;
  call.n = n;
  call.p0 = p0;
  call.heads = heads;
  call.headOffset = headOffset;
  call.groupSize = groupSize;
  call.headDim = headDim;
  call.window = window;
  call.scale = scale;
  call.softCap = softCap;
  place_scratch(call);
  if (are_few(call)) attend_few<T>(call);
  else attend_many<T>(call);
  if (outStride > <u32>width) {
    for (let t: u32 = 0; t < n; t++) {
      const row = out + ((t * outStride) << 2);
      memory.fill(row + (<usize>width << 2), 0, (outStride - <u32>width) << 2);
    }
  }
}

/** Many queries (prefill): group after group, each passing over all positions. */
function attend_many<T>(call: Call): void {
  for (let h: u32 = 0; h < call.heads; h += call.groupHeads) {
    begin_group(call, h);
    attend_group<T>(call, kv_head(call) * call.headDim * sizeof<T>());
  }
}

/** All query heads of one key/value head, whose bytes begin `headAt` into each cached row. */
function attend_group<T>(call: Call, headAt: u32): void {
  const queries = call.n * call.groupHeads;
  const end = call.p0 + call.n;
  pack_queries(call);
  for (let begin = first_seen(call, 0); begin < end; begin += BLOCK_POSITIONS) {
    const count = min(end - begin, BLOCK_POSITIONS);
    transpose_keys<T>(call, call.keys + begin * call.kvStride + headAt, count);
    copy_values<T>(call, call.values + begin * call.kvStride + headAt, count);
    for (let first: u32 = 0; first < queries; first += TILE_QUERIES) {
      const firstToken = first / call.groupHeads;
      const lastToken = min(first + TILE_QUERIES - 1, queries - 1) / call.groupHeads;
      const seesNothingYet = call.p0 + lastToken < begin;
      const seesNothingMore = first_seen(call, firstToken) >= begin + count;
      if (seesNothingYet || seesNothingMore) continue;
      const tile = call.tiles + (first / TILE_QUERIES) * call.tileBytes;
      score_tile(call, tile);
      soften_tile(call, tile, first, begin);
      mix_tile(call, tile, count);
    }
  }
  store_tiles(call);
}

/**
 * Few queries a group (decoding): block after block, each passing over all groups, so that the
 * cache is read once and in order. Keys are read in place for a single tile of queries.
 */
function attend_few<T>(call: Call): void {
  const end = call.p0 + call.n;
  const groupTiles = (call.n * min(call.groupSize, call.heads) + TILE_QUERIES - 1) / TILE_QUERIES;
  const groupBytes = groupTiles * call.tileBytes;
  for (let h: u32 = 0; h < call.heads; h += call.groupHeads) {
    begin_group(call, h);
    pack_queries(call);
    call.tiles += groupBytes;
  }
  const rowAt = (call.headOffset / call.groupSize) * call.headDim * sizeof<T>();
  const rowBytes = (kv_head(call) + 1) * call.headDim * sizeof<T>() - rowAt;
  for (let begin = first_seen(call, 0); begin < end; begin += BLOCK_POSITIONS) {
    const count = min(end - begin, BLOCK_POSITIONS);
    const at = begin * call.kvStride;
    touch_rows(call, call.keys + at + rowAt, rowBytes, count);
    touch_rows(call, call.values + at + rowAt, rowBytes, count);
    call.tiles = first_tile(call);
    for (let h: u32 = 0; h < call.heads; h += call.groupHeads) {
      begin_group(call, h);
      attend_block<T>(call, begin, count);
      call.tiles += groupBytes;
    }
  }
  call.tiles = first_tile(call);
  for (let h: u32 = 0; h < call.heads; h += call.groupHeads) {
    begin_group(call, h);
    store_tiles(call);
    call.tiles += groupBytes;
  }
}

/** The tiles of the group at work against one block of positions. */
function attend_block<T>(call: Call, begin: u32, count: u32): void {
  const at = begin * call.kvStride + kv_head(call) * call.headDim * sizeof<T>();
  const inPlace = reads_in_place(call);
  if (!inPlace) transpose_keys<T>(call, call.keys + at, count);
  copy_values<T>(call, call.values + at, count);
  const queries = call.n * call.groupHeads;
  for (let first: u32 = 0; first < queries; first += TILE_QUERIES) {
    const tile = call.tiles + (first / TILE_QUERIES) * call.tileBytes;
    if (inPlace) score_in_place<T>(call, tile, call.keys + at, count);
    else score_tile(call, tile);
    soften_tile(call, tile, first, begin);
    mix_tile(call, tile, count);
  }
}

/** The results of the group at work. */
function store_tiles(call: Call): void {
  const queries = call.n * call.groupHeads;
  for (let first: u32 = 0; first < queries; first += TILE_QUERIES) {
    store_tile(call, call.tiles + (first / TILE_QUERIES) * call.tileBytes, first);
  }
}

/** Sets the group that query head h is the first of. */
function begin_group(call: Call, h: u32): void {
  call.firstHead = h;
  const kvHead = kv_head(call);
  call.groupHeads = min((kvHead + 1) * call.groupSize - call.headOffset, call.heads) - h;
}

/** The key/value head of the group at work. */
@inline
function kv_head(call: Call): u32 {
  return (call.firstHead + call.headOffset) / call.groupSize;
}

/**
 * Reads a word of each cache line of `count` rows. A head's part of the rows is strided memory
 * that the prefetcher does not follow; whole rows, one after the other, it does.
 */
function touch_rows(call: Call, row: usize, rowBytes: u32, count: u32): void {
  let all: u32 = 0;
  for (let p: u32 = 0; p < count; p++) {
    for (let i: u32 = 0; i < rowBytes; i += 64) all ^= load<u32>(row + i);
    row += call.kvStride;
  }
  call.touched = all; // lest the loop is optimised away
}
