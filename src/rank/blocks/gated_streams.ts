/**
 * Residual streams on one rank that are gated where a block reads them, `residual`, and to all of
 * which a block adds. Every rank does all of it alike, without a join of its own. Knows nothing of
 * what blocks compute.
 */
import { check } from "../../base/check.ts";
import { floats } from "../bound/arena_views.ts";
import type { GatedMix } from "../bound/bound_gated.ts";
import { type Activations, project, quantize, readsQ8 } from "../bound/matrix.ts";
import { gatedStrides } from "../plan/plan_gated.ts";
import type { Residual } from "../step/residual.ts";
import type { StepState } from "../step/step_state.ts";

/** What a step leaves in one arena. */
interface Views {
  readonly rows: Activations;
  readonly rowFloats: Float32Array;
  readonly low: Activations;
  readonly lowFloats: Float32Array;
  /** [n, streams]: what goes to each. */
  readonly goes: Float32Array;
  readonly numbers: Uint32Array;
}

export class GatedStreams {
  readonly #state: StepState;
  readonly #residual: Residual;
  readonly #streamCount: number;
  readonly #strides: ReturnType<typeof gatedStrides>;
  /** Boxed once, as `Fractions` are: 1 / streams. */
  readonly #share: { value: number | null } = { value: null };
  readonly #end: GatedMix;
  /** By arena. */
  readonly #views: readonly Views[];

  /** memories: this rank's, one per arena; end: what makes one stream of all, in arena 0. */
  constructor(
    state: StepState,
    by: { residual: Residual; memories: readonly WebAssembly.Memory[]; end: GatedMix },
  ) {
    const { config } = state;
    check(config.gatedStreams !== undefined, "a model whose streams are gated");
    this.#state = state;
    this.#residual = by.residual;
    this.#streamCount = config.gatedStreams.streamCount;
    this.#strides = gatedStrides(config);
    this.#share.value = 1 / this.#streamCount;
    this.#end = by.end;
    this.#views = by.memories.map((memory, arena) => this.#viewsOf(memory, arena));
  }

  #viewsOf(memory: WebAssembly.Memory, arena: number): Views {
    const { plan: { chunkTokens, workspaces } } = this.#state;
    const { gated, hyperWords: at } = workspaces[arena];
    const { rows, low, q8 } = gated!;
    const { all, low: stride } = this.#strides;
    const count = chunkTokens * this.#streamCount;
    return {
      rows: { f32: rows, stride: all, q8 },
      rowFloats: floats(memory, rows, chunkTokens * all),
      low: { f32: low, stride, q8 },
      lowFloats: floats(memory, low, chunkTokens * stride),
      goes: floats(memory, at, count),
      numbers: new Uint32Array(memory.buffer, at + 4 * count, this.#streamCount),
    };
  }

  /** All streams = residual: the embeddings. */
  start(): void {
    const { views, arena } = this.#state;
    for (const stream of views.streams[arena]) stream.set(views.residual[arena]);
  }

  /** residual = what a block reads of the streams; where it goes is kept until `leave`. */
  enter(mix: GatedMix): void {
    const { kernels, space, plan: { strides }, config: { embeddingLength: d } } = this.#state;
    const { n, views, arena } = this.#state;
    const { rows } = this.#views[arena];
    const m = this.#streamCount, { all } = this.#strides, { gates } = space.gated!;
    this.#normalize(mix);
    if (mix.readsQ8) quantize(kernels, rows, n, m * d);
    if (mix.inject !== null) this.#weigh(mix.inject, rows);
    this.#makeGates(mix, rows);
    kernels.sigmoid_mul_f32(gates, rows.f32, all, rows.f32, all, n, m * d);
    views.residual[arena].fill(0);
    const { embedding: stride } = strides;
    for (let s = 0; s < m; s++) {
      kernels.add_f32(space.residual, stride, rows.f32 + 4 * s * d, all, n, d);
    }
    kernels.scale_f32(space.residual, stride, n, d, this.#share.value!);
  }

  /** rows = the streams side by side, each normalised. */
  #normalize({ norm }: GatedMix): void {
    const { kernels, space, plan, config: { embeddingLength: d }, arena } = this.#state;
    const { n, fractions: { epsilon } } = this.#state;
    const { rows, rowFloats } = this.#views[arena];
    const { embedding: stride } = plan.strides;
    const m = this.#streamCount, { all } = this.#strides;
    for (let s = 0; s < m; s++) {
      const weights = norm + 4 * s * d;
      const from = space.streams + 4 * s * plan.chunkTokens * stride, to = rows.f32 + 4 * s * d;
      // One by one: behind several the kernel would clear what is another stream's.
      for (let t = 0; t < n; t++) {
        const x = from + 4 * t * stride, row = to + 4 * t * all;
        kernels.rms_norm_f32(x, stride, weights, row, d, 1, d, epsilon);
      }
    }
    for (let t = 0; t < n; t++) rowFloats.fill(0, t * all + m * d, (t + 1) * all);
  }

  /** goes = 2 · sigmoid(inject · rows / m). */
  #weigh(inject: NonNullable<GatedMix["inject"]>, rows: Activations): void {
    const { kernels, n, space, arena } = this.#state;
    const { goes } = this.#views[arena];
    const m = this.#streamCount;
    project(kernels, inject, rows, n, space.hyperWords, m);
    for (let i = 0; i < n * m; i++) goes[i] = 2 / (1 + Math.exp(-goes[i] / m));
  }

  /** gates = up · silu(down · rows / m). */
  #makeGates({ down, up }: GatedMix, rows: Activations): void {
    const { kernels, n, space, arena } = this.#state;
    const { low, lowFloats } = this.#views[arena];
    const m = this.#streamCount, rank = down.rowCount;
    const { all, low: stride } = this.#strides;
    project(kernels, down, rows, n, low.f32, stride);
    for (let t = 0; t < n; t++) {
      const at = t * stride;
      for (let i = at; i < at + rank; i++) {
        const x = lowFloats[i] / m;
        lowFloats[i] = x / (1 + Math.exp(-x));
      }
      lowFloats.fill(0, at + rank, at + stride);
    }
    if (readsQ8(up)) quantize(kernels, low, n, rank);
    project(kernels, up, low, n, space.gated!.gates, all);
  }

  /**
   * streams += Σ partials over ranks, as much as each takes of it.
   * @returns false when the leader aborted the step.
   */
  leave(): boolean {
    if (!this.#residual.sumUp()) return false;
    const { kernels, config: { embeddingLength: d }, plan, space, arena, n } = this.#state;
    const { embedding: stride } = plan.strides;
    const { chunkTokens } = plan;
    const { numbers } = this.#views[arena];
    const m = this.#streamCount, rows = m * chunkTokens;
    const list = space.hyperWords + 4 * chunkTokens * m;
    for (let t = 0; t < n; t++) {
      for (let s = 0; s < m; s++) numbers[s] = s * chunkTokens + t;
      const by = space.hyperWords + 4 * t * m, made = space.normed + 4 * t * stride;
      kernels.scatter_add_row_f32(space.streams, stride, rows, list, by, m, made, d);
    }
    return true;
  }

  /** residual = what the output reads of the streams. */
  end(): void {
    this.#state.carryTo(0);
    this.enter(this.#end);
  }
}
