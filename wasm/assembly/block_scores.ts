// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * What heads' queries make of blocks of keys: of each the largest product with one of its keys.
 * Contract: wasm/chosen_kernels.ts; layout of the cache: src/memory/kv_layout.ts. As in indexer.ts
 * all heads of a token are queries alike, which share one key a position.
 */
import {
  BLOCK_POSITIONS,
  Call,
  key_piece_bytes,
  place_scratch,
  scratch_bytes,
  SCORE_ROW_BYTES,
} from "./attention_call";
import { begin_group, pack_queries } from "./attention_queries";
import { score_tile } from "./attention_score";
import { check_bytes, check_f32_rows } from "./bounds";
import { block_at } from "./store";

export function score_blocks_i16(
  q: usize,
  keys: usize,
  table: usize,
  blocks: u32,
  positions: u32,
  heads: u32,
  headDim: u32,
  blockPositions: u32,
  lastBlocks: u32,
  scores: usize,
  stride: u32,
  scratch: usize,
): void {
  score_blocks<i16>(
    q, keys, table, blocks, positions, heads, headDim, blockPositions, lastBlocks, scores, stride,
    scratch,
  );
}

export function score_blocks_f32(
  q: usize,
  keys: usize,
  table: usize,
  blocks: u32,
  positions: u32,
  heads: u32,
  headDim: u32,
  blockPositions: u32,
  lastBlocks: u32,
  scores: usize,
  stride: u32,
  scratch: usize,
): void {
  score_blocks<f32>(
    q, keys, table, blocks, positions, heads, headDim, blockPositions, lastBlocks, scores, stride,
    scratch,
  );
}

function score_blocks<T>(
  q: usize,
  keys: usize,
  table: usize,
  blocks: u32,
  positions: u32,
  heads: u32,
  headDim: u32,
  blockPositions: u32,
  lastBlocks: u32,
  scores: usize,
  stride: u32,
  scratch: usize,
): void {
  if ((headDim & 3) != 0 || headDim >> 16 != 0 || heads >> 16 != 0) unreachable();
  if (positions >> 31 != 0 || blocks == 0) unreachable();
  if (blockPositions == 0 || blockPositions % BLOCK_POSITIONS != 0) unreachable();
  if (positions == 0 || heads == 0 || headDim == 0) return;
  const count = (positions + BLOCK_POSITIONS - 1) / BLOCK_POSITIONS;
  const each = blockPositions / BLOCK_POSITIONS, scored = (count + each - 1) / each;
  if (stride < scored) unreachable();
  check_f32_rows(q, 1, 0, <u64>heads * headDim);
  check_f32_rows(scores, heads, stride, scored);
  check_bytes(keys, <u64>blocks * key_piece_bytes<T>(headDim));
  check_bytes(table, <u64>count << 2);
  check_bytes(scratch, scratch_bytes(1, heads, heads, headDim));
  const call = changetype<Call>(scratch);
  call.q = q;
  call.qStrideBytes = 0;
  call.n = 1;
  call.heads = call.groupSize = heads;
  call.headOffset = 0;
  call.headDim = call.valueDim = headDim;
  call.scale = 1;
  place_scratch(call);
  begin_group(call, 0, 0);
  pack_queries<T>(call);
  for (let head: u32 = 0; head < heads; head++) fill(scores, head * stride, scored, -Infinity);
  for (let block: u32 = 0; block < count; block++) {
    const piece = keys + block_at(table, block * BLOCK_POSITIONS, blocks) *
        key_piece_bytes<T>(headDim);
    const seen = min(positions - block * BLOCK_POSITIONS, BLOCK_POSITIONS);
    for (let first: u32 = 0; first < heads; first += call.width) {
      score_tile<T>(call, call.tiles + (first / call.width) * call.tileBytes, piece);
      const lanes = min(call.width, heads - first);
      for (let lane: u32 = 0; lane < lanes; lane++) {
        const to = scores + (((first + lane) * stride + block / each) << 2);
        store<f32>(to, largest(call.scores + lane * SCORE_ROW_BYTES, seen, load<f32>(to)));
      }
    }
  }
  const last = min(lastBlocks, scored);
  for (let head: u32 = 0; head < heads; head++) {
    fill(scores, head * stride + scored - last, last, Infinity);
  }
}

/** Of the first `count` numbers, and of `best`. */
function largest(at: usize, count: u32, best: f32): f32 {
  for (const end = at + (count << 2); at != end; at += 4) best = max<f32>(best, load<f32>(at));
  return best;
}

function fill(at: usize, first: u32, count: u32, value: f32): void {
  let to = at + (first << 2);
  for (const end = to + (count << 2); to != end; to += 4) store<f32>(to, value);
}

export function list_blocks(
  table: usize,
  count: u32,
  list: usize,
  k: u32,
  each: u32,
  toTable: usize,
): void {
  if (count == 0) unreachable();
  if (k == 0 || each == 0) return;
  if (k >> 16 != 0 || each >> 12 != 0) unreachable();
  check_bytes(table, <u64>count << 2);
  check_bytes(list, <u64>k << 2);
  check_bytes(toTable, (<u64>k * each) << 2);
  for (let i: u32 = 0; i < k; i++) {
    const first = <u64>load<u32>(list + (i << 2)) * each;
    for (let j: u32 = 0; j < each; j++, toTable += 4) {
      const at = <usize>min<u64>(first + j, count - 1);
      store<u32>(toTable, load<u32>(table + (at << 2)));
    }
  }
}
