/**
 * What a layer has on the GPU: norms, matrices one below the other, and its cache. Knows plans;
 * what is computed is in gpu_layer.ts.
 */
import { createKvCache, type Gpu, type KvCache, type MatrixHome } from "../../../gpu/mod.ts";
import { check } from "../../base/check.ts";
import { KV_BLOCK_POSITIONS } from "../../memory/kv_layout.ts";
import { dimsOnGpu } from "../../model/latent.ts";
import type { ModelConfig, XieluCurve } from "../../model/types.ts";
import type { GatePlan } from "../plan/plan_gate.ts";
import type {
  DensePlan,
  HeadNormPlan,
  LayerPlan,
  MatrixPlan,
  NormPlan,
  VectorPlan,
} from "../plan/plan_types.ts";
import { lengthOf } from "../plan/shard.ts";
import type { DensePart } from "./dense_parts.ts";
import {
  type GpuLoader,
  loadProducts,
  type Product,
  type Stacked,
  stacksOf,
} from "./gpu_weights.ts";
import { type LatentWeights, loadLatent } from "./latent_weights.ts";

/** A norm of the stream; bias null: none. */
export interface GpuNorm {
  readonly weight: GPUBuffer;
  readonly bias: GPUBuffer | null;
}

export interface GpuHeadNorm {
  readonly weight: GPUBuffer;
  /** Heads that are normalised by themselves, how wide each is, and whether each has weights. */
  readonly heads: number;
  readonly width: number;
  readonly weightPerHead: boolean;
  /** Biases of all heads lie behind the weights. */
  readonly hasBias: boolean;
}

export interface AttentionWeights {
  readonly projections: readonly Product[];
  /** Of latent attention, which has no norms of heads and no gates; null: heads are ordinary. */
  readonly latent: LatentWeights | null;
  readonly queryNorm: GpuHeadNorm | null;
  readonly keyNorm: GpuHeadNorm | null;
  /** Values are normalised, without weights. */
  readonly normalizesValues: boolean;
  /** Of own heads. */
  readonly sinks: GPUBuffer | null;
  /** What heads are gated by; null: they are not. */
  readonly gate: { readonly stacked: Stacked } & Omit<GatePlan, "matrix"> | null;
  /** f32, of what own heads give together; null: it is no norm. */
  readonly innerNorm: GPUBuffer | null;
  /** f32 [1]: multiplies what heads give; null: nothing does. */
  readonly scale: GPUBuffer | null;
  readonly output: Stacked;
  readonly cache: KvCache;
  /** False: the cache is another layer's, and so are its keys and values. */
  readonly hasKeys: boolean;
}

/** Of some neurons of a layer. */
export interface NeuronWeights {
  readonly norm: GpuNorm | null;
  readonly parts: readonly NeuronPart[];
}

/** Of some neurons, or of all experts, whose matrices lie one below the other. */
export interface NeuronMatrices {
  /** Gates and ups, side by side in what they give. */
  readonly projections: readonly Product[];
  readonly down: Stacked;
  /** How far SwiGLU goes; null: no limit. */
  readonly limit: DensePlan["limit"];
  /** Of xielu; null: it is another activation. */
  readonly curve: XieluCurve | null;
  /** f32, of what neurons give together; null: it is no norm. */
  readonly innerNorm: GPUBuffer | null;
  /** f32 [1]: multiplies what neurons give; null: nothing does. */
  readonly scale: GPUBuffer | null;
  /** Where gates are cut off, in standard deviations; null: they are not. */
  readonly gateCutoff: number | null;
}

/** Neurons that are computed in steps of so many tokens and more: dense_parts.ts. */
export interface NeuronPart extends NeuronMatrices {
  readonly fromTokens: number;
}

/** What loading a layer takes. */
export interface LayerLoading {
  readonly gpu: Gpu;
  readonly config: ModelConfig;
  readonly plan: LayerPlan;
  readonly index: number;
  readonly loader: GpuLoader;
  readonly contextLength: number;
  readonly sequences: number;
  /** The most tokens of a step. */
  readonly chunkTokens: number;
  /** Of keys and values, that all sequences share. */
  readonly kvBlocks: number;
  readonly kvType: "f16" | "f32";
  /** Of the layer whose keys and values it reads; null: it has its own. */
  readonly cacheOfOther: KvCache | null;
  /** Of layers before, whose keys and values nobody reads any more; left out: there are none. */
  readonly spareCaches?: readonly KvCache[];
  /** Of states; 0: no layer keeps any. */
  readonly statePlaces: number;
}

/**
 * A norm of rows as wide as the residual stream.
 * @throws {GpuOutOfMemoryError} when the GPU has no room for it.
 */
export async function loadNorm(by: NormLoading, plan: NormPlan): Promise<GpuNorm>;
export async function loadNorm(by: NormLoading, plan: NormPlan | null): Promise<GpuNorm | null>;
export async function loadNorm(
  { loader, config: { embeddingLength: width } }: NormLoading,
  plan: NormPlan | null,
): Promise<GpuNorm | null> {
  if (plan === null) return null;
  const bias = plan.bias === null ? null : await loader.vector(plan.bias);
  const weight = plan.weight === null ? loader.ones(width) : loader.vector(plan.weight);
  return { weight: await weight, bias };
}

type NormLoading = Pick<LayerLoading, "loader" | "config">;

async function loadHeadNorm(
  loader: GpuLoader,
  plan: HeadNormPlan | null,
  own: { heads: number; headDim: number },
): Promise<GpuHeadNorm | null> {
  if (plan === null) return null;
  const { heads, headDim } = own;
  const width = plan.span === "projection" ? heads * headDim : headDim;
  if (plan.gain !== null) {
    const weight = await loader.repeated(plan.gain, headDim);
    return { weight, heads, width, weightPerHead: true, hasBias: false };
  }
  if (plan.bias !== null && plan.weight !== null) {
    const weight = await loader.vectors([plan.weight, plan.bias]);
    return { weight, heads, width, weightPerHead: true, hasBias: true };
  }
  const weight = await (plan.weight === null ? loader.ones(width) : loader.vector(plan.weight));
  if (plan.span === "projection") {
    return { weight, heads: 1, width, weightPerHead: false, hasBias: false };
  }
  const weightPerHead = plan.weight !== null && lengthOf(plan.weight.range) > headDim;
  return { weight, heads, width: headDim, weightPerHead, hasBias: false };
}

/** Of own heads; null: none, or the layer convolves. */
export async function loadAttention(input: LayerLoading): Promise<AttentionWeights | null> {
  const { plan, loader, config, gpu } = input;
  const { headDim } = config;
  const heads = lengthOf(plan.heads);
  const kvHeads = lengthOf(plan.kvHeads);
  if (heads === 0 || plan.convolution !== null) return null;
  const { query, key, value, attentionOutput, attentionSinks, attentionGate: gate } = plan;
  check(query !== null, "a layer with heads attends");
  const hasKeys = plan.keysOf === null;
  check(!hasKeys || key !== null && value !== null, "who reads no other's keys has some");
  check(
    (plan.valueNorm?.weight ?? null) === null,
    "obstacle.ts refuses norms of values by weights",
  );
  check(attentionOutput !== null, "what heads give is merged");
  const latent = config.latent && await loadLatent(loader, plan, config.latent);
  const shape = { kvHeads, ...dimsOnGpu(config) };
  const spare = input.spareCaches?.find((each) =>
    each.kvHeads === kvHeads && each.headDim === shape.headDim && each.valueDim === shape.valueDim
  );
  return {
    projections: latent?.projections ??
      await loadProducts(loader, hasKeys ? [query, key!, value!] : [query]),
    latent: latent && latent.weights,
    queryNorm: await loadHeadNorm(loader, plan.queryNorm, { heads, headDim }),
    keyNorm: await loadHeadNorm(loader, plan.keyNorm, { heads: kvHeads, headDim }),
    normalizesValues: plan.valueNorm !== null,
    sinks: attentionSinks && await loader.vector(attentionSinks),
    gate: gate && { ...gate, stacked: await loader.stack([gate.matrix]) },
    innerNorm: plan.innerNorm && await loader.vector(plan.innerNorm),
    scale: plan.attentionScale && await loader.vector(plan.attentionScale),
    output: await withGains(loader, attentionOutput, plan.attentionGains),
    hasKeys,
    cache: input.cacheOfOther ?? spare ?? await createKvCache(gpu, `blk.${input.index}`, {
      positions: input.kvBlocks * KV_BLOCK_POSITIONS,
      contextLength: input.contextLength,
      ...shape,
      type: input.kvType,
    }),
  };
}

async function withGains(
  loader: GpuLoader,
  matrix: MatrixPlan,
  gains: VectorPlan | null,
  home?: MatrixHome,
): Promise<Stacked> {
  const stacked = await loader.stack([matrix], { home });
  return gains === null ? stacked : { ...stacked, gains: await loader.vector(gains) };
}

/**
 * Some neurons of a layer, their matrices in the order of `stacksOfBlock`; null: of none.
 * @param home left out: the GPU.
 */
export async function loadNeurons(
  { plan, loader, config }: Pick<LayerLoading, "plan" | "loader" | "config">,
  shares: readonly DensePart[],
  home?: MatrixHome,
): Promise<NeuronWeights | null> {
  if (shares.length === 0) return null;
  const norm = await loadBlockNorm({ plan, loader, config });
  const parts: NeuronPart[] = [];
  for (const { block, fromTokens } of shares) {
    const projections = await loadProducts(loader, projectionsOf(block), home);
    const down = await withGains(loader, block.down, plan.feedForwardGains, home);
    const innerNorm = block.innerNorm && await loader.vector(block.innerNorm);
    const { limit, gateCutoff } = block;
    const scale = plan.feedForwardScale && await loader.vector(plan.feedForwardScale);
    const own = { limit, gateCutoff, curve: curveOf(block), innerNorm, scale };
    parts.push({ fromTokens, projections, down, ...own });
  }
  return { norm, parts };
}

/** As the model has it. */
function curveOf({ curve }: DensePlan): XieluCurve | null {
  if (curve === null) return null;
  const [negative, positive, linear, least] = curve.values;
  return { negative, positive, linear, least };
}

/** Of what a layer's neurons, or its router and experts, read; null: the stream as it is. */
export async function loadBlockNorm(
  { plan, ...by }: NormLoading & Pick<LayerLoading, "plan">,
): Promise<GpuNorm | null> {
  const { hasParallelBlocks } = by.config;
  const norm = plan.feedForwardNorm ?? (hasParallelBlocks ? plan.attentionNorm : null);
  return await loadNorm(by, norm);
}

/** The matrices of a block on the GPU, and of which they are made. */
export function stacksOfBlock(block: DensePlan): MatrixPlan[][] {
  return [...stacksOf(projectionsOf(block)), [block.down]];
}

export function projectionsOf({ gate, up }: DensePlan): MatrixPlan[] {
  return gate === null ? [up] : [gate, up];
}
