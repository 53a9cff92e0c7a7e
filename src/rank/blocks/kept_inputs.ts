/**
 * The residual stream and what it was at some layers before, on one rank: each block reads all of
 * them, by a softmax of what each scores, and adds to the stream, which begins anew where it was
 * kept. Every rank does all of that alike, without a join. Knows nothing of what blocks compute.
 */
import { check } from "../../base/check.ts";
import { floats } from "../bound/arena_views.ts";
import type { Hyper } from "../bound/bound_hyper.ts";
import { type Activations, type Matrix, project } from "../bound/matrix.ts";
import type { Residual } from "../step/residual.ts";
import type { StepState } from "../step/step_state.ts";

/** Words of one arena: `keptWords`. */
interface Words {
  /** Of one stream, [chunkTokens] each. */
  readonly scores: Float32Array;
  readonly squares: Float32Array;
  /** [chunkTokens, streams]. */
  readonly shares: Float32Array;
  /** A token's number. */
  readonly row: Uint32Array;
  /** Those that are kept, then the one that goes on. */
  readonly streams: readonly Activations[];
}

export class KeptInputs {
  readonly #state: StepState;
  readonly #residual: Residual;
  readonly #streamCount: number;
  readonly #period: number;
  readonly #end: Hyper;
  /** By arena. */
  readonly #words: readonly Words[];
  /** Blocks of the step that were entered, two of each layer. */
  #entered = 0;
  /** The stream was kept: it goes on with what the block gives. */
  #begins = false;

  /** memories: this rank's, one per arena; end: what the model's end scores by, in arena 0. */
  constructor(
    state: StepState,
    by: { residual: Residual; memories: readonly WebAssembly.Memory[]; end: Hyper },
  ) {
    const { config: { hyper } } = state;
    check(hyper?.keepsEvery !== undefined, "a model whose layers keep what they read");
    this.#state = state;
    this.#residual = by.residual;
    this.#streamCount = hyper.streamCount;
    this.#period = hyper.keepsEvery;
    this.#end = by.end;
    this.#words = by.memories.map((memory, arena) => this.#wordsOf(memory, arena));
  }

  #wordsOf(memory: WebAssembly.Memory, arena: number): Words {
    const { plan: { chunkTokens: n, strides, workspaces } } = this.#state;
    const { hyperWords: at, streams } = workspaces[arena];
    const m = this.#streamCount, stride = strides.embedding;
    return {
      scores: floats(memory, at, n),
      squares: floats(memory, at + 4 * n, n),
      shares: floats(memory, at + 8 * n, n * m),
      row: new Uint32Array(memory.buffer, at + 8 * n + 4 * n * m, 1),
      streams: Array.from({ length: m }, (_, stream) => (
        { f32: streams + 4 * stream * n * stride, stride, q8: 0 }
      )),
    };
  }

  /** The stream = residual: the embeddings; nothing is kept. */
  start(): void {
    const { views, arena } = this.#state;
    views.streams[arena][this.#streamCount - 1].set(views.residual[arena]);
    this.#entered = 0;
    this.#begins = false;
  }

  /** residual = what a block reads; then the stream is kept where it is the layer's turn. */
  enter({ mixers }: Hyper): void {
    const layer = this.#entered >> 1, isSecond = (this.#entered & 1) === 1;
    this.#entered++;
    const kept = Math.ceil((isSecond ? layer + 1 : layer) / this.#period);
    this.#read(mixers[0], kept);
    if (isSecond || layer % this.#period !== 0) return;
    const { views, arena } = this.#state;
    const streams = views.streams[arena];
    streams[kept].set(streams[this.#streamCount - 1]);
    this.#begins = true;
  }

  /**
   * stream += Σ partials over ranks, or that alone.
   * @returns false when the leader aborted the step.
   */
  leave(): boolean {
    if (!this.#residual.sumUp()) return false;
    const { kernels, config: { embeddingLength: d }, plan, space, views, arena, n } = this.#state;
    const last = this.#streamCount - 1;
    if (this.#begins) views.streams[arena][last].set(views.normed[arena]);
    else {
      const { f32, stride } = this.#words[arena].streams[last];
      kernels.add_f32(f32, stride, space.normed, plan.strides.embedding, n, d);
    }
    this.#begins = false;
    return true;
  }

  /** residual = what the model's end reads. */
  end(): void {
    this.#state.carryTo(0);
    this.#read(this.#end.mixers[0], this.#streamCount - 1);
  }

  /** residual = Σ p · stream, p = softmax(score · norm(stream)), of so many that are kept. */
  #read(score: Matrix, kept: number): void {
    const { kernels, config: { embeddingLength: d }, space, views, arena, n } = this.#state;
    const { scores, squares, shares, row, streams } = this.#words[arena];
    const { epsilon } = this.#state.fractions;
    const m = this.#streamCount;
    const scoresAt = space.hyperWords, squaresAt = scoresAt + 4 * scores.length;
    for (let j = 0; j <= kept; j++) {
      const x = streams[j < kept ? j : m - 1];
      project(kernels, score, x, n, scoresAt, 1);
      kernels.row_squares_f32(x.f32, x.stride, n, d, squaresAt);
      for (let t = 0; t < n; t++) {
        shares[t * m + j] = scores[t] / Math.sqrt(squares[t] / d + epsilon);
      }
    }
    for (let t = 0; t < n; t++) soften(shares, t * m, t * m + kept + 1);
    views.residual[arena].fill(0);
    const sharesAt = squaresAt + 4 * squares.length, rowAt = sharesAt + 4 * shares.length;
    for (let t = 0; t < n; t++) {
      row[0] = t;
      for (let j = 0; j <= kept; j++) {
        const { f32, stride } = streams[j < kept ? j : m - 1];
        const share = sharesAt + 4 * (t * m + j);
        const from = f32 + 4 * t * stride;
        kernels.scatter_add_row_f32(space.residual, stride, n, rowAt, share, 1, from, d);
      }
    }
  }
}

/** x from `start` to before `end` = its softmax. */
function soften(x: Float32Array, start: number, end: number): void {
  let largest = -Infinity, sum = 0;
  for (let i = start; i < end; i++) largest = Math.max(largest, x[i]);
  for (let i = start; i < end; i++) sum += x[i] = Math.exp(x[i] - largest);
  for (let i = start; i < end; i++) x[i] /= sum;
}
