/** Kernels of keys that an indexer chooses: part of kernels.ts. */

export interface ChosenKernels {
  /**
   * scores f32 [positions] = Σ over heads of weight · max(0, query · key) of one token, for
   * positions 0 .. positions-1 of a cache of keys with one head, i16 in the layout of
   * src/memory/kv_layout.ts. Scores are written by whole blocks of 32. q f32 [heads, headDim];
   * weights f32 [heads]; headDim % 4 == 0. scratch: attention_scratch_bytes(1, heads, heads,
   * headDim).
   */
  score_positions_i16(
    q: number,
    weights: number,
    keys: number,
    table: number,
    blocks: number,
    positions: number,
    heads: number,
    headDim: number,
    scores: number,
    scratch: number,
  ): void;
  /** The same over an f32 cache. */
  score_positions_f32: ChosenKernels["score_positions_i16"];
  /**
   * scores f32 [heads, stride] = of each block of so many of the positions 0 .. positions-1 the
   * largest product of a head's query with a key, in a cache as above; of the last so many blocks
   * Infinity. Blocks are of 32 positions each, or several times as many. q f32 [heads, headDim];
   * headDim % 4 == 0. stride ≥ blocks. scratch: attention_scratch_bytes(1, heads, heads, headDim).
   */
  score_blocks_i16(
    q: number,
    keys: number,
    table: number,
    blocks: number,
    positions: number,
    heads: number,
    headDim: number,
    blockPositions: number,
    lastBlocks: number,
    scores: number,
    stride: number,
    scratch: number,
  ): void;
  /** The same over an f32 cache. */
  score_blocks_f32: ChosenKernels["score_blocks_i16"];
  /**
   * toTable u32 [k · each] = the numbers that a table u32 [count] has for the blocks list u32 [k],
   * of which each is `each` neighbours in it; what it has no numbers for has the last one.
   */
  list_blocks(
    table: number,
    count: number,
    list: number,
    k: number,
    each: number,
    toTable: number,
  ): void;
  /**
   * list u32 [k] = the positions of the k largest of scores f32 [n], ascending; of equal ones the
   * first. k ≤ n. scratch: choose_scratch_bytes() bytes.
   */
  choose_positions(scores: number, n: number, k: number, list: number, scratch: number): void;
  choose_scratch_bytes(): number;
  /**
   * Keys and values of the positions list u32 [count] of a sequence of so many, in a cache with one
   * head, i16, as positions 0 .. count-1 of blocks that lie as the cache's do; toTable u32 [blocks
   * of count] = 0, 1, … What is no position is the last one.
   */
  gather_positions_i16(
    keys: number,
    values: number,
    table: number,
    blocks: number,
    list: number,
    count: number,
    positions: number,
    headDim: number,
    valueDim: number,
    toKeys: number,
    toValues: number,
    toTable: number,
  ): void;
  /** The same of an f32 cache. */
  gather_positions_f32: ChosenKernels["gather_positions_i16"];
}
