// deno-fmt-ignore-file: deno fmt removes decorators, and @unmanaged is one.
/**
 * One attention call as its parts see it: the arguments, and where in the scratch things are. It
 * lies at the beginning of the scratch itself; a kernel has no other memory.
 *
 *   call │ key block      │ value block     │ scores     │ per tile of four queries:
 *        │ f32 [dim, 32]  │ f32 [32, padded]│ f32 [4, 32]│ queries f32 [dim, 4] or [4, dim]
 *        │                │                 │            │ state   f32 [3, 4]: max, sum, correction
 *        │                │                 │            │ mixed   f32 [padded / 16, 4, 16]
 *
 * `padded` is the head's dimension rounded up to 16.
 */

/** Positions that are scored at once. */
export const BLOCK_POSITIONS: u32 = 32;
/** Bytes of a row of scores. */
export const SCORE_ROW_BYTES: u32 = 128;
/** Queries of a tile. */
export const TILE_QUERIES: u32 = 4;

/** Up to this many queries a group, blocks of positions are the outer loop: the cache in order. */
const FEW_QUERIES: u32 = 8;

const CALL_BYTES: u64 = 128;
const SCORES_BYTES: u64 = 512;
/** Offsets in a tile's state: f32 [4] each. */
export const STATE_MAX: u32 = 0;
export const STATE_SUM: u32 = 16;
export const STATE_CORRECTION: u32 = 32;
const STATE_BYTES: u64 = 64;

@unmanaged
export class Call {
  q: usize;
  qStrideBytes: u32;
  keys: usize;
  values: usize;
  kvStride: u32;
  out: usize;
  outStrideBytes: u32;
  n: u32;
  p0: u32;
  heads: u32;
  headOffset: u32;
  groupSize: u32;
  headDim: u32;
  paddedDim: u32;
  window: u32;
  scale: f32;
  /** Scores become softCap · tanh(score / softCap); not above 0: not. */
  softCap: f32;
  /** First query head of the group at work, and how many there are. */
  firstHead: u32;
  groupHeads: u32;
  keyBlock: usize;
  valueBlock: usize;
  scores: usize;
  tiles: usize;
  tileBytes: u32;
  touched: u32;
}

/** Bytes of scratch; 2^60 when an argument is out of all proportion. */
export function scratch_bytes(n: u32, heads: u32, groupSize: u32, headDim: u32): u64 {
  const group = min(heads, groupSize);
  if ((n >> 20) != 0 || (group >> 16) != 0 || (headDim >> 16) != 0) return 1 << 60;
  const padded = (<u64>headDim + 15) & ~15;
  // All tiles of one group, or, when they are few, those of every group; the larger of the two,
  // so that scratch for n tokens serves any smaller number.
  const groups = groupSize == 0 ? 0 : <u64>heads / groupSize + 2;
  const tilesOfGroup = (<u64>n * group + TILE_QUERIES - 1) / TILE_QUERIES;
  const tiles = max<u64>(tilesOfGroup, groups * (FEW_QUERIES / TILE_QUERIES));
  const blocks = (<u64>headDim + padded) * (BLOCK_POSITIONS * 4);
  return CALL_BYTES + blocks + SCORES_BYTES + tiles * tile_bytes(headDim, padded);
}

/** Fills in where the parts of the scratch are; headDim must be set. */
export function place_scratch(call: Call): void {
  const dim = <u64>call.headDim;
  const padded = (dim + 15) & ~15;
  call.paddedDim = <u32>padded;
  call.keyBlock = changetype<usize>(call) + <usize>CALL_BYTES;
  call.valueBlock = call.keyBlock + <usize>dim * (BLOCK_POSITIONS * 4);
  call.scores = call.valueBlock + <usize>padded * (BLOCK_POSITIONS * 4);
  call.tiles = first_tile(call);
  call.tileBytes = <u32>tile_bytes(call.headDim, padded);
}

/** True when a group's queries are so few that reading the cache is most of the work. */
export function are_few(call: Call): bool {
  return <u64>call.n * min(call.groupSize, call.heads) <= FEW_QUERIES;
}

/** True when they are a single tile, for which transposing keys does not pay. */
export function reads_in_place(call: Call): bool {
  return <u64>call.n * min(call.groupSize, call.heads) <= TILE_QUERIES;
}

/** Address of the first tile. */
@inline
export function first_tile(call: Call): usize {
  return call.scores + <usize>SCORES_BYTES;
}

/** First position that token t sees. */
@inline
export function first_seen(call: Call, t: u32): u32 {
  const end = call.p0 + t + 1;
  return call.window != 0 && end > call.window ? end - call.window : 0;
}

/** Address of a tile's state, which follows its queries. */
@inline
export function state_of(call: Call, tile: usize): usize {
  return tile + call.headDim * 16;
}

/** Address of a tile's mixed values. */
@inline
export function mixed_of(call: Call, tile: usize): usize {
  return tile + call.headDim * 16 + <usize>STATE_BYTES;
}

@inline
function tile_bytes(headDim: u32, padded: u64): u64 {
  return <u64>headDim * 16 + STATE_BYTES + padded * 16;
}
