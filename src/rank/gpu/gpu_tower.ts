/**
 * Both ends of a tower on a GPU: patches become rows of the residual stream, and a projector makes
 * rows of a text model of what layers leave. As src/rank/tower/patch_embedding.ts and projector.ts.
 * Knows nothing of images.
 */
import {
  activate,
  type Gpu,
  headNorm,
  mergedWidth,
  mergeRows,
  type Program,
  type ProgramBuilder,
  type Rows,
  scaleRows,
} from "../../../gpu/mod.ts";
import { check } from "../../base/check.ts";
import type { Activation, ModelConfig, ProjectorConfig } from "../../model/types.ts";
import type { TowerInput } from "../../model/vision_types.ts";
import type { ProjectionPlan, ProjectorPlan } from "../plan/plan_projector.ts";
import type { Ground } from "./gpu_parts.ts";
import type { GpuSpace } from "./gpu_space.ts";
import type { GpuStep } from "./gpu_step.ts";
import type { GpuLoader, Stacked } from "./gpu_weights.ts";
import { addNorm, multiply } from "./layer_operations.ts";
import { type GpuNorm, loadNorm } from "./layer_weights.ts";

/** What layers' outcomes are projected with: the only activation that there is. */
const DEEP_ACTIVATION: Activation = "gelu";

/** One or two matrices. */
interface Projection {
  readonly norm: GpuNorm | null;
  readonly first: Stacked;
  readonly second: Stacked | null;
  /** Between two matrices. */
  readonly activation: Activation | null;
  /** First column of what comes out. */
  readonly outStart: number;
}

/** What it takes to load and use a tower's ends. */
export interface TowerPlace extends Ground {
  readonly gpu: Gpu;
  readonly config: ModelConfig;
}

export class GpuTower {
  /** Makes `logits` [m, outputLength] of what the last layer leaves. */
  readonly end: Program;
  readonly #gpu: Gpu;
  readonly #start: Program;
  readonly #space: GpuSpace;
  readonly #width: number;
  #input: TowerInput | null = null;

  private constructor(
    { gpu, space, config }: TowerPlace,
    { start, end }: { start: Program; end: Program },
  ) {
    this.end = end;
    this.#gpu = gpu;
    this.#start = start;
    this.#space = space;
    this.#width = config.embeddingLength;
  }

  /** @throws {GpuOutOfMemoryError} when the GPU has no room for it. */
  static async open(of: TowerPlace, projectors: TowerProjectors): Promise<GpuTower> {
    const { plan, loader, makeBuilder, config, space } = of;
    const { embeddingLength: width, norm: { kind, epsilon } } = config;
    const { patches: x, residual: to } = space;
    const frames = [await loader.stack([plan.embedding])];
    if (plan.secondFrame !== null) frames.push(await loader.stack([plan.secondFrame]));
    const norm = await loadNorm(of, plan.embeddingNorm);
    const start = makeBuilder();
    // What is added to rows lies there already.
    for (const frame of frames) multiply(start, frame, { x, to, accumulate: true });
    if (norm !== null) headNorm(start, { ...norm, kind, epsilon, x: to, heads: 1, width });
    const end = makeBuilder();
    projectors.addLast(end);
    return new GpuTower(of, { start: await start.build(), end: await end.build() });
  }

  /** What the next step is of. */
  take(input: TowerInput): void {
    this.#input = input;
  }

  /**
   * residual = W · patch + b, by one frame or two, + added, normalised where the model does.
   * rows: [n, strides.embedding], for what is added.
   */
  embed(step: GpuStep, rows: Float32Array): void {
    const input = this.#input;
    check(input !== null && input.count === step.n, "a step's patches were given before it");
    this.#input = null;
    const { residual, patches } = this.#space;
    const { added } = input;
    const width = this.#width;
    rows.fill(0);
    for (let t = 0; added !== null && t < step.n; t++) {
      rows.set(added.subarray(t * width, (t + 1) * width), t * residual.stride);
    }
    this.#gpu.write(residual.buffer, residual.offsetBytes, rows);
    this.#gpu.write(patches.buffer, patches.offsetBytes, input.patches);
    this.#start.run(step);
  }
}

/** The projectors of a tower: that of the last layer's rows, and those of layers' outcomes. */
export class TowerProjectors {
  readonly #config: ModelConfig;
  readonly #projector: ProjectorConfig;
  readonly #space: GpuSpace;
  readonly #lastNorm: GpuNorm;
  readonly #joins: Stacked | null;
  readonly #last: Projection;
  /** In the order of `deepLayers`. */
  readonly #deep: readonly Projection[];

  private constructor(
    { config, space }: TowerPlace,
    of: { lastNorm: GpuNorm; joins: Stacked | null; last: Projection; deep: Projection[] },
  ) {
    this.#config = config;
    this.#projector = config.projector!;
    this.#space = space;
    this.#lastNorm = of.lastNorm;
    this.#joins = of.joins;
    this.#last = of.last;
    this.#deep = of.deep;
  }

  /** Null: the model is no tower. @throws {GpuOutOfMemoryError} when there is no room for it. */
  static async open(of: TowerPlace): Promise<TowerProjectors | null> {
    const { plan: { projector, outputNorm }, loader, config } = of;
    if (projector === null) return null;
    check(projector.standard === null, "tower_obstacle.ts refuses rows that are made alike");
    const { activation, outputLength, merge, mergedRows: count } = config.projector!;
    const { embeddingLength } = config;
    const merged = mergedWidth({ width: embeddingLength, count, merge });
    check(activation !== "geluErf", "tower_obstacle.ts refuses gelu by the error function");
    const part = outputLength / (1 + projector.deep.length);
    const deep: Projection[] = [];
    for (const [i, own] of projector.deep.entries()) {
      const as = { activation: DEEP_ACTIVATION, outStart: (1 + i) * part, width: merged };
      deep.push(await loadProjection(loader, own, as));
    }
    const width = config.projector!.norm?.of === "rows" ? embeddingLength : merged;
    return new TowerProjectors(of, {
      lastNorm: await loadNorm(of, outputNorm!),
      joins: await loadJoins(loader, projector),
      last: await loadProjection(loader, projector.last, { activation, outStart: 0, width }),
      deep,
    });
  }

  /** Behind a layer: projects what it leaves, where the model does. */
  endLayer(builder: ProgramBuilder, index: number): void {
    const at = this.#projector.deepLayers?.indexOf(index) ?? -1;
    if (at < 0) return;
    const x = this.#merge(builder, this.#space.residual);
    const { kind, epsilon } = this.#config.norm;
    this.#normalizeMerged(builder, { ...this.#deep[at].norm!, kind, epsilon, x });
    this.#add(builder, this.#deep[at], x);
  }

  /** logits = second · act(first · x), or first · x, x being merged rows, the step's first ones. */
  addLast(builder: ProgramBuilder): void {
    const { residual, normed, joined } = this.#space;
    const { lacksLastNorm, norm, mergedScale } = this.#projector;
    const config = this.#config;
    const { embeddingLength: width } = config;
    let rows = residual;
    const own = this.#last.norm;
    if (!lacksLastNorm) {
      addNorm(builder, config, this.#lastNorm, { from: residual, to: normed });
      rows = normed;
    }
    if (norm?.of === "rows") headNorm(builder, { ...own!, ...norm, x: rows, heads: 1, width });
    const x = this.#merge(builder, rows);
    if (mergedScale !== undefined) {
      scaleRows(builder, { x, width: this.#mergedWidth, scale: mergedScale, count: "scored" });
    }
    if (norm?.of === "merged") this.#normalizeMerged(builder, { ...own!, ...norm, x });
    if (this.#joins === null) return this.#add(builder, this.#last, x);
    multiply(builder, this.#joins, { x, to: joined, count: "scored" });
    this.#add(builder, this.#last, joined);
  }

  get #mergedWidth(): number {
    const { merge, mergedRows: count } = this.#projector;
    return mergedWidth({ width: this.#config.embeddingLength, count, merge });
  }

  /** The stream stays as it is. */
  #merge(builder: ProgramBuilder, x: Rows): Rows {
    const { merge, mergedRows: count } = this.#projector;
    const { merged: to } = this.#space;
    mergeRows(builder, { x, to, width: this.#config.embeddingLength, count, merge });
    return to;
  }

  #normalizeMerged(
    builder: ProgramBuilder,
    norm: GpuNorm & { readonly kind: "rms" | "layer"; readonly epsilon: number; readonly x: Rows },
  ): void {
    headNorm(builder, { ...norm, heads: 1, width: this.#mergedWidth, count: "scored" });
  }

  #add(builder: ProgramBuilder, { first, second, activation, outStart }: Projection, x: Rows) {
    const { projected, activated, logits } = this.#space;
    const to = { ...logits, column: outStart };
    const count = "scored" as const;
    if (second === null) return multiply(builder, first, { x, to, count });
    check(activation !== null, "there is something between two matrices");
    multiply(builder, first, { x, to: projected, count });
    const neurons = first.matrix.rows;
    activate(builder, { activation, isGated: false, x: projected, to: activated, neurons, count });
    multiply(builder, second, { x: activated, to, count });
  }
}

/** What makes one row of merged ones; null: nothing does. */
async function loadJoins(loader: GpuLoader, { stages }: ProjectorPlan): Promise<Stacked | null> {
  check(stages.length <= 1, "tower_obstacle.ts refuses others");
  return stages.length === 0 ? null : await loader.stack([stages[0].matrix]);
}

/** width: of what its norm is of. */
async function loadProjection(
  loader: GpuLoader,
  { norm, first, second }: ProjectionPlan,
  { width, ...of }: Pick<Projection, "activation" | "outStart"> & { readonly width: number },
): Promise<Projection> {
  const weight = norm && (norm.weight ? loader.vector(norm.weight) : loader.ones(width));
  const bias = norm?.bias ? await loader.vector(norm.bias) : null;
  return {
    norm: weight && { weight: await weight, bias },
    first: await loader.stack([first]),
    second: second && await loader.stack([second]),
    ...of,
  };
}
