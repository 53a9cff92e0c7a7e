/**
 * Residual streams on one rank, of which each block reads a mixture, `residual`, and which each
 * block mixes anew with what it gives. Every rank mixes all of them alike, without a join. Knows
 * nothing of what blocks compute.
 */
import { check } from "../../base/check.ts";
import { type HyperConfig, sharesOf } from "../../model/compressed_types.ts";
import { floats } from "../bound/arena_views.ts";
import type { Hyper } from "../bound/bound_hyper.ts";
import { type Activations, project } from "../bound/matrix.ts";
import type { Residual } from "../step/residual.ts";
import type { StepState } from "../step/step_state.ts";

/** Words of one arena: `hyperWords`. */
interface Words {
  /** [n, shares] each. */
  readonly sums: Float32Array;
  readonly products: Float32Array;
  readonly shares: Float32Array;
  readonly squares: Float32Array;
  readonly rows: Uint32Array;
  /** Streams as products read them. */
  readonly streams: readonly Activations[];
}

export class HyperStreams {
  readonly #state: StepState;
  readonly #residual: Residual;
  readonly #config: HyperConfig;
  readonly #streamCount: number;
  readonly #shareCount: number;
  readonly #epsilon: number;
  readonly #end: Hyper;
  /** By arena. */
  readonly #words: readonly Words[];

  /** memories: this rank's, one per arena; end: what makes one stream of all, in arena 0. */
  constructor(
    state: StepState,
    by: { residual: Residual; memories: readonly WebAssembly.Memory[]; end: Hyper },
  ) {
    const { config: { hyper } } = state;
    check(hyper !== undefined, "a model whose layers mix streams");
    this.#state = state;
    this.#residual = by.residual;
    this.#config = hyper;
    this.#streamCount = hyper.streamCount;
    this.#shareCount = sharesOf(hyper);
    this.#epsilon = hyper.epsilon;
    this.#end = by.end;
    this.#words = by.memories.map((memory, arena) => this.#wordsOf(memory, arena));
  }

  #wordsOf(memory: WebAssembly.Memory, arena: number): Words {
    const { plan: { chunkTokens, strides, workspaces } } = this.#state;
    const { hyperWords: at, streams } = workspaces[arena];
    const count = chunkTokens * this.#shareCount;
    const stride = strides.embedding;
    return {
      sums: floats(memory, at, count),
      products: floats(memory, at + 4 * count, count),
      shares: floats(memory, at + 8 * count, count),
      squares: floats(memory, at + 12 * count, chunkTokens),
      rows: new Uint32Array(memory.buffer, at + 12 * count + 4 * chunkTokens, this.#streamCount),
      streams: Array.from({ length: this.#streamCount }, (_, stream) => (
        { f32: streams + 4 * stream * chunkTokens * stride, stride, q8: 0 }
      )),
    };
  }

  /** All streams = residual: the embeddings. */
  start(): void {
    const { views, arena } = this.#state;
    for (const stream of views.streams[arena]) stream.set(views.residual[arena]);
  }

  /** residual = what a block reads of the streams; where they go is kept until `leave`. */
  enter(hyper: Hyper): void {
    const m = this.#streamCount, count = this.#shareCount, epsilon = this.#epsilon;
    const { rounds, magnitude, least } = this.#config;
    this.#makeShares(hyper, count);
    const { n, arena } = this.#state;
    const { shares } = this.#words[arena];
    for (let t = 0; t < n; t++) {
      const own = t * count;
      for (let i = own; i < own + m; i++) shares[i] = 1 / (1 + Math.exp(-shares[i])) + epsilon;
      for (let i = own + m; i < own + 2 * m; i++) {
        shares[i] = magnitude / (1 + Math.exp(-shares[i])) + least;
      }
      if (rounds > 0) this.#even(shares, own + 2 * m);
    }
    this.#read(count);
  }

  /**
   * streams = their mixture, and Σ partials over ranks, as much as each takes of it.
   * @returns false when the leader aborted the step.
   */
  leave(): boolean {
    if (!this.#residual.sumUp()) return false;
    const { kernels, config: { embeddingLength: d }, plan, space, views, arena, n } = this.#state;
    const { embedding: stride } = plan.strides;
    const { chunkTokens } = plan;
    const m = this.#streamCount, count = this.#shareCount;
    const { streams, hyperOne: old } = space;
    const rows = m * chunkTokens, list = this.#rowsAt;
    const areMixed = this.#config.rounds > 0;
    for (let t = 0; t < n; t++) {
      for (let j = 0; j < m; j++) this.#words[arena].rows[j] = j * chunkTokens + t;
      if (areMixed) {
        kernels.gather_rows_f32(streams, stride, rows, list, m, old, stride, d);
        for (let j = 0; j < m; j++) views.streams[arena][j].fill(0, t * stride, (t + 1) * stride);
      }
      let by = this.#sharesAt + 4 * (t * count + m);
      const made = space.normed + 4 * t * stride;
      kernels.scatter_add_row_f32(streams, stride, rows, list, by, m, made, d);
      if (!areMixed) continue;
      for (let from = 0; from < m; from++) {
        by += 4 * m;
        const stream = old + 4 * from * stride;
        kernels.scatter_add_row_f32(streams, stride, rows, list, by, m, stream, d);
      }
    }
    return true;
  }

  /** residual = what the model's end reads of the streams. */
  end(): void {
    this.#state.carryTo(0);
    const m = this.#streamCount;
    this.#makeShares(this.#end, m);
    const { n } = this.#state;
    const { shares } = this.#words[0];
    const epsilon = this.#epsilon;
    for (let i = 0; i < n * m; i++) shares[i] = 1 / (1 + Math.exp(-shares[i])) + epsilon;
    this.#read(m);
  }

  /** shares [n, count] = scale · mixer · norm(all streams side by side) + base. */
  #makeShares({ mixers, base, scale }: Hyper, count: number): void {
    const { kernels, config, n, arena, fractions: { epsilon } } = this.#state;
    const { embeddingLength: d } = config;
    const { sums, products, shares, squares, streams } = this.#words[arena];
    const m = this.#streamCount;
    const at = this.#state.space.hyperWords;
    const second = at + 4 * sums.length, squaresAt = at + 12 * sums.length;
    for (let stream = 0; stream < m; stream++) {
      const x = streams[stream];
      project(kernels, mixers[stream], x, n, stream === 0 ? at : second, count);
      if (stream > 0) { for (let i = 0; i < n * count; i++) sums[i] += products[i]; }
      kernels.row_squares_f32(x.f32, x.stride, n, d, squaresAt);
      // Kept where shares will be: there is room for as many.
      for (let t = 0; t < n; t++) shares[t] = stream === 0 ? squares[t] : shares[t] + squares[t];
    }
    for (let t = 0; t < n; t++) squares[t] = 1 / Math.sqrt(shares[t] / (m * d) + epsilon);
    for (let t = 0; t < n; t++) {
      for (let i = 0; i < count; i++) {
        const kind = i < m ? 0 : i < 2 * m ? 1 : 2;
        shares[t * count + i] = sums[t * count + i] * squares[t] * scale[kind] + base[i];
      }
    }
  }

  /** residual = Σ over streams of the first of a token's shares · stream. */
  #read(count: number): void {
    const { kernels, config: { embeddingLength: d }, plan, space, views, arena, n } = this.#state;
    const { embedding: stride } = plan.strides;
    const { rows, streams } = this.#words[arena];
    const list = this.#rowsAt;
    views.residual[arena].fill(0);
    for (let t = 0; t < n; t++) {
      rows[0] = t;
      for (let j = 0; j < this.#streamCount; j++) {
        const share = this.#sharesAt + 4 * (t * count + j);
        const from = streams[j].f32 + 4 * t * stride;
        kernels.scatter_add_row_f32(space.residual, stride, n, list, share, 1, from, d);
      }
    }
  }

  /**
   * [m, m] from `at` on, rows by streams that something comes from: softmaxes of rows, of which
   * columns and rows are divided by their sums, in turns, columns last.
   */
  #even(x: Float32Array, at: number): void {
    const m = this.#streamCount, epsilon = this.#epsilon;
    for (let row = at; row < at + m * m; row += m) {
      let largest = -Infinity, sum = 0;
      for (let i = row; i < row + m; i++) largest = Math.max(largest, x[i]);
      for (let i = row; i < row + m; i++) sum += x[i] = Math.exp(x[i] - largest);
      for (let i = row; i < row + m; i++) x[i] = x[i] / sum + epsilon;
    }
    for (let round = 0; round < this.#config.rounds; round++) {
      if (round > 0) { for (let row = 0; row < m; row++) this.#divide(x, at + row * m, 1); }
      for (let column = 0; column < m; column++) this.#divide(x, at + column, m);
    }
  }

  /** Numbers `step` apart, by their sum. */
  #divide(x: Float32Array, at: number, step: number): void {
    const end = at + step * this.#streamCount;
    let sum = 0;
    for (let i = at; i < end; i += step) sum += x[i];
    // A sum that began as the field would be boxed.
    sum += this.#epsilon;
    for (let i = at; i < end; i += step) x[i] /= sum;
  }

  get #sharesAt(): number {
    const { space, arena } = this.#state;
    return space.hyperWords + 8 * this.#words[arena].sums.length;
  }

  get #rowsAt(): number {
    const { space, arena, plan: { chunkTokens } } = this.#state;
    return space.hyperWords + 12 * this.#words[arena].sums.length + 4 * chunkTokens;
  }
}
