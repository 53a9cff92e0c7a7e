/**
 * Several residual streams on one rank: a layer computes with the first one, which is `residual`
 * for as long; from it the others are guessed, and put right by what the layer made of it
 * (alternating updates). Every rank mixes them alike, all of them, without a join; only the large
 * matrices at both ends are shared out. Knows nothing of what layers compute.
 */
import { check } from "../../base/check.ts";
import { floats } from "../bound/arena_views.ts";
import type { LayerAltUp } from "../bound/bound_alt_up.ts";
import type { Norm } from "../bound/bound_norm.ts";
import {
  type Activations,
  type Matrix,
  matrixOf,
  project,
  quantize,
  readsQ8,
} from "../bound/matrix.ts";
import type { RankPlan } from "../plan/plan_types.ts";
import type { Residual } from "../step/residual.ts";
import type { StepState } from "../step/step_state.ts";

/** Words of one arena: `streamWords`. */
interface Words {
  readonly modes: Float32Array;
  readonly lengths: Float32Array;
  readonly factors: Float32Array;
  readonly rows: Uint32Array;
  /** Between the two matrices that go around attention. */
  readonly between: Activations;
  readonly bypass: Float32Array;
}

export class AltUp {
  readonly #state: StepState;
  readonly #residual: Residual;
  readonly #streamCount: number;
  readonly #ownRows: number;
  readonly #starts: readonly Matrix[];
  readonly #ends: readonly Matrix[];
  /** Streams that ends read, in arena 0. */
  readonly #others: readonly Activations[];
  /** By arena. */
  readonly #words: readonly Words[];
  /** Boxed once, as `Fractions` are. */
  readonly #scales: { half: number | null; mean: number | null } = { half: null, mean: null };

  /** memories: this rank's, one per arena. */
  constructor(
    state: StepState,
    by: { residual: Residual; memories: readonly WebAssembly.Memory[] },
  ) {
    const { plan, config } = state;
    check(plan.altUp !== null && config.altUp !== null, "a model of several streams");
    this.#state = state;
    this.#residual = by.residual;
    this.#streamCount = config.altUp.streamCount;
    this.#ownRows = plan.altUp.rows.start;
    this.#starts = plan.altUp.starts.map(matrixOf);
    this.#ends = plan.altUp.ends.map(matrixOf);
    this.#others = this.#ends.map((_, j) => (
      { ...state.inputs.residual, f32: this.#streamAt(j + 1) }
    ));
    this.#words = by.memories.map((memory, arena) => this.#wordsOf(plan, memory, arena));
    this.#scales.half = Math.SQRT1_2;
    this.#scales.mean = 1 / this.#streamCount;
  }

  #wordsOf(plan: RankPlan, memory: WebAssembly.Memory, arena: number): Words {
    const { streamWords: at, bypass } = plan.workspaces[arena];
    const { chunkTokens, strides } = plan;
    const m = this.#streamCount;
    const lengths = at + 4 * chunkTokens * m;
    const factors = lengths + 4 * chunkTokens * 2;
    return {
      modes: floats(memory, at, chunkTokens * m),
      lengths: floats(memory, lengths, 2 * chunkTokens),
      factors: floats(memory, factors, m * m),
      rows: new Uint32Array(memory.buffer, factors + 4 * m * m, m),
      between: { f32: bypass, stride: strides.bypass, q8: 0 },
      bypass: floats(memory, bypass, chunkTokens * strides.bypass),
    };
  }

  // --- both ends -------------------------------------------------------------------------------

  /**
   * streams = residual, and what the starts make of it, as long as it is.
   * @returns false when the leader aborted the step.
   */
  start(): boolean {
    const { views, arena, space } = this.#state;
    const x = this.#residual.read(null, this.#starts.some(readsQ8));
    views.streams[arena][0].set(views.residual[arena]);
    this.#measure(space.residual, 0);
    for (let j = 0; j < this.#starts.length; j++) {
      if (!this.#multiply(this.#starts[j], x)) return false;
      views.streams[arena][j + 1].set(views.normed[arena]);
    }
    return true;
  }

  /**
   * residual = the mean of the first stream and what the ends make of the others, as long as it is.
   * @returns false when the leader aborted the step.
   */
  end(): boolean {
    this.#state.carryTo(0);
    const { kernels, config: { embeddingLength: d }, plan, space, n } = this.#state;
    const stride = plan.strides.embedding;
    this.#measure(space.residual, 0);
    for (let j = 0; j < this.#ends.length; j++) {
      const x = this.#others[j];
      if (readsQ8(this.#ends[j])) quantize(kernels, x, n, d);
      if (!this.#multiply(this.#ends[j], x)) return false;
      kernels.add_f32(space.residual, stride, space.normed, stride, n, d);
    }
    kernels.scale_f32(space.residual, stride, n, d, this.#scales.mean!);
    return true;
  }

  /** normed = matrix · x, each row as long as the first stream's. */
  #multiply(matrix: Matrix, x: Activations): boolean {
    const { kernels, config: { embeddingLength: d }, plan, space, arena, partial, n } = this.#state;
    const stride = plan.strides.embedding;
    this.#residual.clear();
    if (matrix.rowCount > 0) {
      project(kernels, matrix, x, n, partial + 4 * this.#ownRows, stride);
    }
    if (!this.#residual.sumUp()) return false;
    this.#measure(space.normed, 1);
    const { lengths } = this.#words[arena];
    const { chunkTokens } = plan;
    for (let t = 0; t < n; t++) {
      const own = lengths[chunkTokens + t];
      lengths[chunkTokens + t] = own > 0 ? Math.sqrt(lengths[t] / own) : 0;
    }
    kernels.scale_rows_f32(space.normed, stride, this.#lengthsAt(1), n, d);
    return true;
  }

  /** Squares of lengths of rows; which: 0 of the first stream, 1 of another. */
  #measure(x: number, which: 0 | 1): void {
    const { kernels, config: { embeddingLength: d }, plan, n } = this.#state;
    kernels.row_squares_f32(x, plan.strides.embedding, n, d, this.#lengthsAt(which));
  }

  #lengthsAt(which: 0 | 1): number {
    const { space, plan: { chunkTokens } } = this.#state;
    return space.streamWords + 4 * chunkTokens * (this.#streamCount + which);
  }

  #streamAt(stream: number): number {
    const { space, plan: { chunkTokens, strides } } = this.#state;
    return space.streams + 4 * stream * chunkTokens * strides.embedding;
  }

  // --- a layer ---------------------------------------------------------------------------------

  /** stream j += Σ over streams k of factor(j, k) · stream k; residual = the first of them. */
  guess({ router, routerNorm, guess }: LayerAltUp): void {
    const { kernels, config: { embeddingLength: d }, plan, space, arena, n } = this.#state;
    const m = this.#streamCount;
    const stride = plan.strides.embedding;
    const { modes, factors } = this.#words[arena];
    this.#makeModes(router, routerNorm);
    for (let t = 0; t < n; t++) {
      for (let j = 0; j < m; j++) {
        for (let k = 0; k < m; k++) {
          let factor = 0;
          for (let i = 0; i < m; i++) factor += guess[(j * m + k) * m + i] * modes[t * m + i];
          factors[k * m + j] = factor;
        }
      }
      const rows = this.#listRows(t), count = m * plan.chunkTokens;
      const { streams, streamsOfOne: old } = space;
      kernels.gather_rows_f32(streams, stride, count, rows, m, old, stride, d);
      for (let k = 0; k < m; k++) {
        const by = this.#factorsAt + 4 * k * m, from = old + 4 * k * stride;
        kernels.scatter_add_row_f32(streams, stride, count, rows, by, m, from, d);
      }
    }
    this.#takeFirst();
  }

  /** around = norm(up · down · h) + h, h being what attention reads. */
  makeBypass({ bypass: { down, up, norm } }: LayerAltUp, attentionNorm: Norm | null): void {
    const { kernels, config: { embeddingLength: d }, plan, space, arena, n } = this.#state;
    const { embedding: stride, bypass: between } = plan.strides;
    const h = this.#residual.read(attentionNorm, false);
    // Products read what is behind the width, too.
    this.#words[arena].bypass.fill(0, 0, n * between);
    project(kernels, down, h, n, space.bypass, between);
    project(kernels, up, this.#words[arena].between, n, space.around, stride);
    this.#residual.normalize(space.around, norm, space.around, n);
    kernels.add_f32(space.around, stride, h.f32, h.stride, n, d);
  }

  /** residual = (residual + around) / √2. */
  addBypass(): void {
    const { kernels, config: { embeddingLength: d }, plan, space, n } = this.#state;
    const stride = plan.strides.embedding;
    kernels.add_f32(space.residual, stride, space.around, stride, n, d);
    kernels.scale_f32(space.residual, stride, n, d, this.#scales.half!);
  }

  /**
   * stream j += factor(j) · (residual − the first stream), the residual being what the layer made
   * of it; then residual = the first stream times the layer's scale: what its input reads.
   */
  correct({ router, routerNorm, correction, scale }: LayerAltUp): void {
    const { kernels, config: { embeddingLength: d }, plan, space, views, arena, n } = this.#state;
    const m = this.#streamCount;
    const stride = plan.strides.embedding;
    const { modes, factors } = this.#words[arena];
    this.#makeModes(router, routerNorm);
    views.normed[arena].set(views.streams[arena][0]);
    kernels.scale_f32(space.normed, stride, n, d, -1);
    kernels.add_f32(space.normed, stride, space.residual, stride, n, d);
    for (let t = 0; t < n; t++) {
      for (let j = 0; j < m; j++) {
        let factor = 1;
        for (let i = 0; i < m; i++) factor += correction[j * m + i] * modes[t * m + i];
        factors[j] = factor;
      }
      const rows = this.#listRows(t), count = m * plan.chunkTokens;
      const { streams } = space, from = space.normed + 4 * t * stride;
      kernels.scatter_add_row_f32(streams, stride, count, rows, this.#factorsAt, m, from, d);
    }
    this.#takeFirst();
    kernels.mul_weight_f32(space.residual, stride, scale, n, d);
  }

  /**
   * All streams but the first += norm(Σ partials over ranks), if there is a norm; residual = the
   * first.
   * @returns false when the leader aborted the step.
   */
  joinInput(norm: Norm | null): boolean {
    const { kernels, config: { embeddingLength: d }, plan, space, n } = this.#state;
    const stride = plan.strides.embedding;
    if (norm !== null) {
      if (!this.#residual.sumUp()) return false;
      this.#residual.normalize(space.normed, norm, space.normed, n);
      for (let j = 1; j < this.#streamCount; j++) {
        kernels.add_f32(this.#streamAt(j), stride, space.normed, stride, n, d);
      }
    }
    this.#takeFirst();
    return true;
  }

  #takeFirst(): void {
    const { views, arena } = this.#state;
    views.residual[arena].set(views.streams[arena][0]);
  }

  /** modes = tanh(router · norm(residual) / d), [n, streams]. */
  #makeModes(router: Matrix, norm: Norm): void {
    const { kernels, config: { embeddingLength: d }, inputs, space, arena, n } = this.#state;
    this.#residual.normalize(space.residual, norm, space.normed, n);
    project(kernels, router, inputs.normed, n, space.streamWords, this.#streamCount);
    const { modes } = this.#words[arena];
    for (let i = 0; i < n * this.#streamCount; i++) modes[i] = Math.tanh(modes[i] / d);
  }

  /** Where a token's rows of all streams are listed. */
  #listRows(t: number): number {
    const { arena, plan: { chunkTokens } } = this.#state;
    const { rows } = this.#words[arena];
    for (let j = 0; j < this.#streamCount; j++) rows[j] = j * chunkTokens + t;
    return this.#factorsAt + 4 * this.#streamCount * this.#streamCount;
  }

  get #factorsAt(): number {
    return this.#lengthsAt(1) + 4 * this.#state.plan.chunkTokens;
  }
}
