/**
 * Rows of a tower become fewer between two layers: each so many that follow one another become one,
 * their mean and what neurons make of them side by side, of which each rank has some. Knows nothing
 * of images.
 */
import { floats } from "../bound/arena_views.ts";
import { bindNorm, type Norm, normalizeRows } from "../bound/bound_norm.ts";
import { type Matrix, matrixOf, project, quantize, readsQ8 } from "../bound/matrix.ts";
import { soften } from "./soften.ts";
import { aloneKernel } from "../neurons/neurons.ts";
import type { ProjectorConfig } from "../../model/types.ts";
import type { ProjectorPlan } from "../plan/plan_projector.ts";
import type { Residual } from "../step/residual.ts";
import type { StepState } from "../step/step_state.ts";

/** What folding is made of. */
export interface FoldInput {
  readonly residual: Residual;
  /** That of the arena behind the last layer. */
  readonly memory: WebAssembly.Memory;
  readonly config: NonNullable<ProjectorConfig["fold"]>;
  readonly plan: ProjectorPlan;
}

export class RowFold {
  readonly #state: StepState;
  readonly #residual: Residual;
  readonly #rows: number;
  readonly #norm: Norm | null;
  readonly #softens: boolean;
  readonly #first: Matrix;
  readonly #second: Matrix;
  readonly #mergedStride: number;
  readonly #hiddenStride: number;
  /** [logitsRows, mergedStride] */
  readonly #merged: Float32Array;
  /** [chunkTokens, strides.embedding]: the stream. */
  readonly #stream: Float32Array;
  /** [logitsRows, hiddenStride]: what neurons give. */
  readonly #hidden: Float32Array;

  constructor(state: StepState, { residual, memory, config, plan }: FoldInput) {
    const { plan: { outputArena, workspaces, logitsRows, chunkTokens, strides } } = state;
    const space = workspaces[outputArena];
    const { norm, first, second } = plan.fold!;
    this.#state = state;
    this.#residual = residual;
    this.#rows = config.rows;
    this.#softens = config.softens ?? false;
    this.#norm = bindNorm(norm);
    this.#first = matrixOf(first);
    this.#second = matrixOf(second!);
    this.#mergedStride = plan.mergedStride;
    this.#hiddenStride = plan.hiddenStride;
    this.#merged = floats(memory, space.projector!.merged, logitsRows * plan.mergedStride);
    this.#hidden = floats(memory, space.projector!.hidden, logitsRows * plan.hiddenStride);
    this.#stream = floats(memory, space.residual, chunkTokens * strides.embedding);
  }

  /**
   * residual [n / rows] = means + Σ over ranks of second · gelu(first · norm(side by side)), or
   * second · softmax(first · side by side), with which the step goes on.
   * @returns false when the leader aborted the step.
   */
  run(): boolean {
    const { plan: { outputArena, logitsRows } } = this.#state;
    this.#state.carryTo(outputArena);
    this.#residual.clear();
    const count = this.#state.n / this.#rows;
    // A piece reads rows of the stream that are behind those that pieces before it have written.
    for (let from = 0; from < count; from += logitsRows) {
      const n = Math.min(logitsRows, count - from);
      this.#merge(from, n);
      this.#add(from, n);
    }
    this.#state.shorten(this.#rows);
    return this.#residual.join(null);
  }

  /** merged = rows side by side; stream = their means, from row `from` on. */
  #merge(from: number, n: number): void {
    const { config: { embeddingLength: d }, plan: { strides: { embedding } } } = this.#state;
    const count = this.#rows;
    const stream = this.#stream, merged = this.#merged, stride = this.#mergedStride;
    for (let row = 0; row < n; row++) {
      const to = row * stride, mean = (from + row) * embedding;
      for (let i = 0; i < count; i++) {
        const at = ((from + row) * count + i) * embedding;
        merged.set(stream.subarray(at, at + d), to + i * d);
      }
      merged.fill(0, to + count * d, to + stride);
      for (let j = 0; j < d; j++) {
        let sum = 0;
        for (let i = 0; i < count; i++) sum += merged[to + i * d + j];
        stream[mean + j] = sum / count;
      }
    }
  }

  /** partial = second · act(first · norm(merged)), own neurons, from row `from` on. */
  #add(from: number, n: number): void {
    const { kernels, space, partial, config, fractions: { epsilon }, plan } = this.#state;
    const { embeddingLength: d, norm: { kind } } = config;
    const { merged, mergedQ8, hidden, hiddenQ8 } = space.projector!;
    const stride = this.#mergedStride, width = this.#rows * d, between = this.#hiddenStride;
    const { strides: { embedding } } = plan;
    const to = partial + 4 * from * embedding;
    const first = this.#first, second = this.#second;
    if (first.rowCount === 0) {
      if (second.bias !== 0) kernels.add_bias_f32(to, embedding, second.bias, n, d);
      return;
    }
    const norm = this.#norm;
    const { ones } = space;
    if (norm !== null) {
      normalizeRows(kernels, kind, norm, ones, merged, stride, merged, stride, n, width, epsilon);
    }
    const x = { f32: merged, stride, q8: mergedQ8 };
    if (readsQ8(first)) quantize(kernels, x, n, first.columnCount);
    project(kernels, first, x, n, hidden, between);
    if (this.#softens) soften(this.#hidden, between, n, first.rowCount);
    else aloneKernel(kernels, "gelu")(hidden, between, hidden, between, n, first.rowCount);
    const y = { f32: hidden, stride: between, q8: hiddenQ8 };
    if (readsQ8(second)) quantize(kernels, y, n, first.rowCount);
    project(kernels, second, y, n, to, embedding);
  }
}
