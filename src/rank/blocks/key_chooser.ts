/**
 * Keys that an indexer chooses, on one rank: what its queries score of every position of the cache,
 * the best of them, and attention over these, which are put side by side for it. Every rank with
 * heads chooses for itself, and all choose the same. Knows latents only as the one head of a cache.
 */
import {
  SEGMENT_POSITION,
  SEGMENT_ROWS,
  SEGMENT_SLOT,
  SEGMENT_WORDS,
} from "../../memory/control_layout.ts";
import type { IndexerConfig } from "../../model/types.ts";
import type { IndexerMatrices } from "../bound/bound_indexer.ts";
import type { Layer } from "../bound/layer.ts";
import { type Activations, multiply } from "../bound/matrix.ts";
import { tableBlocks } from "../plan/kv_bytes.ts";
import type { IndexerWorkspace } from "../plan/plan_indexer.ts";
import { storeKeys, tableOf } from "../step/head_rows.ts";
import type { StepState } from "../step/step_state.ts";

export class KeyChooser {
  readonly #state: StepState;
  readonly #config: IndexerConfig;
  /** By arena: the positions that are chosen, u32 [n, keyCount]. */
  readonly #lists: readonly Uint32Array[];
  /** Where the lists are that were made last. */
  #arena = 0;

  constructor(
    state: StepState,
    by: { readonly config: IndexerConfig; readonly memories: readonly WebAssembly.Memory[] },
  ) {
    this.#state = state;
    this.#config = by.config;
    const { workspaces, chunkTokens } = state.plan;
    const length = chunkTokens * by.config.keyCount;
    this.#lists = workspaces.map(({ indexer }, arena) =>
      new Uint32Array(by.memories[arena].buffer, indexer!.lists, length)
    );
  }

  /** x: norm(residual); short: what queries are made of. */
  project(matrices: IndexerMatrices, x: Activations, short: Activations): void {
    const { kernels, n, fractions: { indexerEpsilon: epsilon } } = this.#state;
    const { headCount, headDim } = this.#config;
    const { query, key, weights } = this.#space;
    const { keyWeight, keyBias } = matrices;
    multiply(kernels, matrices.query, short, n, query, headCount * headDim);
    multiply(kernels, matrices.weights, x, n, weights, headCount);
    multiply(kernels, matrices.key, x, n, key, headDim);
    kernels.head_norm_f32(key, headDim, n, 1, headDim, keyWeight, 0, epsilon, 1);
    kernels.add_bias_f32(key, headDim, keyBias, n, headDim);
  }

  /** By the angles of latents' heads. */
  rotate({ latent, rope }: Layer): void {
    if (latent!.indexer === null || rope === null) return;
    const { kernels, n, space: { ropes }, config } = this.#state;
    const { headCount, headDim, pairs, start = 0 } = this.#config;
    const query = this.#space.query + 4 * start, key = this.#space.key + 4 * start;
    const { dimensionCount } = config.ropes[rope];
    const neox = pairs === "neox" ? 1 : 0;
    const width = headCount * headDim;
    kernels.rope_f32(query, width, n, headCount, headDim, dimensionCount, ropes[rope], neox);
    kernels.rope_f32(key, headDim, n, 1, headDim, dimensionCount, ropes[rope], neox);
  }

  remember({ latent, indexedKeys }: Layer): void {
    if (latent!.indexer === null) return;
    storeKeys(this.#state, this.#space.key, this.#config.headDim, indexedKeys);
  }

  /** Attention of the tokens that have more positions before them than are chosen. */
  attend(layer: Layer): void {
    const { segments, segmentCount } = this.#state;
    const { keyCount } = this.#config;
    const isOwn = layer.latent!.indexer !== null;
    if (!isOwn) this.#carryLists();
    let before = 0;
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      const first = segments[at + SEGMENT_POSITION], rows = segments[at + SEGMENT_ROWS];
      const table = tableOf(this.#state, segments[at + SEGMENT_SLOT]);
      for (let position = Math.max(first, keyCount); position < first + rows; position++) {
        const row = before + position - first;
        if (isOwn) this.#choose(layer, row, table, position + 1);
        this.#gather(layer, row, table, position + 1);
        this.#attendToGathered(layer, row);
      }
      before += rows;
    }
    if (isOwn) this.#arena = this.#state.arena;
  }

  #choose(layer: Layer, row: number, table: number, positions: number): void {
    const { kernels, plan: { kvType, kvBlocks } } = this.#state;
    const { headCount, headDim, keyCount } = this.#config;
    const { query, weights, scores, scratch, lists } = this.#space;
    const score = kvType === "i16" ? kernels.score_positions_i16 : kernels.score_positions_f32;
    const [q, counts] = [query + row * headCount * headDim * 4, weights + row * headCount * 4];
    const { indexedKeys: keys } = layer;
    score(q, counts, keys, table, kvBlocks, positions, headCount, headDim, scores, scratch);
    kernels.choose_positions(scores, positions, keyCount, lists + row * keyCount * 4, scratch);
  }

  #gather(layer: Layer, row: number, table: number, positions: number): void {
    const { kernels, plan: { kvType, kvBlocks } } = this.#state;
    const { keyCount } = this.#config;
    const { lists, keys, values, table: toTable } = this.#space;
    const gather = kvType === "i16" ? kernels.gather_positions_i16 : kernels.gather_positions_f32;
    gather(
      layer.keys,
      layer.values,
      table,
      kvBlocks,
      lists + row * keyCount * 4,
      keyCount,
      positions,
      layer.headDim,
      layer.valueDim,
      keys,
      values,
      toTable,
    );
  }

  /** As if these were all positions of a sequence, of which the token is the last. */
  #attendToGathered(layer: Layer, row: number): void {
    const { kernels, space, plan, fractions } = this.#state;
    const { keyCount } = this.#config;
    const { keys, values, table } = this.#space;
    const { headCount, headDim, valueDim } = layer;
    const kernel = plan.kvType === "i16" ? kernels.attention_i16 : kernels.attention_f32;
    kernel(
      space.query + row * headCount * headDim * 4,
      headCount * headDim,
      keys,
      values,
      1,
      table,
      tableBlocks(keyCount),
      space.latent!.mixed + row * headCount * valueDim * 4,
      headCount * valueDim,
      space.scratch,
      1,
      keyCount - 1,
      headCount,
      layer.headOffset,
      layer.groupSize,
      headDim,
      valueDim,
      0,
      layer.scoreScale ?? fractions.attentionScale,
      fractions.attentionSoftCap,
      layer.sinks,
      0,
      0,
      0,
      0,
      keyCount,
    );
  }

  /** To the arena that the walk is in, where an earlier layer was in another one. */
  #carryLists(): void {
    const { arena } = this.#state;
    if (arena === this.#arena) return;
    this.#lists[arena].set(this.#lists[this.#arena]);
    this.#arena = arena;
  }

  get #space(): IndexerWorkspace {
    return this.#state.space.indexer!;
  }
}
