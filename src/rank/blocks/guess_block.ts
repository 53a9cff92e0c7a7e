/**
 * What a guessing block has before its layer: of a token's embedding and the last row of the token
 * before it, normalised each by itself and put side by side, one matrix makes the layer's input.
 */
import { floats } from "../bound/arena_views.ts";
import { bindNorm, type Norm } from "../bound/bound_norm.ts";
import type { KeptRows } from "./kept_rows.ts";
import {
  type Activations,
  type Matrix,
  matrixOf,
  project,
  quantize,
  readsQ8,
} from "../bound/matrix.ts";
import type { GuessPlan } from "../plan/plan_guess.ts";
import type { Residual } from "../step/residual.ts";
import type { StepState } from "../step/step_state.ts";

export class GuessBlock {
  readonly #state: StepState;
  readonly #residual: Residual;
  readonly #plan: GuessPlan;
  readonly #merge: Matrix;
  readonly #norms: { readonly embedding: Norm; readonly row: Norm };
  /** Null: another rank puts them in. */
  readonly #rows: KeptRows | null;
  readonly #pairs: Activations;
  /** The pairs of a longest step. */
  readonly #pairRows: Float32Array;

  constructor(
    state: StepState,
    by: {
      readonly residual: Residual;
      readonly plan: GuessPlan;
      /** The arena that it is planned in. */
      readonly memory: WebAssembly.Memory;
      readonly rows: KeptRows | null;
    },
  ) {
    const { plan: { workspaces, strides, chunkTokens } } = state;
    this.#state = state;
    this.#residual = by.residual;
    this.#plan = by.plan;
    this.#merge = matrixOf(by.plan.merge);
    this.#norms = {
      embedding: bindNorm(by.plan.embeddingNorm),
      row: bindNorm(by.plan.rowNorm),
    };
    this.#rows = by.rows;
    const { pairs, q8 } = workspaces[by.plan.arena].guess!;
    this.#pairs = { f32: pairs, stride: 2 * strides.embedding, q8 };
    this.#pairRows = floats(by.memory, pairs, chunkTokens * this.#pairs.stride);
  }

  /** It needs no rows before the first join. */
  show(): void {}

  /**
   * Of guesses: residual = merge · [norm(residual), norm(row before)]; the residual is the
   * embedding.
   * @returns false when the leader aborted the step.
   */
  enter(): boolean {
    if (!this.#state.isGuess) return true;
    const { config: { embeddingLength: d }, plan: { strides }, n } = this.#state;
    this.#state.carryTo(this.#plan.arena);
    // Products read what is behind the width, too.
    this.#pairRows.fill(0, 0, n * this.#pairs.stride);
    this.#put(this.#norms.embedding, 0);
    const partial = this.#residual.partialToAdd();
    for (let t = 0; t < n && this.#rows !== null; t++) {
      this.#rows.put(t, partial, t * strides.embedding);
    }
    if (!this.#residual.takeSum()) return false;
    this.#put(this.#norms.row, d);
    const { kernels, partial: to } = this.#state;
    this.#residual.clear();
    if (this.#merge.rowCount > 0) {
      if (readsQ8(this.#merge)) quantize(kernels, this.#pairs, n, 2 * d);
      const from = to + 4 * this.#plan.rows.start;
      project(kernels, this.#merge, this.#pairs, n, from, strides.embedding);
    }
    return this.#residual.takeSum();
  }

  /** Columns from `column` on of the pairs, which are zeros, = norm(residual). */
  #put(norm: Norm, column: number): void {
    const { kernels, space, config: { embeddingLength: d }, plan: { strides }, n } = this.#state;
    const { f32, stride } = this.#pairs;
    this.#residual.normalize(space.residual, norm, space.normed, n);
    kernels.add_f32(f32 + 4 * column, stride, space.normed, strides.embedding, n, d);
  }
}
