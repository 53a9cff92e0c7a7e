/**
 * Rows of a tower that follow one another become one: side by side, in turns, or their mean. Knows
 * nothing of what reads them.
 */
import type { ProjectorConfig } from "../../model/types.ts";
import { floats } from "../bound/arena_views.ts";
import type { Activations } from "../bound/matrix.ts";
import type { StepState } from "../step/step_state.ts";

/** Rows that are merged: address of f32 [rows, stride]. */
export interface RowSource {
  readonly at: number;
  readonly width: number;
  readonly stride: number;
}

export class RowMerger {
  readonly #state: StepState;
  readonly #config: ProjectorConfig;
  /** Of a row that is merged, and from one to the next. */
  readonly #from: RowSource;
  /** Numbers of a merged row. */
  readonly width: number;
  /** Where they are put; where rows are, if each is one by itself. */
  readonly #merged: Activations;
  /** What is merged, [chunkTokens, its stride], and what becomes of it. */
  readonly #rows: Float32Array;
  readonly #to: Float32Array;

  /** memory: that of the arena behind the last layer; stride: of merged rows. */
  constructor(
    state: StepState,
    by: {
      config: ProjectorConfig;
      memory: WebAssembly.Memory;
      stride: number;
      /** Left out: what lies in `normed`. */
      from?: RowSource;
    },
  ) {
    const { plan: { outputArena, workspaces, chunkTokens, logitsRows, strides } } = state;
    const { config: { embeddingLength } } = state;
    const { mergedRows: count, merge } = by.config;
    const space = workspaces[outputArena];
    const from = by.from ??
      { at: space.normed, width: embeddingLength, stride: strides.embedding };
    const { width: d } = from;
    this.#from = from;
    const { merged, mergedQ8: q8 } = space.projector!;
    this.#state = state;
    this.#config = by.config;
    this.width = merge === "mean" ? d : count * d;
    this.#merged = count === 1
      ? { f32: from.at, stride: from.stride, q8 }
      : { f32: merged, stride: by.stride, q8 };
    this.#rows = floats(by.memory, from.at, chunkTokens * from.stride);
    this.#to = floats(by.memory, merged, logitsRows * by.stride);
  }

  /**
   * m rows of what lies there, as long as that is not written again; of `rows` rows of it,
   * where the last ones may be fewer, side by side with zeros.
   */
  merge(m: number, rows = m * this.#config.mergedRows): Activations {
    const { merge, mergedRows } = this.#config;
    if (mergedRows > 1) {
      if (merge === "mean") this.#addUp(m);
      else if (merge === "turns") this.#putInTurns(m);
      else this.#putBeside(m, rows);
    }
    return this.#merged;
  }

  #putBeside(m: number, rows: number): void {
    const { width: d, stride: embedding } = this.#from;
    const { mergedRows: count } = this.#config;
    const { stride } = this.#merged;
    for (let row = 0; row < m; row++) {
      const to = row * stride;
      const own = Math.min(count, rows - row * count);
      for (let i = 0; i < own; i++) {
        const from = (row * count + i) * embedding;
        this.#to.set(this.#rows.subarray(from, from + d), to + i * d);
      }
      this.#to.fill(0, to + own * d, to + stride);
    }
  }

  /** The first numbers of all of them, then the second ones, … */
  #putInTurns(m: number): void {
    const { width: d, stride: embedding } = this.#from;
    const { mergedRows: count } = this.#config;
    const { stride } = this.#merged;
    const rows = this.#rows, merged = this.#to;
    for (let row = 0; row < m; row++) {
      const to = row * stride;
      for (let i = 0; i < count; i++) {
        const from = (row * count + i) * embedding;
        for (let j = 0; j < d; j++) merged[to + j * count + i] = rows[from + j];
      }
      merged.fill(0, to + count * d, to + stride);
    }
  }

  #addUp(m: number): void {
    const { kernels } = this.#state;
    const { at, width: d, stride: embedding } = this.#from;
    const { mergedRows: count } = this.#config;
    const { f32, stride } = this.#merged;
    this.#to.fill(0, 0, m * stride);
    for (let i = 0; i < count; i++) {
      const from = at + 4 * i * embedding;
      kernels.add_f32(f32, stride, from, count * embedding, m, d);
    }
    kernels.scale_f32(f32, stride, m, d, 1 / count);
  }
}
