/**
 * What makes rows of a text model of a tower's rows, on one rank: own neurons between the two
 * matrices, or own rows of the only one. What it leaves is a partial sum that the leader adds up.
 */
import type { ProjectorConfig } from "../model/types.ts";
import { floats } from "./arena_views.ts";
import { bindNorm, type Norm, normalizeRows } from "./bound_norm.ts";
import { type Activations, type Matrix, matrixOf, project, quantize, readsQ8 } from "./matrix.ts";
import { aloneKernel } from "./neurons.ts";
import type { ProjectorPlan, ProjectorWorkspace } from "./plan_projector.ts";
import type { Residual } from "./residual.ts";
import type { StepState } from "./step_state.ts";

export class Projector {
  readonly #state: StepState;
  readonly #residual: Residual;
  readonly #config: ProjectorConfig;
  readonly #plan: ProjectorPlan;
  readonly #space: ProjectorWorkspace;
  readonly #lastNorm: Norm;
  readonly #norm: Norm | null;
  readonly #merger: Matrix | null;
  readonly #first: Matrix;
  readonly #second: Matrix | null;
  /** Rows of the tower, [chunkTokens, embeddingStride], and what they are merged to. */
  readonly #rows: Float32Array;
  readonly #merged: Float32Array;
  /** [logitsRows, logitsStride]. */
  readonly #sums: Float32Array;

  /** memories: this rank's, one per arena. */
  constructor(
    state: StepState,
    by: {
      residual: Residual;
      memories: readonly WebAssembly.Memory[];
      config: ProjectorConfig;
      projector: ProjectorPlan;
    },
  ) {
    const { plan: { outputNorm, outputArena, workspaces, chunkTokens, strides } } = state;
    const { logitsRows } = state.plan;
    const space = workspaces[outputArena];
    const memory = by.memories[outputArena];
    this.#state = state;
    this.#residual = by.residual;
    this.#config = by.config;
    this.#plan = by.projector;
    this.#space = space.projector!;
    this.#lastNorm = bindNorm(outputNorm);
    this.#norm = bindNorm(by.projector.norm);
    this.#merger = by.projector.merger && matrixOf(by.projector.merger);
    this.#first = matrixOf(by.projector.first);
    this.#second = by.projector.second && matrixOf(by.projector.second);
    this.#rows = floats(memory, space.normed, chunkTokens * strides.embedding);
    this.#merged = floats(memory, this.#space.merged, logitsRows * by.projector.mergedStride);
    this.#sums = floats(memory, space.logits, logitsRows * strides.logits);
  }

  /**
   * sums [logitsCount, outputLength] = own share of second · act(first · x), or of first · x, x
   * being merged rows, the step's first ones; logitsStride apart.
   */
  run(): void {
    this.#state.carryTo(this.#state.plan.outputArena);
    const { plan: { strides: { logits: stride } }, logitsCount: m } = this.#state;
    this.#sums.fill(0, 0, m * stride);
    this.#normalizeRows(m * this.#config.mergedRows);
    const merged = this.#merge(m);
    const x = this.#merger === null ? merged : this.#makeOne(merged, this.#merger, m);
    if (this.#second === null) this.#addRows(x, m);
    else this.#addNeurons(x, this.#second, m);
  }

  /** normed = the last norm of the residual stream, and the projector's own where rows have one. */
  #normalizeRows(n: number): void {
    const { space, views, arena, config: { embeddingLength: d }, plan } = this.#state;
    const { embedding: stride } = plan.strides;
    if (this.#config.lacksLastNorm) views.normed[arena].set(views.residual[arena]);
    else this.#residual.normalize(space.residual, this.#lastNorm, space.normed, n);
    if (this.#config.norm?.of === "rows") this.#normalize(space.normed, stride, n, d);
  }

  /** Rows that are one: side by side, which may be where they are, or their mean. */
  #merge(m: number): Activations {
    const { config: { embeddingLength: d }, plan: { strides: { embedding } }, space } = this.#state;
    const { mergedRows: count, merge } = this.#config;
    const { merged, mergedQ8: q8 } = this.#space;
    const areBeside = merge === "concat" && (count === 1 || d === embedding);
    const f32 = areBeside ? space.normed : merged;
    const stride = areBeside ? count * embedding : this.#plan.mergedStride;
    if (merge === "mean") this.#addUp(m);
    else if (merge === "turns") this.#putInTurns(m);
    else if (!areBeside) this.#putBeside(m);
    const width = merge === "mean" ? d : count * d;
    if (this.#config.norm?.of === "merged") this.#normalize(f32, stride, m, width);
    return { f32, stride, q8 };
  }

  /** normed [m] = merger · x. */
  #makeOne(x: Activations, merger: Matrix, m: number): Activations {
    const { kernels, inputs: { normed } } = this.#state;
    if (readsQ8(merger)) quantize(kernels, x, m, merger.columnCount);
    project(kernels, merger, x, m, normed.f32, normed.stride);
    return normed;
  }

  /** A single matrix: own rows, or own columns where it lies column by column. */
  #addRows(x: Activations, m: number): void {
    const { kernels, plan: { strides: { logits: stride } }, space } = this.#state;
    const first = this.#first;
    const { start } = this.#plan.own;
    if (first.layout === "neurons") {
      if (first.columnCount > 0) {
        project(kernels, first, { ...x, f32: x.f32 + 4 * start }, m, space.logits, stride);
      } else this.#addBias(first, m);
    } else if (first.rowCount > 0) {
      if (readsQ8(first)) quantize(kernels, x, m, first.columnCount);
      project(kernels, first, x, m, space.logits + 4 * start, stride);
    }
  }

  #addNeurons(x: Activations, second: Matrix, m: number): void {
    const first = this.#first;
    if (first.rowCount === 0) return this.#addBias(second, m);
    const { kernels, plan: { strides: { logits: stride } }, space } = this.#state;
    const { hiddenStride } = this.#plan;
    const { hidden: f32, hiddenQ8: q8 } = this.#space;
    const { rowCount: width } = first;
    if (readsQ8(first)) quantize(kernels, x, m, first.columnCount);
    project(kernels, first, x, m, f32, hiddenStride);
    const activate = aloneKernel(kernels, this.#config.activation!);
    activate(f32, hiddenStride, f32, hiddenStride, m, width);
    const hidden = { f32, stride: hiddenStride, q8 };
    if (readsQ8(second)) quantize(kernels, hidden, m, width);
    project(kernels, second, hidden, m, space.logits, stride);
  }

  /** A rank that multiplies nothing may still be the one that adds it. */
  #addBias({ bias, rowCount }: Matrix, m: number): void {
    const { kernels, plan: { strides: { logits: stride } }, space } = this.#state;
    if (bias !== 0) kernels.add_bias_f32(space.logits, stride, bias, m, rowCount);
  }

  /** x = the projector's norm of x, n rows of `width` numbers. */
  #normalize(x: number, stride: number, n: number, width: number): void {
    const { kernels, space: { ones } } = this.#state;
    const { kind, epsilon } = this.#config.norm!;
    const norm = this.#norm!;
    normalizeRows(kernels, kind, norm, ones, x, stride, x, stride, n, width, epsilon);
  }

  #putBeside(m: number): void {
    const { config: { embeddingLength: d }, plan: { strides: { embedding } } } = this.#state;
    const { mergedRows: count } = this.#config;
    const { mergedStride } = this.#plan;
    for (let row = 0; row < m; row++) {
      const to = row * mergedStride;
      for (let i = 0; i < count; i++) {
        const from = (row * count + i) * embedding;
        this.#merged.set(this.#rows.subarray(from, from + d), to + i * d);
      }
      this.#merged.fill(0, to + count * d, to + mergedStride);
    }
  }

  #putInTurns(m: number): void {
    const { config: { embeddingLength: d }, plan: { strides: { embedding } } } = this.#state;
    const { mergedRows: count } = this.#config;
    const { mergedStride } = this.#plan;
    const rows = this.#rows, merged = this.#merged;
    for (let row = 0; row < m; row++) {
      const to = row * mergedStride;
      for (let i = 0; i < count; i++) {
        const from = (row * count + i) * embedding;
        for (let j = 0; j < d; j++) merged[to + j * count + i] = rows[from + j];
      }
      merged.fill(0, to + count * d, to + mergedStride);
    }
  }

  #addUp(m: number): void {
    const { kernels, config: { embeddingLength: d }, plan, space } = this.#state;
    const { embedding } = plan.strides;
    const { mergedRows: count } = this.#config;
    const { mergedStride } = this.#plan;
    const { merged } = this.#space;
    this.#merged.fill(0, 0, m * mergedStride);
    for (let i = 0; i < count; i++) {
      const from = space.normed + 4 * i * embedding;
      kernels.add_f32(merged, mergedStride, from, count * embedding, m, d);
    }
    kernels.scale_f32(merged, mergedStride, m, d, 1 / count);
  }
}
