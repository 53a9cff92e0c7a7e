/**
 * Attention by relative positions of rows that see all rows of a step, or of their block of it, on
 * one rank: head by head, as products of matrices that are the step's own rows. Knows nothing of
 * other blocks of a layer.
 */
import { LONGEST_WAVE } from "../../model/conformer_types.ts";
import type { ModelConfig } from "../../model/types.ts";
import { floats } from "../bound/arena_views.ts";
import type { Relative } from "../bound/conformer.ts";
import { project, quantize, readsQ8 } from "../bound/matrix.ts";
import {
  ASKING_ROWS,
  type WholeAttentionPlaces,
  wholeAttentionPlaces,
} from "../plan/plan_conformer.ts";
import type { StepState } from "../step/step_state.ts";

/** What is read and written, of an arena: [n, own width], and attention [n, its stride]. */
export interface WholeAttentionViews {
  readonly query: Float32Array;
  readonly key: Float32Array;
  readonly value: Float32Array;
  readonly attention: Float32Array;
}

export class WholeAttention {
  readonly #state: StepState;
  readonly #config: NonNullable<ModelConfig["relative"]>;
  readonly #views: readonly WholeAttentionViews[];
  readonly #places: WholeAttentionPlaces;
  /** By arena: what `places` are in. */
  readonly #regions: readonly Float32Array[];
  /** [2 · chunkTokens - 1, strides.embedding]: of all distances that there may be; or none. */
  readonly #waves: Float32Array;
  readonly #memories: readonly WebAssembly.Memory[];
  /** Of a run: own numbers of a row, the block's first row, and how many it has. */
  #width = 0;
  #start = 0;
  #rows = 0;

  /** width: the most of own heads; memories: this rank's, one per arena; views: of the same. */
  constructor(
    state: StepState,
    by: {
      readonly memories: readonly WebAssembly.Memory[];
      readonly views: readonly WholeAttentionViews[];
      readonly config: NonNullable<ModelConfig["relative"]>;
      readonly width: number;
    },
  ) {
    const { plan: { workspaces, chunkTokens: rows, strides: { embedding } }, config } = state;
    const { width, views, memories } = by;
    this.#state = state;
    this.#config = by.config;
    this.#views = views;
    this.#memories = memories;
    const { headDim } = config, { config: relative } = by;
    this.#places = wholeAttentionPlaces({ rows, headDim, width, embedding, config: relative });
    this.#regions = workspaces.map(({ relative }, arena) =>
      floats(memories[arena], relative, this.#places.end)
    );
    this.#waves = relative.waves === null
      ? new Float32Array(0)
      : makeWaves(rows, { d: config.embeddingLength, stride: embedding });
  }

  /** attention = what `headCount` own heads mix. */
  run(relative: Relative, headCount: number): void {
    const { arena, config: { headDim }, plan: { strides: { attention: stride } }, n } = this.#state;
    const { attention } = this.#views[arena];
    const { blockRows = n, waves } = this.#config;
    this.#width = headCount * headDim;
    attention.fill(0, 0, n * stride);
    if (waves !== null) this.#makePositions(relative);
    for (this.#start = 0; this.#start < n; this.#start += blockRows) {
      this.#rows = Math.min(blockRows, n - this.#start);
      if (waves === null) this.#layLearned(relative, blockRows);
      this.#runBlock(relative);
    }
  }

  /** The same of a block's rows. */
  #runBlock(relative: Relative): void {
    const { config: { headDim } } = this.#state;
    for (let at = 0; at < this.#width; at += headDim) {
      this.#layHead(at);
      if (this.#config.waves !== null) this.#layPositions(at);
      for (let first = 0; first < this.#rows; first += ASKING_ROWS) {
        const count = Math.min(ASKING_ROWS, this.#rows - first);
        this.#ask(relative, first, count, at);
        this.#multiply(first, count);
        for (let row = 0; row < count; row++) this.#soften(row);
        this.#mix(first, count, at);
      }
    }
  }

  /** made = positions · waves of distances 1 - n, …, n - 1. */
  #makePositions({ positions }: Relative): void {
    const { kernels, space, arena, config: { embeddingLength: d }, plan, n } = this.#state;
    const { waves, made, end } = this.#places;
    const { chunkTokens, strides: { embedding: stride } } = plan;
    const count = 2 * n - 1, first = (chunkTokens - n) * stride;
    this.#regions[arena].set(this.#waves.subarray(first, first + count * stride), waves);
    const at = space.relative;
    const x = { f32: at + 4 * waves, stride, q8: at + 4 * end };
    if (readsQ8(positions)) quantize(kernels, x, count, d);
    project(kernels, positions, x, count, at + 4 * made, this.#width);
  }

  /** What all heads know of distances 1 - rows, …, rows - 1, of those of `most` rows. */
  #layLearned({ positions: matrix }: Relative, most: number): void {
    const { arena, config: { headDim } } = this.#state;
    const { positions, strides: { head } } = this.#places;
    const { offsetBytes, rowStrideBytes, rowCount } = matrix;
    const learned = floats(this.#memories[arena], offsetBytes, rowCount * rowStrideBytes / 4);
    const region = this.#regions[arena], rows = this.#rows;
    for (let row = 0; row < 2 * rows - 1; row++) {
      const from = (most - rows + row) * rowStrideBytes / 4, to = positions + row * head;
      region.set(learned.subarray(from, from + headDim), to);
      region.fill(0, to + headDim, to + head);
    }
  }

  /** Keys of the head at column `at` with zeros behind, values column by column. */
  #layHead(at: number): void {
    const { arena, config: { headDim } } = this.#state;
    const { key, value } = this.#views[arena];
    const region = this.#regions[arena], width = this.#width, n = this.#rows;
    const { keys, values, strides: { head, scores } } = this.#places;
    for (let row = 0; row < n; row++) {
      const from = (this.#start + row) * width + at, to = keys + row * head;
      region.set(key.subarray(from, from + headDim), to);
      region.fill(0, to + headDim, to + head);
      for (let i = 0; i < headDim; i++) region[values + i * scores + row] = value[from + i];
    }
    for (let i = 0; i < headDim; i++) {
      const row = values + i * scores;
      region.fill(0, row + n, row + scores);
    }
  }

  /** Positions of the head at column `at` with zeros behind. */
  #layPositions(at: number): void {
    const { arena, config: { headDim } } = this.#state;
    const region = this.#regions[arena], width = this.#width;
    const { positions, made, strides: { head } } = this.#places;
    for (let row = 0; row < 2 * this.#rows - 1; row++) {
      const from = made + row * width + at, to = positions + row * head;
      region.copyWithin(to, from, from + headDim);
      region.fill(0, to + headDim, to + head);
    }
  }

  /** Queries of the head as they ask keys, and as they ask positions. */
  #ask({ keySum, positionSum }: Relative, first: number, count: number, at: number): void {
    const { arena, config: { headDim } } = this.#state;
    const { query } = this.#views[arena];
    const region = this.#regions[arena];
    const { ofKeys, ofPositions, strides: { head } } = this.#places;
    for (let row = 0; row < count; row++) {
      const from = (this.#start + first + row) * this.#width + at, to = row * head;
      region.fill(0, ofKeys + to, ofKeys + to + head);
      region.fill(0, ofPositions + to, ofPositions + to + head);
      for (let i = 0; i < headDim; i++) {
        const value = query[from + i];
        region[ofKeys + to + i] = keySum === null ? value : value + keySum[at + i];
        region[ofPositions + to + i] = positionSum === null ? value : value + positionSum[at + i];
      }
    }
  }

  /** scores [count, n] = queries · keysᵀ; near [count, n - 1 + count] = queries · positionsᵀ. */
  #multiply(first: number, count: number): void {
    const { kernels, space: { relative: at }, config: { headDim: k } } = this.#state;
    const n = this.#rows;
    const { strides: { head, scores: stride, near: nearStride }, ...places } = this.#places;
    const { keys, positions, ofKeys, ofPositions, scores, near } = places;
    const rowBytes = 4 * head;
    const toKeys = at + 4 * ofKeys, toPositions = at + 4 * ofPositions;
    const keysAt = at + 4 * keys, positionsAt = at + 4 * positions + first * rowBytes;
    kernels
      .matmul_f32_f32(keysAt, rowBytes, n, k, toKeys, head, count, at + 4 * scores, stride);
    const seen = n - 1 + count, out = at + 4 * near;
    kernels
      .matmul_f32_f32(positionsAt, rowBytes, seen, k, toPositions, head, count, out, nearStride);
  }

  /** Of one of the rows that ask: its scores, by keys and by distance, 1 all together. */
  #soften(row: number): void {
    const { arena, config: { attentionScale } } = this.#state;
    const { positionScale } = this.#config;
    const region = this.#regions[arena], n = this.#rows;
    const { scores, near, strides } = this.#places;
    const at = scores + row * strides.scores;
    // Of the row itself: distances grow from the last row to the first one.
    const ofFirst = near + row * strides.near + row + n - 1;
    let most = -Infinity;
    for (let i = 0; i < n; i++) {
      const score = attentionScale * region[at + i] + positionScale * region[ofFirst - i];
      region[at + i] = score;
      if (score > most) most = score;
    }
    let total = 0;
    for (let i = 0; i < n; i++) total += region[at + i] = Math.exp(region[at + i] - most);
    for (let i = 0; i < n; i++) region[at + i] /= total;
    region.fill(0, at + n, at + strides.scores);
  }

  /** attention, columns of the head = scores · values. */
  #mix(first: number, count: number, at: number): void {
    const { kernels, space, config: { headDim }, plan } = this.#state;
    const { attention: stride } = plan.strides, n = this.#rows;
    const { values, scores, strides } = this.#places;
    const valuesAt = space.relative + 4 * values, scoresAt = space.relative + 4 * scores;
    const rowBytes = 4 * strides.scores;
    const out = space.attention + 4 * ((this.#start + first) * stride + at);
    const { scores: own } = strides;
    kernels.matmul_f32_f32(valuesAt, rowBytes, headDim, n, scoresAt, own, count, out, stride);
  }
}

/** [2 · rows - 1, stride]: sines of distances 1 - rows, …, rows - 1, each beside its cosine. */
function makeWaves(
  rows: number,
  { d, stride }: { readonly d: number; readonly stride: number },
): Float32Array {
  const waves = new Float32Array((2 * rows - 1) * stride);
  const step = Math.log(LONGEST_WAVE) / (d / 2);
  for (let i = 0; i < Math.floor(d / 2); i++) {
    const frequency = Math.exp(-i * step);
    for (let row = 0; row < 2 * rows - 1; row++) {
      const angle = (row - rows + 1) * frequency;
      waves[row * stride + 2 * i] = Math.sin(angle);
      waves[row * stride + 2 * i + 1] = Math.cos(angle);
    }
  }
  return waves;
}
