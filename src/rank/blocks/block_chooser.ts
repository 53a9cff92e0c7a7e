/**
 * Blocks of keys that heads choose, on one rank: what each own key/value head's query makes of
 * every block of the cache, the best of them, and attention over these. Nothing is moved: a table
 * names the chosen blocks as if they were all of a sequence, of which the token's own is the last.
 */
import {
  SEGMENT_POSITION,
  SEGMENT_ROWS,
  SEGMENT_SLOT,
  SEGMENT_WORDS,
} from "../../memory/control_layout.ts";
import type { BlockIndexerConfig } from "../../model/types.ts";
import type { BlockIndexerMatrices } from "../bound/bound_block_indexer.ts";
import type { Layer } from "../bound/layer.ts";
import { type Activations, multiply } from "../bound/matrix.ts";
import { tableBlocks } from "../plan/kv_bytes.ts";
import { blocksOf, cacheBlocksOf } from "../plan/plan_block_indexer.ts";
import type { IndexerWorkspace } from "../plan/plan_indexer.ts";
import { rotateHeads, storeKeys, tableOf } from "../step/head_rows.ts";
import type { StepState } from "../step/step_state.ts";

export class BlockChooser {
  readonly #state: StepState;
  readonly #config: BlockIndexerConfig;
  /** Blocks of the cache to one that is chosen. */
  readonly #cacheBlocks: number;
  /** From one head's scores to the next one's. */
  readonly #stride: number;

  constructor(state: StepState, config: BlockIndexerConfig) {
    this.#state = state;
    this.#config = config;
    this.#cacheBlocks = cacheBlocksOf(config);
    this.#stride = blocksOf(config, state.plan.contextLength);
  }

  /** x: norm(residual). */
  project(layer: Layer, matrices: BlockIndexerMatrices, x: Activations): void {
    const { kernels, n, fractions: { epsilon } } = this.#state;
    const { headDim } = this.#config;
    const { query, key } = this.#space;
    const { kvHeadCount: heads } = layer;
    const width = heads * headDim;
    const { queryWeight, keyWeight } = matrices;
    multiply(kernels, matrices.query, x, n, query, width);
    multiply(kernels, matrices.key, x, n, key, headDim);
    kernels.head_norm_f32(query, width, n, heads, headDim, queryWeight, 0, epsilon, 0);
    kernels.head_norm_f32(key, headDim, n, 1, headDim, keyWeight, 0, epsilon, 0);
  }

  /** By the angles of attention's heads: the same dimensions come first. */
  rotate({ kvHeadCount: heads, rope }: Layer): void {
    if (rope === null) return;
    const { headDim } = this.#config;
    const { query, key } = this.#space;
    rotateHeads(this.#state, rope, query, heads, headDim);
    rotateHeads(this.#state, rope, key, 1, headDim);
  }

  remember({ indexedKeys }: Layer): void {
    storeKeys(this.#state, this.#space.key, this.#config.headDim, indexedKeys);
  }

  /** Attention of the tokens that have more blocks before them than are chosen. */
  attend(layer: Layer): void {
    const { segments, segmentCount } = this.#state;
    let before = 0;
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      const first = segments[at + SEGMENT_POSITION], rows = segments[at + SEGMENT_ROWS];
      const table = tableOf(this.#state, segments[at + SEGMENT_SLOT]);
      let position = Math.max(first, layer.seesAllBefore);
      for (; position < first + rows; position++) {
        const row = before + position - first;
        this.#score(layer, row, table, position + 1);
        for (let kvHead = 0; kvHead < layer.kvHeadCount; kvHead++) {
          this.#choose(kvHead, table, position + 1);
          this.#attendToChosen(layer, row, kvHead, position);
        }
      }
      before += rows;
    }
  }

  /** Of each block the largest product with a key, for each key/value head. */
  #score(layer: Layer, row: number, table: number, positions: number): void {
    const { kernels, plan: { kvType, kvBlocks } } = this.#state;
    const { headDim, blockPositions, lastBlocks } = this.#config;
    const { query, scores, scratch } = this.#space;
    const { indexedKeys: keys, kvHeadCount: heads } = layer;
    const score = kvType === "i16" ? kernels.score_blocks_i16 : kernels.score_blocks_f32;
    const q = query + row * heads * headDim * 4;
    score(
      q,
      keys,
      table,
      kvBlocks,
      positions,
      heads,
      headDim,
      blockPositions,
      lastBlocks,
      scores,
      this.#stride,
      scratch,
    );
  }

  #choose(kvHead: number, table: number, positions: number): void {
    const { kernels } = this.#state;
    const { blockPositions, blockCount } = this.#config;
    const { scores, scratch, lists, table: toTable } = this.#space;
    const blocks = Math.ceil(positions / blockPositions);
    const own = scores + kvHead * this.#stride * 4;
    kernels.choose_positions(own, blocks, blockCount, lists, scratch);
    const all = tableBlocks(positions);
    kernels.list_blocks(table, all, lists, blockCount, this.#cacheBlocks, toTable);
  }

  #attendToChosen(layer: Layer, row: number, kvHead: number, position: number): void {
    const { kernels, space, plan, fractions } = this.#state;
    const { blockPositions, blockCount } = this.#config;
    const { headCount, headDim, valueDim, groupSize, headOffset } = layer;
    const kernel = plan.kvType === "i16" ? kernels.attention_i16 : kernels.attention_f32;
    const first = Math.max(0, kvHead * groupSize - headOffset);
    const end = Math.min(headCount, (kvHead + 1) * groupSize - headOffset);
    const stride = plan.strides.attention;
    kernel(
      space.query + (row * headCount + first) * headDim * 4,
      (end - first) * headDim,
      layer.keys,
      layer.values,
      layer.kvHeadCount,
      this.#space.table,
      plan.kvBlocks,
      space.attention + (row * stride + first * valueDim) * 4,
      // What is behind these heads is cleared: the next ones write there afterwards.
      stride - first * valueDim,
      space.scratch,
      1,
      (blockCount - 1) * blockPositions + position % blockPositions,
      end - first,
      headOffset + first,
      groupSize,
      headDim,
      valueDim,
      0,
      fractions.attentionScale,
      fractions.attentionSoftCap,
      0,
      0,
      0,
      0,
      0,
      0,
    );
  }

  get #space(): IndexerWorkspace {
    return this.#state.space.indexer!;
  }
}
