/** A layer's share as the walk uses it: addresses and sizes, bound once when the rank starts. */
import type { ModelConfig } from "../model/types.ts";
import {
  addressOf,
  bindDense,
  bindExperts,
  bindStreamed,
  type Dense,
  type Experts,
  slotsOf,
  type Streamed,
} from "./bound_blocks.ts";
import { bindLatent, type LatentMatrices } from "./latent_heads.ts";
import { boundMatrix, type Matrix, matrixOf, readsQ8 } from "./matrix.ts";
import type {
  DensePlan,
  HeadNormPlan,
  LayerPlan,
  NormPlan,
  RankPlan,
  StreamedPlan,
} from "./plan_types.ts";
import { lengthOf, type Range } from "./shard.ts";
import { bindStateSpace, type StateSpace } from "./state_space.ts";

/** Addresses of f32 [embeddingLength]; weight 0: all are 1; bias 0: none. */
export interface Norm {
  readonly weight: number;
  readonly bias: number;
}

/** A norm of queries or keys. */
export interface HeadNorm {
  readonly span: "head" | "projection";
  /** 0: all are 1. */
  readonly weight: number;
  /** Floats from one head's weights to the next one's; 0 where all share them. */
  readonly weightStep: number;
}

/** Of a layer that convolves instead of attending. */
export interface Convolution {
  readonly taps: number;
  /** Address of f32 [taps, own channels]. */
  readonly weights: number;
}

export interface Layer {
  readonly index: number;
  /** The arena it lies in. */
  readonly arena: number;
  /** Behind attention, or what is in its place: not where both blocks read the same input. */
  readonly joinsAttention: boolean;
  /** Behind the neurons, where the layer has some. */
  readonly joinsNeurons: boolean;
  /** Experts are chosen by the layer's input, before attention changes it. */
  readonly routesEarly: boolean;
  /** 0 = none. */
  readonly slidingWindow: number;
  /** Positions of a chunk that a token sees its own of; 0: it sees those of all. */
  readonly attentionChunk: number;
  /** Index of the rotary embedding, or null. */
  readonly rope: number | null;
  /** The same for queries. */
  readonly queryRope: number | null;
  /** Heads are normalised when they are turned already. */
  readonly normalizesTurned: boolean;
  /** Own query heads, and the key/value heads that they read. */
  readonly headCount: number;
  readonly kvHeadCount: number;
  /** Place of the first own query head in the group of the first own key/value head. */
  readonly headOffset: number;
  readonly attentionNorm: Norm | null;
  readonly query: Matrix;
  readonly key: Matrix;
  readonly value: Matrix;
  /** True when one of query, key, value reads q8 tiles. */
  readonly projectionsReadQ8: boolean;
  /** Null: query, key and value are all there is. */
  readonly latent: LatentMatrices | null;
  readonly queryNorm: HeadNorm | null;
  readonly keyNorm: HeadNorm | null;
  /** Address of f32 [headCount], or 0: heads have none. */
  readonly sinks: number;
  /** Null: the layer attends. */
  readonly convolution: Convolution | null;
  /** Null: heads are not gated. */
  readonly attentionGate: Matrix | null;
  readonly attentionOutput: Matrix;
  /** Null: the layer keeps none. */
  readonly stateSpace: StateSpace | null;
  readonly attentionPostNorm: Norm | null;
  readonly feedForwardNorm: Norm | null;
  /** Null: the layer has no neurons. */
  readonly feedForward: Dense | Streamed | Experts | null;
  /** More neurons of a dense block, computed in steps of so many tokens only. */
  readonly steppedNeurons: readonly { readonly block: Dense; readonly tokens: Range }[];
  readonly feedForwardPostNorm: Norm | null;
  /** Of a layer that convolves its rings and ends. */
  readonly keys: number;
  readonly values: number;
}

/** memory: the layer's arena. */
export function bindLayer(
  plan: LayerPlan,
  by: { config: ModelConfig; index: number; memory: WebAssembly.Memory; rank: RankPlan },
): Layer {
  const { config, index, memory } = by;
  const bind = (block: DensePlan | StreamedPlan) =>
    block.kind === "dense" ? bindDense(block) : bindStreamed(block, slotsOf(by.rank, plan.arena));
  const own = config.layers[index];
  const isParallel = config.hasParallelBlocks;
  const [query, key, value] = [plan.query, plan.key, plan.value].map(boundMatrix);
  const attentionGate = plan.attentionGate && matrixOf(plan.attentionGate);
  const groupSize = config.headCount / config.headCountKv;
  const headNorm = (norm: HeadNormPlan | null) => bindHeadNorm(norm, config.headDim);
  return {
    index,
    arena: plan.arena,
    joinsAttention: !isParallel && (plan.attentionOutput !== null || plan.stateSpace !== null),
    joinsNeurons: plan.feedForward !== null,
    routesEarly: plan.feedForward?.kind === "experts" &&
      config.experts?.routerInput === "layerInput",
    slidingWindow: own.slidingWindow,
    attentionChunk: own.attentionChunk ?? 0,
    rope: own.rope,
    queryRope: own.queryRope ?? own.rope,
    normalizesTurned: config.normalizesTurnedHeads,
    headCount: lengthOf(plan.heads),
    kvHeadCount: lengthOf(plan.kvHeads),
    headOffset: plan.heads.start - plan.kvHeads.start * groupSize,
    attentionNorm: bindNorm(plan.attentionNorm),
    query,
    key,
    value,
    projectionsReadQ8: [query, key, value, attentionGate ?? value].some(readsQ8),
    latent: plan.latent && bindLatent({ query, key, latent: plan.latent }, lengthOf(plan.heads)),
    queryNorm: headNorm(plan.queryNorm),
    keyNorm: headNorm(plan.keyNorm),
    sinks: addressOf(plan.attentionSinks),
    convolution: plan.convolution && {
      taps: plan.convolution.taps,
      weights: plan.convolution.weights.offsetBytes,
    },
    attentionGate,
    attentionOutput: boundMatrix(plan.attentionOutput),
    stateSpace: plan.stateSpace &&
      bindStateSpace(plan.stateSpace, { config: config.stateSpace!, memory }),
    attentionPostNorm: bindNorm(plan.attentionPostNorm),
    feedForwardNorm: bindNorm(plan.feedForwardNorm ?? (isParallel ? plan.attentionNorm : null)),
    feedForward: plan.feedForward?.kind === "experts"
      ? bindExperts(plan.feedForward, { memory, bind })
      : plan.feedForward && bind(plan.feedForward),
    steppedNeurons: plan.steppedNeurons.map(({ block, tokens }) => ({
      block: bindDense(block),
      tokens,
    })),
    feedForwardPostNorm: bindNorm(plan.feedForwardPostNorm),
    keys: plan.keysOffsetBytes,
    values: plan.valuesOffsetBytes,
  };
}

export function bindNorm(plan: NormPlan): Norm;
export function bindNorm(plan: NormPlan | null): Norm | null;
export function bindNorm(plan: NormPlan | null): Norm | null {
  if (plan === null) return null;
  return { weight: addressOf(plan.weight), bias: addressOf(plan.bias) };
}

function bindHeadNorm(plan: HeadNormPlan | null, headDim: number): HeadNorm | null {
  if (plan === null) return null;
  const { span, weight } = plan;
  if (weight === null) return { span, weight: 0, weightStep: 0 };
  // One own head of several has headDim weights, too: stepping over them once changes nothing.
  const weightStep = lengthOf(weight.range) > headDim ? headDim : 0;
  return { span, weight: weight.offsetBytes, weightStep };
}

