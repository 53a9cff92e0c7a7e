// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * What an indexer says of every position that a token may attend to, by keys of the cache of which
 * all its heads share one a token, and the positions with the most of it. Contract:
 * wasm/chosen_kernels.ts; layout of the cache: src/memory/kv_layout.ts.
 *
 * All heads of a token are queries alike, in attention's tiles, and blocks of 32 positions pass as
 * they do there (attention.ts): only what becomes of scores is another thing.
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
import { madd } from "./simd";
import { block_at } from "./store";

/** Numbers are sorted by so many bits at a time: their counts stay in the L1 cache. */
const DIGIT_BITS: u32 = 11;
const DIGITS: u32 = 1 << DIGIT_BITS;

export function score_positions_i16(
  q: usize,
  weights: usize,
  keys: usize,
  table: usize,
  blocks: u32,
  positions: u32,
  heads: u32,
  headDim: u32,
  scores: usize,
  scratch: usize,
): void {
  score_positions<i16>(
    q, weights, keys, table, blocks, positions, heads, headDim, scores, scratch,
  );
}

export function score_positions_f32(
  q: usize,
  weights: usize,
  keys: usize,
  table: usize,
  blocks: u32,
  positions: u32,
  heads: u32,
  headDim: u32,
  scores: usize,
  scratch: usize,
): void {
  score_positions<f32>(
    q, weights, keys, table, blocks, positions, heads, headDim, scores, scratch,
  );
}

function score_positions<T>(
  q: usize,
  weights: usize,
  keys: usize,
  table: usize,
  blocks: u32,
  positions: u32,
  heads: u32,
  headDim: u32,
  scores: usize,
  scratch: usize,
): void {
  if ((headDim & 3) != 0 || headDim >> 16 != 0 || heads >> 16 != 0) unreachable();
  if (positions >> 31 != 0 || blocks == 0) unreachable();
  if (positions == 0 || heads == 0 || headDim == 0) return;
  const count = (positions + BLOCK_POSITIONS - 1) / BLOCK_POSITIONS;
  check_f32_rows(q, 1, 0, <u64>heads * headDim);
  check_bytes(weights, <u64>heads << 2);
  check_bytes(keys, <u64>blocks * key_piece_bytes<T>(headDim));
  check_bytes(table, <u64>count << 2);
  check_bytes(scores, <u64>count * SCORE_ROW_BYTES);
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
  for (let block: u32 = 0; block < count; block++) {
    const piece = keys + block_at(table, block * BLOCK_POSITIONS, blocks) *
        key_piece_bytes<T>(headDim);
    const to = scores + block * SCORE_ROW_BYTES;
    memory.fill(to, 0, SCORE_ROW_BYTES);
    for (let first: u32 = 0; first < heads; first += call.width) {
      score_tile<T>(call, call.tiles + (first / call.width) * call.tileBytes, piece);
      const lanes = min(call.width, heads - first);
      for (let lane: u32 = 0; lane < lanes; lane++) {
        const weight = v128.load_splat<f32>(weights + ((first + lane) << 2));
        add_row(call.scores + lane * SCORE_ROW_BYTES, weight, to);
      }
    }
  }
}

/** sums += weight · max(0, scores), f32 [32] each. */
function add_row(scores: usize, weight: v128, sums: usize): void {
  const zero = f32x4.splat(0);
  for (const end = sums + SCORE_ROW_BYTES; sums != end; sums += 16, scores += 16) {
    v128.store(sums, madd(f32x4.max(v128.load(scores), zero), weight, v128.load(sums)));
  }
}

/**
 * list u32 [k] = the positions of the k largest of scores f32 [n], ascending; of equal ones the
 * first. What is no number counts as more than all, or less, by its sign. k ≤ n.
 */
export function choose_positions(
  scores: usize,
  n: u32,
  k: u32,
  list: usize,
  scratch: usize,
): void {
  if (k > n) unreachable();
  check_bytes(scores, <u64>n << 2);
  check_bytes(list, <u64>k << 2);
  check_bytes(scratch, choose_scratch_bytes());
  if (k == 0) return;
  // The k-th largest, digit by digit: `left` of what begins like it are wanted.
  let bar: u32 = 0, left = k;
  for (let shift: i32 = 32 - DIGIT_BITS; shift > -<i32>DIGIT_BITS; shift -= DIGIT_BITS) {
    const low = max(shift, 0), known: u32 = shift == 32 - DIGIT_BITS ? 32 : low + width_of(shift);
    memory.fill(scratch, 0, DIGITS << 2);
    for (let i: u32 = 0; i < n; i++) {
      const rank = rank_of(load<u32>(scores + (i << 2)));
      if (known < 32 && rank >> known != bar >> known) continue;
      const at = scratch + ((rank >> low & ((1 << width_of(shift)) - 1)) << 2);
      store<u32>(at, load<u32>(at) + 1);
    }
    let digit: u32 = (1 << width_of(shift)) - 1;
    for (; ; digit--) {
      const count = load<u32>(scratch + (digit << 2));
      if (count >= left) break;
      left -= count;
    }
    bar |= digit << low;
  }
  for (let i: u32 = 0, count: u32 = 0; count < k; i++) {
    const rank = rank_of(load<u32>(scores + (i << 2)));
    if (rank < bar || rank == bar && left == 0) continue;
    if (rank == bar) left--;
    store<u32>(list + (count << 2), i);
    count++;
  }
}

/** Bytes of scratch for `choose_positions`. */
export function choose_scratch_bytes(): u32 {
  return DIGITS << 2;
}

/** Bits of the digit at a shift: the last one has what is left. */
@inline
function width_of(shift: i32): u32 {
  return shift < 0 ? DIGIT_BITS + shift : DIGIT_BITS;
}

/** An integer that is larger where the float is; 0 and -0 are equal. */
@inline
function rank_of(bits: u32): u32 {
  if (bits == 0x80000000) bits = 0;
  return bits >> 31 != 0 ? ~bits : bits | 0x80000000;
}
