/**
 * A layer's share on the GPU: its weights, and its blocks as lists of dispatches. What is different
 * between families is decided here, once, when the lists are made. Knows nothing of threads.
 */
import {
  activate,
  addRows,
  attention,
  createKvCache,
  type Gpu,
  headNorm,
  matmul,
  type MatrixHome,
  norm,
  type ProgramBuilder,
  rotateAndRemember,
  type Rows,
} from "../../../gpu/mod.ts";
import type { ModelConfig } from "../../model/types.ts";
import type { DensePlan, HeadNormPlan, LayerPlan, MatrixPlan, NormPlan } from "../plan_types.ts";
import { lengthOf } from "../shard.ts";
import { type DensePart, denseParts } from "./dense_parts.ts";
import type { GpuSpace } from "./gpu_space.ts";
import { type GpuLoader, type Stacked, stacksOf } from "./gpu_weights.ts";

/** A norm of the stream; bias null: none. */
interface GpuNorm {
  readonly weight: GPUBuffer;
  readonly bias: GPUBuffer | null;
}

interface GpuHeadNorm {
  readonly weight: GPUBuffer;
  /** Heads that are normalised by themselves, how wide each is, and whether each has weights. */
  readonly heads: number;
  readonly width: number;
  readonly weightPerHead: boolean;
}

/** A product whose rows come from several matrices, side by side in what it gives. */
interface Product {
  readonly stacked: Stacked;
  /** Where in the row of what it gives it begins. */
  readonly column: number;
}

interface AttentionWeights {
  readonly norm: GpuNorm | null;
  readonly projections: readonly Product[];
  readonly queryNorm: GpuHeadNorm | null;
  readonly keyNorm: GpuHeadNorm | null;
  readonly output: Stacked;
  readonly cache: Awaited<ReturnType<typeof createKvCache>>;
}

/** Of some neurons of a layer. */
export interface NeuronWeights {
  readonly norm: GpuNorm | null;
  readonly parts: readonly NeuronPart[];
}

/** Neurons that are computed in steps of so many tokens and more: dense_parts.ts. */
interface NeuronPart {
  readonly fromTokens: number;
  readonly projections: readonly Product[];
  readonly down: Stacked;
}

export interface GpuLayerInput {
  readonly gpu: Gpu;
  readonly config: ModelConfig;
  readonly plan: LayerPlan;
  readonly index: number;
  readonly loader: GpuLoader;
  readonly space: GpuSpace;
  readonly contextLength: number;
  readonly kvType: "f16" | "f32";
  /** In steps of so many tokens all its neurons are computed; Infinity: see dense_parts.ts. */
  readonly allFromTokens: number;
  /** The residual stream is on the GPU, and what blocks leave is added to it there. */
  readonly isAlone: boolean;
}

export class GpuLayer {
  readonly index: number;
  readonly arena: number;
  readonly isParallel: boolean;
  readonly plan: LayerPlan;
  /** Heads of a token are normalised as one vector: ranks join for it. */
  readonly joinsNorms: boolean;
  readonly #in: GpuLayerInput;
  readonly #attention: AttentionWeights | null;
  readonly #neurons: NeuronWeights | null;
  readonly #postNorms: { attention: GpuNorm | null; feedForward: GpuNorm | null };

  private constructor(
    input: GpuLayerInput,
    weights: {
      attention: AttentionWeights | null;
      neurons: NeuronWeights | null;
      postNorms: { attention: GpuNorm | null; feedForward: GpuNorm | null };
    },
  ) {
    const { plan, config, index } = input;
    this.index = index;
    this.arena = plan.arena;
    this.isParallel = config.hasParallelBlocks;
    this.plan = plan;
    this.joinsNorms = [plan.queryNorm, plan.keyNorm].some((each) => each?.span === "projection");
    this.#in = input;
    this.#attention = weights.attention;
    this.#neurons = weights.neurons;
    this.#postNorms = weights.postNorms;
  }

  /** Loads the share. @throws {GpuOutOfMemoryError} when the GPU has no room for it. */
  static async load(input: GpuLayerInput): Promise<GpuLayer> {
    const { plan, loader, isAlone, allFromTokens } = input;
    const postNorm = async (norm: NormPlan | null) => isAlone ? await loadNorm(loader, norm) : null;
    return new GpuLayer(input, {
      attention: await loadAttention(input),
      neurons: await loadNeurons(input, denseParts(plan, allFromTokens)),
      postNorms: {
        attention: await postNorm(plan.attentionPostNorm),
        feedForward: await postNorm(plan.feedForwardPostNorm),
      },
    });
  }

  get hasHeads(): boolean {
    return this.#attention !== null;
  }

  get hasNeurons(): boolean {
    return this.#neurons !== null;
  }

  /** It computes neurons in steps of so many tokens and more. */
  get neuronsFromTokens(): number {
    return this.#neurons?.parts[0].fromTokens ?? Infinity;
  }

  /** Own heads: their share goes to the partial sum, or is added to the stream where it is here. */
  addAttention(builder: ProgramBuilder): void {
    const weights = this.#attention;
    if (weights === null) return;
    const { config, plan, space, isAlone } = this.#in;
    const { headDim, ropes, layers } = config;
    const heads = lengthOf(plan.heads);
    const kvHeads = lengthOf(plan.kvHeads);
    const x = this.#normalize(builder, weights.norm);
    for (const { stacked, column } of weights.projections) {
      multiply(builder, stacked, { x, to: { ...space.heads, column } });
    }
    this.#normalizeHeads(builder, weights);
    const { slidingWindow: window, rope } = layers[this.index];
    const { cache } = weights;
    rotateAndRemember(builder, {
      x: space.heads,
      ...{ heads, kvHeads, headDim, cache },
      rope: rope === null ? null : { index: rope, kind: ropes[rope].kind },
    });
    const groupSize = config.headCount / config.headCountKv;
    attention(builder, {
      x: space.heads,
      to: space.attention,
      ...{ heads, kvHeads, headDim, groupSize, window, cache },
      headOffset: plan.heads.start - plan.kvHeads.start * groupSize,
      scale: config.attentionScale,
      softCap: config.attentionSoftCap,
      scratch: space.scratch,
    });
    const leaves = !isAlone || this.isParallel ? "partial" : "sum";
    this.#leave(builder, weights.output, {
      x: space.attention,
      as: leaves,
      postNorm: this.#postNorms.attention,
    });
  }

  /** Own neurons, in the same way; behind attention in the same partial sum where both are one. */
  addNeurons(builder: ProgramBuilder): void {
    const { space, isAlone } = this.#in;
    const weights = this.#neurons;
    if (weights !== null) {
      const { norm, parts } = weights;
      // Attention has normalised the same for itself already.
      const isShared = this.isParallel && this.plan.feedForwardNorm === null && norm !== null &&
        this.hasHeads;
      const isBehind = this.isParallel && this.hasHeads;
      const leaves = isAlone && !this.isParallel ? "sum" : "partial";
      let x = space.normed;
      builder.during([this.neuronsFromTokens, Infinity], () => {
        if (!isShared) x = this.#normalize(builder, norm);
      });
      for (const part of parts) {
        const as = isBehind || part !== parts[0] ? "rest" : leaves;
        builder.during([part.fromTokens, Infinity], () => this.#addPart(builder, part, { x, as }));
      }
    }
    if (isAlone && this.isParallel) this.#addPartial(builder, this.#postNorms.feedForward);
  }

  /** Neurons that were brought for the step, behind own ones in the same partial sum. */
  addBrought(builder: ProgramBuilder, { norm, parts }: NeuronWeights): void {
    // In long steps all own neurons are computed, and the layer has one part that is brought.
    const isFirst = !this.hasNeurons && !(this.isParallel && this.hasHeads);
    const x = this.#normalize(builder, norm);
    this.#addPart(builder, parts[0], { x, as: isFirst ? "partial" : "rest" });
  }

  #addPart(
    builder: ProgramBuilder,
    { projections, down }: NeuronPart,
    { x, as }: { x: Rows; as: "partial" | "rest" | "sum" },
  ): void {
    const { config, space } = this.#in;
    for (const { stacked, column } of projections) {
      multiply(builder, stacked, { x, to: { ...space.neurons, column } });
    }
    const { activation, isGated, activatesUp, firingThreshold } = config.feedForward;
    activate(builder, {
      x: space.neurons,
      to: space.hidden,
      neurons: down.matrix.columns,
      ...{ activation, isGated, activatesUp, firingThreshold },
    });
    this.#leave(builder, down, { x: space.hidden, as, postNorm: this.#postNorms.feedForward });
  }

  /** What a block reads: a norm of the stream, or the stream itself. */
  #normalize(builder: ProgramBuilder, of: GpuNorm | null): Rows {
    const { space } = this.#in;
    if (of === null) return space.residual;
    addNorm(builder, this.#in.config, of, { from: space.residual, to: space.normed });
    return space.normed;
  }

  #normalizeHeads(builder: ProgramBuilder, { queryNorm, keyNorm }: AttentionWeights): void {
    const { config: { norm: { kind, epsilon }, headDim }, plan, space } = this.#in;
    const at = (head: number): Rows => ({ ...space.heads, column: head * headDim });
    for (const [norm, x] of [[queryNorm, at(0)], [keyNorm, at(lengthOf(plan.heads))]] as const) {
      if (norm !== null) headNorm(builder, { ...norm, kind, epsilon, x });
    }
  }

  /**
   * partial = W · x; "rest": partial += it; "sum": residual += it, or its norm.
   */
  #leave(
    builder: ProgramBuilder,
    stacked: Stacked,
    { x, as, postNorm }: { x: Rows; as: "partial" | "rest" | "sum"; postNorm: GpuNorm | null },
  ): void {
    const { space, config: { residualScale: scale } } = this.#in;
    if (as === "sum" && postNorm === null) {
      return multiply(builder, stacked, { x, to: space.residual, accumulate: true, scale });
    }
    multiply(builder, stacked, { x, to: space.partial, accumulate: as === "rest" });
    if (as === "sum") this.#addPartial(builder, postNorm);
  }

  /** residual += norm(residualScale · partial). */
  #addPartial(builder: ProgramBuilder, postNorm: GpuNorm | null): void {
    const { space: { partial, residual }, config } = this.#in;
    const { residualScale: scale, embeddingLength: width } = config;
    if (postNorm === null) return addRows(builder, { x: partial, to: residual, width, scale });
    addNorm(builder, config, postNorm, { from: partial, to: residual, accumulate: true, scale });
  }
}

/** to = norm(from), or added to it. */
export function addNorm(
  builder: ProgramBuilder,
  { norm: { kind, epsilon }, embeddingLength: width }: ModelConfig,
  { weight, bias }: GpuNorm,
  rows: { from: Rows; to: Rows; accumulate?: boolean; scale?: number; count?: "scored" },
): void {
  norm(builder, { kind, epsilon, width, weight, bias, ...rows });
}

/** to = W · x + bias. */
export function multiply(
  builder: ProgramBuilder,
  { matrix, bias }: Stacked,
  rows: { x: Rows; to: Rows; accumulate?: boolean; scale?: number; count?: "scored" },
): void {
  matmul(builder, { matrix, bias, ...rows });
}

export async function loadNorm(loader: GpuLoader, plan: NormPlan): Promise<GpuNorm>;
export async function loadNorm(loader: GpuLoader, plan: NormPlan | null): Promise<GpuNorm | null>;
export async function loadNorm(loader: GpuLoader, plan: NormPlan | null): Promise<GpuNorm | null> {
  if (plan === null) return null;
  const bias = plan.bias === null ? null : await loader.vector(plan.bias);
  return { weight: await loader.vector(plan.weight), bias };
}

async function loadHeadNorm(
  loader: GpuLoader,
  plan: HeadNormPlan | null,
  own: { heads: number; headDim: number },
): Promise<GpuHeadNorm | null> {
  if (plan === null) return null;
  const { heads, headDim } = own;
  const weight = await loader.vector(plan.weight);
  if (plan.span === "projection") {
    return { weight, heads: 1, width: heads * headDim, weightPerHead: false };
  }
  const weightPerHead = lengthOf(plan.weight.range) > headDim;
  return { weight, heads, width: headDim, weightPerHead };
}

async function loadAttention(input: GpuLayerInput): Promise<AttentionWeights | null> {
  const { plan, loader, config: { headDim }, gpu } = input;
  const heads = lengthOf(plan.heads);
  const kvHeads = lengthOf(plan.kvHeads);
  if (heads === 0) return null;
  return {
    norm: await loadNorm(loader, plan.attentionNorm),
    projections: await loadProducts(loader, [plan.query, plan.key, plan.value]),
    queryNorm: await loadHeadNorm(loader, plan.queryNorm, { heads, headDim }),
    keyNorm: await loadHeadNorm(loader, plan.keyNorm, { heads: kvHeads, headDim }),
    output: await loader.stack([plan.attentionOutput]),
    cache: await createKvCache(gpu, `blk.${input.index}`, {
      positions: input.contextLength,
      kvHeads,
      headDim,
      type: input.kvType,
    }),
  };
}

/**
 * Some neurons of a layer, their matrices in the order of `stacksOfBlock`; null: of none.
 * @param home left out: the GPU.
 */
export async function loadNeurons(
  { plan, loader, config }: Pick<GpuLayerInput, "plan" | "loader" | "config">,
  shares: readonly DensePart[],
  home?: MatrixHome,
): Promise<NeuronWeights | null> {
  if (shares.length === 0) return null;
  const norm = plan.feedForwardNorm ?? (config.hasParallelBlocks ? plan.attentionNorm : null);
  const weight = await loadNorm(loader, norm);
  const parts: NeuronPart[] = [];
  for (const { block, fromTokens } of shares) {
    const projections = await loadProducts(loader, projectionsOf(block), home);
    parts.push({ fromTokens, projections, down: await loader.stack([block.down], home) });
  }
  return { norm: weight, parts };
}

/** The matrices of a block on the GPU, and of which they are made. */
export function stacksOfBlock(block: DensePlan): MatrixPlan[][] {
  return [...stacksOf(projectionsOf(block)), [block.down]];
}

function projectionsOf({ gate, up }: DensePlan): MatrixPlan[] {
  return gate === null ? [up] : [gate, up];
}

async function loadProducts(
  loader: GpuLoader,
  plans: readonly MatrixPlan[],
  home?: MatrixHome,
): Promise<Product[]> {
  const products: Product[] = [];
  let column = 0;
  for (const together of stacksOf(plans)) {
    const stacked = await loader.stack(together, home);
    products.push({ stacked, column });
    column += stacked.matrix.rows;
  }
  return products;
}
