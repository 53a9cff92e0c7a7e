/**
 * What makes rows of a text model of a tower's rows, on one rank: own neurons between two matrices,
 * or own rows of a single one. What it leaves is a partial sum that the leader adds up.
 */
import type { Control } from "../../memory/control.ts";
import { FRAME_ROWS } from "../../model/projected_rows.ts";
import type { Activation, ProjectorConfig } from "../../model/types.ts";
import { floats } from "../bound/arena_views.ts";
import { addressOf, bindNorm, type Norm, normalizeRows } from "../bound/bound_norm.ts";
import { type Activations, type Matrix, project, quantize, readsQ8 } from "../bound/matrix.ts";
import { aloneKernel, gatedKernel } from "../neurons/neurons.ts";
import type { ProjectorPlan } from "../plan/plan_projector.ts";
import type { Residual } from "../step/residual.ts";
import { lengthOf } from "../plan/shard.ts";
import type { RankPlan, VectorPlan } from "../plan/plan_types.ts";
import { ChannelConvolution } from "./channel_convolution.ts";
import { GridConvolutions } from "./grid_convolutions.ts";
import { LayerQueries } from "./layer_queries.ts";
import { bindProjection, type Projection } from "./projection.ts";
import { ProjectorStages } from "./projector_stages.ts";
import { Resampler } from "./resampler.ts";
import { RowFold } from "./row_fold.ts";
import { RowMerger, type RowSource } from "./row_merger.ts";
import { WindowQueries } from "./window_queries.ts";
import type { StepState } from "../step/step_state.ts";

/** What layers' outcomes are projected with: the only activation that there is. */
const DEEP_ACTIVATION: Activation = "gelu";

export class Projector {
  readonly #state: StepState;
  readonly #residual: Residual;
  readonly #config: ProjectorConfig;
  readonly #plan: ProjectorPlan;
  readonly #merger: RowMerger;
  /** Null: rows are merged as they are. */
  readonly #rowStages: RowStages | null;
  /** Null: rows are merged. */
  readonly #resampler: Resampler | null;
  /** Null: rows are not asked by windows. */
  readonly #windowQueries: WindowQueries | null;
  /** Null: nothing of layers' outcomes is asked by windows. */
  readonly #layerQueries: LayerQueries | null;
  /** Null: no convolutions make rows. */
  readonly #convolutions: GridConvolutions | null;
  /** Null: all rows come to the last layer. */
  readonly #fold: RowFold | null;
  readonly #lastNorm: Norm;
  /** Addresses of f32 [merged width]; 0: there is none. */
  readonly #standard: { readonly mean: number; readonly gains: number };
  readonly #stages: ProjectorStages;
  readonly #last: Projection;
  /** Of the last matrix's own rows; null: nothing convolves them, or there are none. */
  readonly #channels: ChannelConvolution | null;
  /** Of layers' outcomes, in the order of `deepLayers`. */
  readonly #deep: readonly Projection[];
  readonly #addsBehindLayers: boolean;
  /** [logitsRows, logitsStride]. */
  readonly #sums: Float32Array;
  /** All of the arena. */
  readonly #arena: Float32Array;

  /** memories: this rank's, one per arena. */
  constructor(
    state: StepState,
    by: {
      residual: Residual;
      control: Control;
      memories: readonly WebAssembly.Memory[];
      plans: readonly RankPlan[];
      /** Of all ranks. */
      all: readonly (readonly WebAssembly.Memory[])[];
      config: ProjectorConfig;
      projector: ProjectorPlan;
    },
  ) {
    const { plan: { outputNorm, outputArena, workspaces, logitsRows, strides } } = state;
    const { config, projector } = by;
    const memory = by.memories[outputArena];
    this.#state = state;
    this.#residual = by.residual;
    this.#config = config;
    this.#plan = projector;
    this.#rowStages = rowStagesOf(state, { config, projector, memory });
    const from = this.#rowStages?.source;
    this.#merger = new RowMerger(state, { config, memory, stride: projector.mergedStride, from });
    const { control, plans, all } = by;
    const { resampler, mergedStride } = projector;
    this.#resampler = resampler && new Resampler(state, {
      ...{ control, plans, all, config: config.resampler!, plan: resampler },
      outStride: mergedStride,
    });
    const { windowQueries, layerQueries } = projector;
    this.#windowQueries = windowQueries && new WindowQueries(state, {
      ...{ control, plans, all, config: config.windowQueries!, plan: windowQueries },
      turns: { now: 0 },
    });
    this.#layerQueries = layerQueries.length === 0 ? null : new LayerQueries(state, {
      ...{ control, plans, all, residual: by.residual },
      ...{ configs: config.layerQueries!, own: layerQueries },
    });
    this.#convolutions = projector.convolutions && new GridConvolutions(state, {
      ...{ config: config.convolutions!, plan: projector.convolutions, memory },
    });
    this.#fold = projector.fold && new RowFold(state, {
      ...{ residual: by.residual, memory, config: config.fold!, plan: projector },
    });
    this.#lastNorm = bindNorm(outputNorm!);
    const { standard } = projector;
    this.#standard = {
      mean: addressOf(standard && standard.mean),
      gains: addressOf(standard && standard.gains),
    };
    const { merged, mergedQ8: q8, staged } = workspaces[outputArena].projector!;
    const { mergedStride: stride } = projector;
    this.#stages = new ProjectorStages(state, {
      ...{ configs: config.stages ?? [], plans: projector.stages, memory },
      places: { at: [staged, merged], q8, stride, rows: logitsRows },
    });
    const outStart = config.passesOn ? this.#widthOf() : 0;
    const { last: { channels } } = projector;
    this.#channels = channels && new ChannelConvolution(channels, { memory, rowsMax: logitsRows });
    this.#last = bindProjection(projector.last, { activation: config.activation, outStart });
    const part = config.outputLength / (1 + projector.deep.length);
    this.#deep = projector.deep.map((plan, i) =>
      bindProjection(plan, { activation: DEEP_ACTIVATION, outStart: (1 + i) * part })
    );
    this.#addsBehindLayers = this.#deep.length > 0 || this.#layerQueries !== null;
    this.#arena = floats(memory, 0, memory.buffer.byteLength / 4);
    this.#sums = floats(memory, workspaces[outputArena].logits, logitsRows * strides.logits);
  }

  /** Sums that layers add to have their bytes from the step's beginning. */
  begin(): void {
    if (this.#addsBehindLayers) this.#clear();
  }

  #clear(): void {
    const { plan: { strides }, logitsCount: m } = this.#state;
    this.#sums.fill(0, 0, m * strides.logits);
  }

  /**
   * Projects what the layer leaves, or makes fewer rows of it, where the model does.
   * @returns false when the leader aborted the step.
   */
  endLayer(index: number): boolean {
    if (this.#fold !== null && this.#config.fold!.behind === index) return this.#fold.run();
    if (this.#layerQueries !== null) {
      return this.#layerQueries.run(index, (part, x) => {
        this.#add(part === 0 ? this.#last : this.#deep[part - 1], x, this.#state.logitsCount);
      });
    }
    const { deepLayers } = this.#config;
    if (deepLayers === undefined || !deepLayers.includes(index)) return true;
    this.#state.carryTo(this.#state.plan.outputArena);
    const { views, arena, logitsCount: m, config } = this.#state;
    views.normed[arena].set(views.residual[arena]);
    const x = this.#merger.merge(m);
    const projection = this.#deep[deepLayers.indexOf(index)];
    this.#normalize(config.norm, projection.norm!, x, { n: m, width: this.#merger.width });
    this.#add(projection, x, m);
    return true;
  }

  /**
   * sums [logitsCount, outputLength] += own share of second · act(first · x), or of first · x, x
   * being merged rows, the step's first ones, or what queries took of all; logitsStride apart.
   * @returns false when the leader aborted the step.
   */
  run(): boolean {
    if (this.#layerQueries !== null) return true;
    this.#state.carryTo(this.#state.plan.outputArena);
    const { logitsCount, plan: { rankIndex, strides: { embedding: stride } } } = this.#state;
    const m = logitsCount - (this.#config.frameEpsilon === undefined ? 0 : FRAME_ROWS);
    const { space, views, arena, config, n: count } = this.#state;
    const { embeddingLength: d, patches: { areAsked } = {} } = config;
    const { mergedRows, pooledRows = 1, lacksLastNorm, norm } = this.#config;
    // The last merged row may lack some; queries are of all rows.
    const asks = this.#resampler ?? this.#windowQueries;
    const all = asks === null ? m * mergedRows : count;
    const n = Math.min(all, Math.floor(count / pooledRows));
    if (!this.#addsBehindLayers) this.#clear();
    if (lacksLastNorm) views.normed[arena].set(views.residual[arena]);
    else if (pooledRows > 1) this.#normalizeMeans(pooledRows, n);
    else {
      // What asks is behind what is asked.
      const first = areAsked ? count - n : 0;
      const from = space.residual + 4 * first * stride;
      this.#residual.normalize(from, this.#lastNorm, space.normed, n);
    }
    const own = this.#last.norm;
    if (norm?.of === "rows") {
      this.#normalize(norm, own!, { f32: space.normed, stride }, { n, width: d });
    }
    if (this.#resampler !== null && !this.#resampler.run(n)) return false;
    const taken = this.#windowQueries === null ? null : this.#windowQueries.run(n);
    if (this.#windowQueries !== null && taken === null) return false;
    const width = this.#config.resampler?.width ?? this.#merger.width;
    const { mergedQ8, rowsQ8: q8 } = space.projector!;
    this.#rowStages?.stages.run({ f32: space.normed, stride, q8 }, n);
    const x = taken ?? this.#resampler?.out ?? this.#convolutions?.run(n, mergedQ8) ??
      this.#merger.merge(m, n);
    this.#standardize(x, m);
    if (norm?.of === "merged") {
      this.#normalize(norm, own!, x, { n: m, width });
    }
    const read = this.#stages.run(x, m);
    if (this.#config.passesOn && rankIndex === 0) this.#passOn(read, m);
    this.#addLast(read, m);
    return true;
  }

  /** Numbers of what the last matrices read, of convolutions. */
  #widthOf(): number {
    return this.#plan.convolutions!.kernels.at(-1)!.matrix.rows.end;
  }

  /** The leader's rows come out, which are as all ranks'. */
  #passOn({ f32, stride }: Activations, m: number): void {
    const { space: { logits }, plan: { strides } } = this.#state;
    const width = this.#widthOf();
    for (let row = 0; row < m; row++) {
      const from = f32 / 4 + row * stride;
      this.#arena.copyWithin(logits / 4 + row * strides.logits, from, from + width);
    }
  }

  /** What the last matrices give of m rows, and of what stands around them. */
  #addLast(x: Activations, m: number): void {
    const { frame } = this.#last;
    if (frame === null) return this.#add(this.#last, x, m);
    const { space: { logits: sums }, plan: { strides: { logits: stride } } } = this.#state;
    const { lineEnd, begin, end } = frame.plan;
    const behind = x.f32 + 4 * m * x.stride;
    // Products read to the end of a row.
    this.#arena.fill(0, behind / 4, behind / 4 + x.stride);
    this.#put(lineEnd, behind);
    this.#add(this.#last, x, m + 1);
    this.#put(begin, sums + 4 * (m + 1) * stride);
    this.#put(end, sums + 4 * (m + 2) * stride);
    const of = { kind: "rms" as const, epsilon: this.#config.frameEpsilon! };
    const { outputLength: width } = this.#config;
    this.#normalize(of, frame.norm, { f32: sums, stride }, { n: m + FRAME_ROWS, width });
  }

  #put({ offsetBytes, range }: VectorPlan, to: number): void {
    const from = offsetBytes / 4;
    this.#arena.copyWithin(to / 4, from, from + lengthOf(range));
  }

  /** normed [n] = the last norm of the means of each `count` rows of the stream. */
  #normalizeMeans(count: number, n: number): void {
    const { kernels, space: { residual: x, normed, ones }, plan, config } = this.#state;
    const { embeddingLength: d, norm: { kind } } = config;
    const { epsilon } = this.#state.fractions;
    const { embedding } = plan.strides;
    const stride = count * embedding;
    for (let i = 1; i < count; i++) kernels.add_f32(x, stride, x + 4 * i * embedding, stride, n, d);
    kernels.scale_f32(x, stride, n, d, 1 / count);
    const norm = this.#lastNorm;
    normalizeRows(kernels, kind, norm, ones, x, stride, normed, embedding, n, d, epsilon);
  }

  /** x = (scale · x - mean) · gains, m rows: of -scale · x + mean, the other way round. */
  #standardize({ f32: x, stride }: Activations, m: number): void {
    const { kernels } = this.#state;
    const { mean, gains } = this.#standard;
    const { mergedScale } = this.#config;
    const { width } = this.#merger;
    if (mergedScale !== undefined) {
      kernels.scale_f32(x, stride, m, width, mean === 0 ? mergedScale : -mergedScale);
    }
    if (mean === 0) return;
    kernels.add_bias_f32(x, stride, mean, m, width);
    kernels.scale_f32(x, stride, m, width, -1);
    kernels.mul_weight_f32(x, stride, gains, m, width);
  }

  /** x = norm(x), n rows of `width` numbers. */
  #normalize(
    { kind, epsilon }: { kind: "rms" | "layer"; epsilon: number },
    norm: Norm,
    { f32: x, stride }: Pick<Activations, "f32" | "stride">,
    { n, width }: { n: number; width: number },
  ): void {
    const { kernels, space: { ones } } = this.#state;
    normalizeRows(kernels, kind, norm, ones, x, stride, x, stride, n, width, epsilon);
  }

  #add(projection: Projection, x: Activations, m: number): void {
    const { first, gate, second, activation, outStart, hiddenNorm } = projection;
    const { kernels, space, plan: { strides: { logits: stride } } } = this.#state;
    const out = space.logits + 4 * outStart;
    if (projection.columnsStart !== null) return this.#addColumns(projection, x, m, out);
    if (second === null) return this.#addRows(projection, x, m, out);
    if (first.rowCount === 0) return this.#addBias(second, out, m);
    const { hiddenStride } = this.#plan;
    const { hidden: f32, hiddenQ8: q8 } = space.projector!;
    const { rowCount: width } = first;
    if (readsQ8(first)) quantize(kernels, x, m, first.columnCount);
    project(kernels, first, x, m, f32, hiddenStride);
    if (gate === null) {
      const activate = activation && aloneKernel(kernels, activation);
      activate?.(f32, hiddenStride, f32, hiddenStride, m, width);
    } else {
      const gates = space.projector!.gate;
      project(kernels, gate, x, m, gates, hiddenStride);
      const activate = gatedKernel(kernels, activation!);
      activate(gates, f32, hiddenStride, f32, hiddenStride, m, width);
    }
    if (hiddenNorm !== null) {
      const { hiddenEpsilon: epsilon = 0 } = this.#config;
      const rows = { f32, stride: hiddenStride };
      this.#normalize({ kind: "rms", epsilon }, hiddenNorm, rows, { n: m, width });
    }
    const hidden = { f32, stride: hiddenStride, q8 };
    if (readsQ8(second)) quantize(kernels, hidden, m, width);
    project(kernels, second, hidden, m, out, stride);
  }

  /** A single matrix's own columns of those that there are inputs for. */
  #addColumns(
    { first, ownStart, columnsStart }: Projection,
    x: Activations,
    m: number,
    out: number,
  ) {
    const { kernels, plan: { strides: { logits: stride } } } = this.#state;
    if (first.columnCount === 0) return this.#addBias(first, out, m);
    const own = { ...x, f32: x.f32 + 4 * (ownStart - columnsStart!) };
    if (readsQ8(first)) quantize(kernels, own, m, first.columnCount);
    project(kernels, first, own, m, out, stride);
  }

  /** A single matrix: own rows, or own columns where it lies column by column. */
  #addRows({ first, ownStart }: Projection, x: Activations, m: number, out: number): void {
    const { kernels, plan: { strides: { logits: stride } } } = this.#state;
    if (first.layout === "neurons") {
      if (first.columnCount === 0) return this.#addBias(first, out, m);
      project(kernels, first, { ...x, f32: x.f32 + 4 * ownStart }, m, out, stride);
    } else if (first.rowCount > 0) {
      if (readsQ8(first)) quantize(kernels, x, m, first.columnCount);
      project(kernels, first, x, m, out + 4 * ownStart, stride);
      this.#channels?.run(out + 4 * ownStart, stride, m);
    }
  }

  /** A rank that multiplies nothing may still be the one that adds it. */
  #addBias({ bias, rowCount }: Matrix, out: number, m: number): void {
    const { kernels, plan: { strides: { logits: stride } } } = this.#state;
    if (bias !== 0) kernels.add_bias_f32(out, stride, bias, m, rowCount);
  }
}

/** What rows go through before they are merged, and where it leaves them. */
interface RowStages {
  readonly stages: ProjectorStages;
  readonly source: RowSource;
}

function rowStagesOf(
  state: StepState,
  { config: { rowStages: configs }, projector: { rowStages: plans, rowStride: stride }, memory }: {
    readonly config: ProjectorConfig;
    readonly projector: ProjectorPlan;
    readonly memory: WebAssembly.Memory;
  },
): RowStages | null {
  if (configs === undefined) return null;
  const { plan: { outputArena, workspaces, chunkTokens: rows } } = state;
  const { rows: at, rowsQ8: q8 } = workspaces[outputArena].projector!;
  const last = plans.length - 1;
  return {
    stages: new ProjectorStages(state, {
      ...{ configs, plans, memory, places: { at, q8, stride, rows } },
    }),
    source: { at: at[last % 2], width: lengthOf(plans[last].matrix.rows), stride },
  };
}
