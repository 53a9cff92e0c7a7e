/**
 * What experts read where that is made of what the router reads, and what becomes of their sum:
 * normalised, which takes a join, and made what the block adds. Every rank makes all of the first,
 * so that none waits, and of the last its own outputs.
 */
import { floats } from "../bound/arena_views.ts";
import type { LatentExperts as Matrices } from "../bound/bound_latent_experts.ts";
import { type Activations, multiply, quantize, readsQ8 } from "../bound/matrix.ts";
import type { Residual } from "../step/residual.ts";
import type { StepState } from "../step/step_state.ts";

export class LatentExperts {
  readonly #state: StepState;
  readonly #residual: Residual;
  readonly #length: number;
  /** By arena: what experts read, [chunkTokens, strides.embedding]. */
  readonly #read: readonly Float32Array[];

  constructor(
    state: StepState,
    by: {
      readonly residual: Residual;
      readonly memories: readonly WebAssembly.Memory[];
      readonly length: number;
    },
  ) {
    const { plan: { chunkTokens, strides, workspaces } } = state;
    this.#state = state;
    this.#residual = by.residual;
    this.#length = by.length;
    const count = chunkTokens * strides.embedding;
    this.#read = by.memories.map((memory, arena) => floats(memory, workspaces[arena].early, count));
  }

  /** What experts read of x; as q8 tiles, too, where one wants these: x has its own no more. */
  read({ down }: Matrices, x: Activations, wantsQ8: boolean): Activations {
    const { kernels, inputs: { early }, arena, n, plan: { strides } } = this.#state;
    // Kernels read beyond its width.
    this.#read[arena].fill(0, 0, n * strides.embedding);
    multiply(kernels, down, x, n, early.f32, early.stride);
    if (wantsQ8) quantize(kernels, early, n, this.#length);
    return early;
  }

  /**
   * partial = own outputs of up · norm(Σ partials over ranks).
   * @returns false when the leader aborted the step.
   */
  join({ norm, up, firstRow }: Matrices): boolean {
    if (!this.#residual.sumUp()) return false;
    const { kernels, inputs: { normed }, views, arena, n, fractions } = this.#state;
    const { f32, stride } = normed;
    const length = this.#length;
    const rows = views.normed[arena];
    for (let t = 0; t < n; t++) rows.fill(0, t * stride + length, (t + 1) * stride);
    if (norm !== 0) {
      kernels.rms_norm_f32(f32, stride, norm, f32, stride, n, length, fractions.epsilon);
    }
    if (up.rowCount === 0) return true;
    if (readsQ8(up)) quantize(kernels, normed, n, length);
    this.#residual.fillRows(up, normed, firstRow);
    return true;
  }
}
