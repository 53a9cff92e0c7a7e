// deno-fmt-ignore-file: deno fmt removes decorators, and @unmanaged is one.
/**
 * One attention call as its parts see it: the arguments, and where in the scratch things are. It
 * lies at the beginning of the scratch itself; a kernel has no other memory.
 *
 *   call │ scores      │ partial    │ value weights │ per tile of W = 4 or 1 queries:
 *        │ f32 [4, 32] │ f32 [4, 8] │ f32 [5, 32]   │ queries f32 [dim, W] or i16 [dim / 2, W, 2]
 *        │             │            │               │ state   f32 [8, 4]
 *        │             │            │               │ mixed   f32 [padded / 16, W, 16]
 *
 * All query heads of one key/value head and all tokens are queries alike. Every part begins on a
 * cache line where the scratch does: half of all loads of 256 bits would lie on two.
 */
import {
  KV_BLOCK_POSITIONS,
  KV_SCALES_BYTES,
  VALUE_PAD_ELEMENTS,
} from "../../src/memory/kv_layout";

/** Positions that are scored at once. */
export const BLOCK_POSITIONS: u32 = KV_BLOCK_POSITIONS;
/** Bytes of a row of scores. */
export const SCORE_ROW_BYTES: u32 = KV_BLOCK_POSITIONS * 4;
/** Queries of a tile at most. */
export const TILE_QUERIES: u32 = 4;
/** Columns of values that a tile mixes at once. */
export const CHUNK_COLUMNS: u32 = 16;

const CALL_BYTES: u32 = 192;
const SCORES_BYTES: u32 = TILE_QUERIES * SCORE_ROW_BYTES;
/** Of what a row's maximum or sum is made of. */
export const PARTIAL_BYTES: u32 = 32;
/** Offsets in a tile's state: f32 [4] each. */
export const STATE_MAX: u32 = 0;
export const STATE_SUM: u32 = 16;
export const STATE_CORRECTION: u32 = 32;
/** What the block's weights are relative to, and what they are worth in the sum: over integers. */
export const STATE_REFERENCE: u32 = 48;
export const STATE_SHARE: u32 = 64;
/** What a unit of an integer query and of an integer weight is worth. */
export const STATE_QUERY_SCALE: u32 = 80;
export const STATE_WEIGHT_SCALE: u32 = 96;
const STATE_BYTES: u32 = 128;

@unmanaged
export class Call {
  q: usize;
  qStrideBytes: u32;
  keys: usize;
  values: usize;
  kvHeads: u32;
  /** Numbers of the sequence's blocks, u32, and the largest that there is. */
  table: usize;
  lastBlock: u32;
  out: usize;
  outStrideBytes: u32;
  n: u32;
  p0: u32;
  heads: u32;
  headOffset: u32;
  groupSize: u32;
  headDim: u32;
  /** Of values, at most headDim; and rounded up to whole vectors. */
  valueDim: u32;
  paddedDim: u32;
  window: u32;
  scale: f32;
  softCap: f32;
  /** f32 [heads], or 0: there are none. */
  sinks: usize;
  /** Positions come in chunks of so many, of which a token sees its own; 0: of all. */
  chunk: u32;
  /** f32 [heads] by which scores fall with each position, or 0: they do not. */
  slopes: usize;
  /** f32 [heads, BIAS_SPAN] that scores have more, by distance; or 0: nothing. */
  biases: usize;
  /** How many positions behind its own a token sees: 0 in causal models. */
  ahead: u32;
  /** Positions that there are of the sequence. */
  positions: u32;
  /** First query head of the group at work, and how many there are. */
  firstHead: u32;
  groupHeads: u32;
  /** Lanes of this group's tiles: 4 or 1. */
  width: u32;
  scores: usize;
  /** A tile's maxima or sums of every eighth position. */
  partial: usize;
  /** Over integers: what a weight of 1 is at each position of the block, and a unit's worth. */
  valueWeights: usize;
  valueUnit: f32;
  /** The same for each row of tokens that do not all see the whole block. */
  cutWeights: usize;
  tiles: usize;
  tileBytes: u32;
  /** Tiles of the first group at work, bytes of each group's, and how many groups there can be. */
  firstTiles: usize;
  groupBytes: u32;
  groupsMax: u32;
  /** Where in the next piece of keys and of values the next lines are, and from line to line. */
  nextLine: usize;
  otherLine: usize;
  lineStep: u32;
  /** A sum that keeps the compiler from dropping loads. */
  fetched: u32;
}

/** Room for the tiles of several groups: a part of the L2 cache. */
const GROUPS_BYTES: u32 = 64 << 10;
const FIXED_BYTES: u32 = CALL_BYTES + 2 * SCORES_BYTES + TILE_QUERIES * PARTIAL_BYTES +
  SCORE_ROW_BYTES;

/** Bytes of a head's keys of one block. */
@inline
export function key_piece_bytes<T>(headDim: u32): u32 {
  return headDim * (KV_BLOCK_POSITIONS * <u32>sizeof<T>()) + (isFloat<T>() ? 0 : KV_SCALES_BYTES);
}

/** Bytes of a head's values of one block. */
@inline
export function value_piece_bytes<T>(valueDim: u32): u32 {
  return key_piece_bytes<T>(padded_dim(valueDim));
}

/** Where the positions' scales of a piece of integers are. */
@inline
export function scales_of(piece: usize, dim: u32): usize {
  return piece + dim * (KV_BLOCK_POSITIONS * 2);
}

/** valueDim rounded up to whole vectors of values. */
@inline
export function padded_dim(valueDim: u32): u32 {
  return (valueDim + VALUE_PAD_ELEMENTS - 1) & ~(VALUE_PAD_ELEMENTS - 1);
}

/** Bytes of scratch; 2^60 when an argument is out of all proportion. */
export function scratch_bytes(n: u32, heads: u32, groupSize: u32, headDim: u32): u64 {
  const group = min(heads, groupSize);
  if ((n >> 20) != 0 || (group >> 16) != 0 || (headDim >> 16) != 0) return 1 << 60;
  const bytes = group_bytes(n, group, headDim);
  const groups = groupSize == 0 ? 1 : (<u64>heads + groupSize - 1) / groupSize + 1;
  return FIXED_BYTES + max<u64>(bytes, min<u64>(GROUPS_BYTES, groups * bytes));
}

/** Bytes of a group's tiles. */
@inline
function group_bytes(n: u32, group: u32, headDim: u32): u64 {
  const tiles = (<u64>n * group + TILE_QUERIES - 1) / TILE_QUERIES;
  return max<u64>(tiles, 1) * tile_bytes(headDim);
}

/** Fills in where the parts of the scratch are; n, heads and their sizes must be set. */
export function place_scratch(call: Call): void {
  call.paddedDim = padded_dim(call.valueDim);
  call.scores = changetype<usize>(call) + CALL_BYTES;
  call.partial = call.scores + SCORES_BYTES;
  call.valueWeights = call.partial + TILE_QUERIES * PARTIAL_BYTES;
  call.cutWeights = call.valueWeights + SCORE_ROW_BYTES;
  call.firstTiles = call.cutWeights + SCORES_BYTES;
  call.tileBytes = <u32>tile_bytes(call.headDim);
  call.groupBytes = <u32>group_bytes(call.n, min(call.heads, call.groupSize), call.headDim);
  call.groupsMax = max<u32>(GROUPS_BYTES / call.groupBytes, 1);
  call.nextLine = call.otherLine = changetype<usize>(call);
  call.lineStep = 0;
}

/** First position that token t sees. */
@inline
export function first_seen(call: Call, t: u32): u32 {
  const end = call.p0 + t + 1;
  if (call.chunk != 0) return end - 1 - (end - 1) % call.chunk;
  return call.window != 0 && end > call.window ? end - call.window : 0;
}

/** Behind the last position that token t sees. */
@inline
export function seen_end(call: Call, t: u32): u32 {
  const end = min(call.p0 + t + 1 + call.ahead, call.positions);
  return call.chunk == 0 ? end : min(end, first_seen(call, t) + call.chunk);
}

/** Address of a tile's state, which follows its queries. */
@inline
export function state_of(call: Call, tile: usize): usize {
  return tile + call.headDim * (TILE_QUERIES * 4);
}

/** Address of a tile's mixed values. */
@inline
export function mixed_of(call: Call, tile: usize): usize {
  return state_of(call, tile) + STATE_BYTES;
}

@inline
function tile_bytes(headDim: u32): u64 {
  return (<u64>headDim + padded_dim(headDim)) * (TILE_QUERIES * 4) + STATE_BYTES;
}
