/**
 * Learned queries take what they want of a tower's rows: one layer of attention, of which a rank
 * has some heads. What heads give is a sum over ranks, so it joins. Knows nothing of what follows.
 */
import type { Control } from "../../memory/control.ts";
import { POSITION_AXES } from "../../memory/control_layout.ts";
import { ALL_AHEAD } from "../../model/layer_config.ts";
import type { ResamplerConfig } from "../../model/resampler_types.ts";
import { floats } from "../bound/arena_views.ts";
import { bindNorm, type Norm, normalizeRows } from "../bound/bound_norm.ts";
import {
  type Activations,
  type Matrix,
  matrixOf,
  project,
  quantize,
  readsQ8,
} from "../bound/matrix.ts";
import type { ResamplerPlan } from "../plan/plan_resampler.ts";
import type { RankPlan } from "../plan/plan_types.ts";
import type { StepState } from "../step/step_state.ts";

/** What all places' waves fall to. */
const LONGEST_WAVE = 10000;

/** What a resampler is made of. */
export interface ResamplerInput {
  readonly control: Control;
  readonly config: ResamplerConfig;
  readonly plan: ResamplerPlan;
  readonly plans: readonly RankPlan[];
  /** [rank][arena] */
  readonly all: readonly (readonly WebAssembly.Memory[])[];
  /** From one row of what comes out to the next. */
  readonly outStride: number;
}

export class Resampler {
  readonly #state: StepState;
  readonly #in: ResamplerInput;
  readonly #at: ResamplerPlan["at"];
  readonly #matrices: Readonly<Record<"input" | "query" | "key" | "value" | "output", Matrix>>;
  readonly #inputNorm: Norm;
  readonly #queryNorm: Norm;
  readonly #scale: number;
  readonly #queries: Float32Array;
  /** [rowsAtOnce, stride] */
  readonly #rows: Float32Array;
  readonly #table: Uint32Array;
  /** What queries took, in the place of merged rows. */
  readonly out: Activations;
  /** Of all ranks, [queryCount, stride]. */
  readonly #sums: readonly Float32Array[];
  readonly #out: Float32Array;
  /** Sines and cosines of places, [places, E / 2]. */
  #waves = new Float32Array(0);

  constructor(state: StepState, input: ResamplerInput) {
    const { plan: { outputArena: arena, workspaces: own, rankIndex } } = state;
    const { plan, config: { queryCount, width, headDim }, plans, all } = input;
    const memory = all[rankIndex][arena];
    const { resampler, merged, mergedQ8 } = own[arena].projector!;
    this.#state = state;
    this.#in = input;
    this.#at = Object.fromEntries(
      Object.entries(plan.at).map(([name, at]) => [name, resampler + at]),
    ) as unknown as ResamplerPlan["at"];
    this.#matrices = {
      ...{ input: matrixOf(plan.input), query: matrixOf(plan.query), key: matrixOf(plan.key) },
      ...{ value: matrixOf(plan.value), output: matrixOf(plan.output) },
    };
    this.#inputNorm = bindNorm(plan.inputNorm);
    this.#queryNorm = bindNorm(plan.queryNorm);
    this.#scale = 1 / Math.sqrt(headDim);
    this.#queries = floats(memory, plan.queries.offsetBytes, queryCount * width);
    this.#rows = floats(memory, this.#at.rows, plan.rowsAtOnce * plan.stride);
    this.#table = new Uint32Array(memory.buffer, this.#at.table, plan.blocks);
    this.#sums = plans.map(({ workspaces }, rank) => {
      const { sums } = workspaces[arena].projector!;
      return floats(all[rank][arena], sums, queryCount * plan.stride);
    });
    this.out = { f32: merged, stride: input.outStride, q8: mergedQ8 };
    this.#out = floats(memory, merged, queryCount * input.outStride);
  }

  /**
   * out [queryCount, outStride] = what queries take of the first n rows of `normed`.
   * @returns false when the leader aborted the step.
   */
  run(n: number): boolean {
    const { control, plan: { headCount } } = this.#in;
    if (headCount > 0) {
      this.#remember(n);
      this.#ask();
      this.#attend(n);
    }
    this.#leave();
    // Nobody writes its sums again before the end of the step, for which all wait.
    if (!control.join()) return false;
    this.#addUp();
    return true;
  }

  /** keys, values = matrices · rows, some rows at a time. */
  #remember(n: number): void {
    const { kernels, space, plan: { strides: { embedding } } } = this.#state;
    const { plan: { headCount, rowsAtOnce, blocks }, config: { headDim } } = this.#in;
    const { key, value } = this.#matrices;
    const { made, keys, values, table } = this.#at;
    const own = headCount * headDim;
    this.#table.forEach((_, block) => this.#table[block] = block);
    this.#makeWaves(n);
    for (let from = 0; from < n; from += rowsAtOnce) {
      const count = Math.min(rowsAtOnce, n - from);
      const f32 = space.normed + 4 * from * embedding;
      this.#lengthen({ f32, stride: embedding, q8: space.normedQ8 }, count);
      this.#project(value, made, count);
      kernels.store_values_f32(made, own, values, table, blocks, from, count, headCount, headDim);
      this.#addPlaces(from, count);
      this.#project(key, made, count);
      kernels.store_keys_f32(made, own, keys, table, blocks, from, count, headCount, headDim);
    }
  }

  /** rows = norm(input · x) */
  #lengthen(x: Activations, count: number): void {
    const { kernels } = this.#state;
    const { input } = this.#matrices;
    const { plan: { stride } } = this.#in;
    if (readsQ8(input)) quantize(kernels, x, count, input.columnCount);
    project(kernels, input, x, count, this.#at.rows, stride);
    this.#normalize(this.#inputNorm, count);
  }

  #normalize(norm: Norm, count: number): void {
    const { kernels, space: { ones } } = this.#state;
    const { config: { width, epsilon }, plan: { stride } } = this.#in;
    const { rows } = this.#at;
    normalizeRows(kernels, "layer", norm, ones, rows, stride, rows, stride, count, width, epsilon);
  }

  /** to [count, own width] = matrix · rows */
  #project(matrix: Matrix, to: number, count: number): void {
    const { kernels } = this.#state;
    const { rows: f32, rowsQ8: q8 } = this.#at;
    const x = { f32, q8, stride: this.#in.plan.stride };
    if (readsQ8(matrix)) quantize(kernels, x, count, matrix.columnCount);
    project(kernels, matrix, x, count, to, matrix.rowCount);
  }

  /** Of all places that n patches have. */
  #makeWaves(n: number): void {
    const { positions } = this.#state;
    const half = this.#in.config.width / 2, quarter = half / 2;
    let places = 0;
    for (let i = 0; i < n; i++) {
      const at = i * POSITION_AXES;
      places = Math.max(places, positions[at + 1] + 1, positions[at + 2] + 1);
    }
    if (places * half <= this.#waves.length) return;
    this.#waves = new Float32Array(places * half);
    for (let i = 0; i < quarter; i++) {
      const frequency = Math.fround(1 / LONGEST_WAVE ** (i / quarter));
      for (let place = 0; place < places; place++) {
        const angle = Math.fround(place * frequency);
        this.#waves[place * half + i] = Math.sin(angle);
        this.#waves[place * half + quarter + i] = Math.cos(angle);
      }
    }
  }

  /** rows += waves of each patch's column and row. */
  #addPlaces(from: number, count: number): void {
    const { positions } = this.#state;
    const { plan: { stride }, config: { width } } = this.#in;
    const half = width / 2;
    const rows = this.#rows, waves = this.#waves;
    for (let i = 0; i < count; i++) {
      const at = (from + i) * POSITION_AXES;
      const ofRow = positions[at + 1] * half, ofColumn = positions[at + 2] * half;
      const to = i * stride;
      for (let j = 0; j < half; j++) {
        rows[to + j] += waves[ofColumn + j];
        rows[to + half + j] += waves[ofRow + j];
      }
    }
  }

  /** query = matrix · norm(queries) */
  #ask(): void {
    const { config: { queryCount, width }, plan: { stride } } = this.#in;
    for (let i = 0; i < queryCount; i++) {
      this.#rows.set(this.#queries.subarray(i * width, (i + 1) * width), i * stride);
    }
    this.#normalize(this.#queryNorm, queryCount);
    this.#project(this.#matrices.query, this.#at.query, queryCount);
  }

  /** mixed = softmax(scale · query · keysᵀ) · values: every query sees all rows. */
  #attend(n: number): void {
    const { kernels } = this.#state;
    const { plan: { headCount: heads, blocks, ownStride }, config } = this.#in;
    const { queryCount, headDim } = config;
    const { query, keys, values, table, mixed, scratch } = this.#at;
    const own = heads * headDim;
    // Kernels know positions: queries stand at the first ones, of which there may be fewer.
    for (let from = 0; from < queryCount; from += n) {
      kernels.attention_f32(
        query + 4 * from * own,
        own,
        keys,
        values,
        heads,
        table,
        blocks,
        mixed + 4 * from * ownStride,
        ownStride,
        scratch,
        Math.min(n, queryCount - from),
        0,
        heads,
        0,
        1,
        headDim,
        headDim,
        0,
        this.#scale,
        0,
        0,
        0,
        0,
        0,
        ALL_AHEAD,
        n,
      );
    }
  }

  /** sums = output · mixed, over own heads. */
  #leave(): void {
    const { kernels, plan: { rankIndex, workspaces, outputArena } } = this.#state;
    const { config: { queryCount }, plan: { headCount, stride, ownStride } } = this.#in;
    const { output } = this.#matrices;
    const { sums } = workspaces[outputArena].projector!;
    this.#sums[rankIndex].fill(0);
    if (headCount > 0) {
      const x = { f32: this.#at.mixed, stride: ownStride, q8: this.#at.mixedQ8 };
      if (readsQ8(output)) quantize(kernels, x, queryCount, output.columnCount);
      project(kernels, output, x, queryCount, sums, stride);
    } else if (output.bias !== 0) {
      kernels.add_bias_f32(sums, stride, output.bias, queryCount, output.rowCount);
    }
  }

  /** In the order of ranks: the same bits on all of them. */
  #addUp(): void {
    const { config: { queryCount, width }, plan: { stride }, outStride } = this.#in;
    const out = this.#out;
    out.fill(0);
    for (const sums of this.#sums) {
      for (let row = 0; row < queryCount; row++) {
        const from = row * stride, to = row * outStride;
        for (let i = 0; i < width; i++) out[to + i] += sums[from + i];
      }
    }
  }
}
