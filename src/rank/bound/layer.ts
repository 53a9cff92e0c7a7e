/** A layer's share as the walk uses it: addresses and sizes, bound once when the rank starts. */
import { cachedValueDim, mergedHeadDim } from "../../model/latent.ts";
import { ALL_AHEAD, chosenKeyCount, configOf, positionsAhead } from "../../model/layer_config.ts";
import type { SourceStage } from "../../model/layer_types.ts";
import type { LayerConfig, ModelConfig } from "../../model/types.ts";
import { bindAltUp, type LayerAltUp } from "./bound_alt_up.ts";
import { floats } from "./arena_views.ts";
import {
  bindDense,
  bindExperts,
  bindStreamed,
  type Dense,
  type Experts,
  slotsOf,
  type Streamed,
} from "./bound_blocks.ts";
import { addressOf, bindHeadNorm, bindNorm, type HeadNorm, type Norm } from "./bound_norm.ts";
import type { InnerNorm } from "../step/inner_norms.ts";
import { bindBlockIndexer, type BlockIndexerMatrices } from "./bound_block_indexer.ts";
import { bindConformer, type Conformer } from "./conformer.ts";
import { bindCompressed, type CompressedMatrices } from "./bound_compressed.ts";
import { bindGated, type GatedLayer } from "./bound_gated.ts";
import { bindLayerHyper, type LayerHyper } from "./bound_hyper.ts";
import { ngramPlaceBytes } from "../plan/plan_gated.ts";
import { bindLatent, type LatentMatrices } from "./bound_latent.ts";
import { boundMatrix, type Matrix, matrixOf, readsQ8 } from "./matrix.ts";
import type { GatePlan } from "../plan/plan_gate.ts";
import type {
  DensePlan,
  HeadNormPlan,
  LayerPlan,
  RankPlan,
  StreamedPlan,
} from "../plan/plan_types.ts";
import type { LayerInputPlan } from "../plan/plan_inputs.ts";
import { lengthOf, type Range } from "../plan/shard.ts";
import { bindFinch, type Finch } from "./finch.ts";
import { bindNeuronGate, type NeuronGate } from "./bound_neuron_gate.ts";
import { bindOffsets, type Offsets } from "./offsets.ts";
import type { RowShift } from "../step/row_shift.ts";
import { bindStateSpace, type StateSpace } from "./state_space.ts";
import { bindKeyDeltas, type KeyDeltas } from "./key_deltas.ts";
import { bindLightning, type Lightning } from "./lightning.ts";
import { bindNeuronShift, bindTimeMix, type TimeMix } from "./time_mix.ts";

/** What heads are gated by: `GatePlan`. */
export interface Gate extends Omit<GatePlan, "matrix"> {
  readonly matrix: Matrix;
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
  /** How many positions behind its own a token sees: 0 but for encoders. */
  readonly positionsAhead: number;
  /** Positions of a chunk that a token sees its own of; 0: it sees those of all. */
  readonly attentionChunk: number;
  /** Rows and columns of a window of patches; 0: there are none. */
  readonly windowSide: number;
  /** Patches stand column by column. */
  readonly byColumns: boolean;
  /** Index of the rotary embedding, or null. */
  readonly rope: number | null;
  /** The same for queries. */
  readonly queryRope: number | null;
  /** Turns other dimensions of both; null: nothing does. */
  readonly secondRope: number | null;
  /** Heads are normalised when they are turned already. */
  readonly normalizesTurned: boolean;
  /** Own query heads, and the key/value heads that they read. */
  readonly headCount: number;
  readonly kvHeadCount: number;
  /** Dimensions of a key and of a value as the cache keeps them. */
  readonly headDim: number;
  readonly valueDim: number;
  /** Dimensions that a head gives on: those of a value that is made of latents. */
  readonly mergedDim: number;
  /** Query heads that read the same key/value head. */
  readonly groupSize: number;
  /** False: it reads another layer's keys and values, or those of a source, made with that. */
  readonly hasKeys: boolean;
  /** Null: there is no source apart from what is written. */
  readonly stage: SourceStage | null;
  /** Place of the first own query head in the group of the first own key/value head. */
  readonly headOffset: number;
  readonly attentionNorm: Norm | null;
  readonly query: Matrix;
  readonly key: Matrix;
  readonly value: Matrix;
  /** True when one of query, key, value reads q8 tiles. */
  readonly projectionsReadQ8: boolean;
  /** Tokens attend to chosen keys, but for those at the positions before this one: to all. */
  readonly choosesKeys: boolean;
  readonly seesAllBefore: number;
  /** Null: query, key and value are all there is. */
  readonly latent: LatentMatrices | null;
  /** Null: keys are of single tokens. */
  readonly compressed: CompressedMatrices | null;
  /** Turns heads' outcomes back; null: nothing does. */
  readonly backRope: number | null;
  /** Null: it chooses no blocks of keys. */
  readonly blockIndexer: BlockIndexerMatrices | null;
  readonly queryNorm: HeadNorm | null;
  readonly keyNorm: HeadNorm | null;
  readonly valueNorm: HeadNorm | null;
  /** Address of f32 [headCount], or 0: heads have none. */
  readonly sinks: number;
  /** Null: scores count nothing of how far keys are away in an image. */
  readonly offsets: Offsets | null;
  /** Null: the layer attends. */
  readonly convolution: Convolution | null;
  /** Null: the layer is no conformer's, or is of neurons alone. */
  readonly conformer: Conformer | null;
  /** So much of what neurons give is added, behind their norm. */
  readonly neuronShare: number;
  /** Null: heads are not gated. */
  readonly attentionGate: Gate | null;
  /** Of what heads give, before they are merged. */
  readonly innerNorm: InnerNorm;
  readonly attentionOutput: Matrix;
  /** Null: the layer keeps none. */
  readonly stateSpace: StateSpace | null;
  /** The same of RWKV-7, of RWKV-6, of Kimi Linear, and of MiniMax 01. */
  readonly timeMix: TimeMix | null;
  readonly finch: Finch | null;
  readonly keyDeltas: KeyDeltas | null;
  readonly lightning: Lightning | null;
  readonly attentionPostNorm: Norm | null;
  readonly feedForwardNorm: Norm | null;
  /** Of what neurons read; null: they read it as it is. */
  readonly feedForwardShift: RowShift | null;
  /** Of what neurons give; null: it is as it is. */
  readonly neuronGate: NeuronGate | null;
  /** Null: the layer has no neurons. */
  readonly feedForward: Dense | Streamed | Experts | null;
  /** More neurons of a dense block, computed in steps of so many tokens only. */
  readonly steppedNeurons: readonly { readonly block: Dense; readonly tokens: Range }[];
  readonly feedForwardPostNorm: Norm | null;
  /** What it makes of what the token gives it; null: nothing. */
  readonly input: LayerInput | null;
  /** Null: there is one residual stream. */
  readonly altUp: LayerAltUp | null;
  /** Null: it mixes no streams. */
  readonly hyper: LayerHyper | null;
  /** Multiplies query · key; null: what does in the model's other layers. */
  readonly scoreScale: number | null;
  /** Null: streams are not gated. */
  readonly gated: GatedLayer | null;
  /** Multiplies the residual stream at its end; null: nothing does. */
  readonly outputScale: number | null;
  /** Multiply what attention, and neurons, give; null: nothing does. */
  readonly attentionScale: number | null;
  readonly feedForwardScale: number | null;
  /** Addresses of f32 [d] that multiply the same number by number; 0: nothing does. */
  readonly attentionGains: number;
  readonly feedForwardGains: number;
  /** So much of the embedding is added at its end; null: nothing is. */
  readonly embeddingScale: number | null;
  /** Of a layer that ends a pass; null: it ends none. */
  readonly endNorm: Norm | null;
  /** Address of f32 [d], added behind all of it for every token; 0: nothing is. */
  readonly direction: number;
  /** Which of the kept streams that makes; null: none. */
  readonly passEnd: 0 | 1 | null;
  /** Of a layer that convolves its rings and ends. */
  readonly keys: number;
  readonly values: number;
  /** Keys of an indexer; 0: it has none. */
  readonly indexedKeys: number;
}

/** A share of what a layer makes of its input: own rows of what gates it, own columns behind it. */
export interface LayerInput {
  readonly gate: Matrix;
  readonly output: Matrix;
  readonly norm: Norm;
}

const SCALES = ["outputScale", "attentionScale", "feedForwardScale", "embeddingScale"] as const;

/** memory: the layer's arena. */
export function bindLayer(
  plan: LayerPlan,
  by: { config: ModelConfig; index: number; memory: WebAssembly.Memory; rank: RankPlan },
): Layer {
  const { config, index, memory } = by;
  const own = config.layers[index];
  const isParallel = config.hasParallelBlocks;
  const [query, key, value] = [plan.query, plan.key, plan.value].map(boundMatrix);
  const attentionGate = plan.attentionGate &&
    { ...plan.attentionGate, matrix: matrixOf(plan.attentionGate.matrix) };
  const blockIndexer = plan.blockIndexer && bindBlockIndexer(plan.blockIndexer);
  const gated = gatedOf(plan, by);
  const { headCount, headCountKv, headDim } = configOf(config, index);
  const groupSize = headCount / headCountKv;
  const headNorm = (norm: HeadNormPlan | null) => bindHeadNorm(norm, headDim);
  const kept = plan.keysOf === null ? plan : by.rank.layers[plan.keysOf];
  const bound = {
    ...{ index, arena: plan.arena },
    joinsAttention: !isParallel && mixesTokens(plan),
    joinsNeurons: plan.feedForward !== null,
    routesEarly: plan.feedForward?.kind === "experts" &&
      config.experts?.routerInput !== "feedForward",
    ...{ slidingWindow: own.slidingWindow, positionsAhead: positionsAhead(config, index) },
    ...{ attentionChunk: own.attentionChunk ?? 0, windowSide: own.windowSide ?? 0 },
    byColumns: own.byColumns ?? false,
    ...{ rope: own.rope, queryRope: own.queryRope ?? own.rope },
    ...{ secondRope: own.secondRope ?? null, normalizesTurned: config.normalizesTurnedHeads },
    ...{ headCount: lengthOf(plan.heads), kvHeadCount: lengthOf(plan.kvHeads) },
    ...{ headDim, groupSize, ...valueDims(configOf(config, index)) },
    hasKeys: plan.keysOf === null && own.stage !== "asks",
    stage: own.stage ?? null,
    headOffset: plan.heads.start - plan.kvHeads.start * groupSize,
    ...{ attentionNorm: bindNorm(plan.attentionNorm), query, key, value },
    projectionsReadQ8: [query, key, value, attentionGate?.matrix ?? value].some(readsQ8) ||
      (blockIndexer ?? gated?.groupIndexer)?.readsQ8 === true,
    ...{ ...bindChoice(own, config), blockIndexer, gated },
    latent: bindLatent(plan, { query, key, gate: attentionGate }),
    ...bindCompression(plan, { query, key, own, config, memory }),
    ...{ queryNorm: headNorm(plan.queryNorm), keyNorm: headNorm(plan.keyNorm) },
    valueNorm: headNorm(plan.valueNorm),
    sinks: addressOf(plan.attentionSinks),
    offsets: bindOffsets(plan.offsets, own.offsets, headDim),
    convolution: plan.convolution && {
      taps: plan.convolution.taps,
      weights: plan.convolution.weights.offsetBytes,
    },
    conformer: plan.conformer && bindConformer(plan.conformer, memory),
    neuronShare: own.neuronShare ?? 1,
    attentionGate,
    innerNorm: addressOf(plan.innerNorm),
    attentionOutput: boundMatrix(plan.attentionOutput),
    ...bindStates(plan, { config, memory }),
    attentionPostNorm: bindNorm(plan.attentionPostNorm),
    feedForwardNorm: bindNorm(plan.feedForwardNorm ?? (isParallel ? plan.attentionNorm : null)),
    ...bindNeurons(plan, by),
    feedForwardPostNorm: bindNorm(plan.feedForwardPostNorm),
    ...{ input: plan.input && bindInput(plan.input), outputScale: null as number | null },
    altUp: plan.altUp && bindAltUp(plan.altUp, memory),
    scoreScale: null as number | null,
    attentionScale: null as number | null,
    feedForwardScale: null as number | null,
    embeddingScale: null as number | null,
    ...{ ...bindGains(plan), endNorm: bindNorm(plan.endNorm) },
    direction: addressOf(plan.direction),
    passEnd: own.passEnd?.stream ?? null,
    ...bindCache(kept),
  };
  boxScales(bound, plan, { own, memory });
  return bound;
}

/** Boxed once, as a threshold of neurons is. */
function boxScales(
  to: Record<(typeof SCALES)[number] | "scoreScale", number | null>,
  plan: LayerPlan,
  { own, memory }: { readonly own: LayerConfig; readonly memory: WebAssembly.Memory },
): void {
  if (own.shape?.attentionScale !== undefined) to.scoreScale = own.shape.attentionScale;
  if (own.endScale !== undefined) to.outputScale = own.endScale;
  for (const each of SCALES) {
    const scale = plan[each];
    if (scale) to[each] = floats(memory, scale.offsetBytes, 1)[0];
  }
}

function valueDims(config: ModelConfig): Pick<Layer, "valueDim" | "mergedDim"> {
  return { valueDim: cachedValueDim(config), mergedDim: mergedHeadDim(config) };
}

function gatedOf(
  { gated, stateSpace: kept }: LayerPlan,
  { config, index, memory }: { config: ModelConfig; index: number; memory: WebAssembly.Memory },
): GatedLayer | null {
  const keptBytes = ngramPlaceBytes(config, index);
  return gated && bindGated(gated, { memory, config: config.ngrams, kept, keptBytes });
}

function bindChoice(
  { choosesKeys, choosesBlocks, groupRatio }: LayerConfig,
  config: ModelConfig,
): Pick<Layer, "choosesKeys" | "seesAllBefore"> {
  if (groupRatio !== undefined) {
    return { choosesKeys: true, seesAllBefore: config.groupIndexer!.keyCount + groupRatio - 1 };
  }
  const chooses = choosesKeys !== undefined || choosesBlocks === true;
  return { choosesKeys: chooses, seesAllBefore: chooses ? chosenKeyCount(config) : ALL_AHEAD };
}

/** Of models that compress keys and mix streams. */
function bindCompression(
  { compressed, hyper }: LayerPlan,
  { query, key, own, config, memory }: {
    readonly query: Matrix;
    readonly key: Matrix;
    readonly own: LayerConfig;
    readonly config: ModelConfig;
    readonly memory: WebAssembly.Memory;
  },
): Pick<Layer, "compressed" | "backRope" | "hyper"> {
  return {
    compressed: compressed && bindCompressed({ query, key, compressed }, {
      ...{ groupLength: config.compression!.groupLength, memory },
    }),
    backRope: own.backRope ?? null,
    hyper: hyper && bindLayerHyper(hyper, memory),
  };
}

function bindCache(
  { keysOffsetBytes: keys, valuesOffsetBytes: values, indexedKeysOffsetBytes }: LayerPlan,
): Pick<Layer, "keys" | "values" | "indexedKeys"> {
  return { keys, values, indexedKeys: indexedKeysOffsetBytes };
}

function bindGains({ attentionGains, feedForwardGains }: LayerPlan) {
  return {
    attentionGains: addressOf(attentionGains),
    feedForwardGains: addressOf(feedForwardGains),
  };
}

/** It attends, convolves, or keeps a state. */
function mixesTokens(plan: LayerPlan): boolean {
  const { attentionOutput, stateSpace, timeMix, finch, keyDeltas, lightning } = plan;
  return (attentionOutput ?? stateSpace ?? timeMix ?? finch ?? keyDeltas ?? lightning) !== null;
}

/** What the layer keeps of a text: of the five one at most. */
function bindStates(
  plan: LayerPlan,
  { config: { stateSpace: config }, memory }: { config: ModelConfig; memory: WebAssembly.Memory },
): Pick<
  Layer,
  "stateSpace" | "timeMix" | "finch" | "keyDeltas" | "lightning" | "feedForwardShift" | "neuronGate"
> {
  const { stateSpace, timeMix, finch, keyDeltas, lightning, neuronGate: gate } = plan;
  const { feedForwardShift: shift } = plan;
  const kept = timeMix ?? finch;
  return {
    finch: finch && bindFinch(finch, config!),
    neuronGate: gate && bindNeuronGate(gate, kept!),
    stateSpace: stateSpace && bindStateSpace(stateSpace, { config: config!, memory }),
    timeMix: timeMix && bindTimeMix(timeMix, config!),
    keyDeltas: keyDeltas && bindKeyDeltas(keyDeltas, config!),
    lightning: lightning && bindLightning(lightning, config!),
    feedForwardShift: shift && bindNeuronShift(shift, kept!),
  };
}

function bindNeurons(
  { feedForward, steppedNeurons, arena }: LayerPlan,
  { memory, rank }: {
    memory: WebAssembly.Memory;
    rank: RankPlan;
  },
): Pick<Layer, "feedForward" | "steppedNeurons"> {
  const bind = (block: DensePlan | StreamedPlan) =>
    block.kind === "dense" ? bindDense(block) : bindStreamed(block, slotsOf(rank, arena), memory);
  return {
    feedForward: feedForward?.kind === "experts"
      ? bindExperts(feedForward, { memory, bind })
      : feedForward && bind(feedForward),
    steppedNeurons: steppedNeurons.map(({ block, tokens }) => ({
      block: bindDense(block),
      tokens,
    })),
  };
}

function bindInput({ gate, output, norm }: LayerInputPlan): LayerInput {
  return { gate: matrixOf(gate), output: matrixOf(output), norm: bindNorm(norm) };
}
