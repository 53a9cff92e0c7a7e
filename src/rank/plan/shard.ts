/**
 * Which part of every layer a rank owns: some query heads with the key/value heads they read, some
 * feed-forward neurons, some rows of the vocabulary. Pure arithmetic.
 */
import { check, divCeil } from "../../base/check.ts";
import { mergedHeadDim } from "../../model/latent.ts";
import type { LayerConfig, ModelConfig } from "../../model/types.ts";
import { headsPerCut } from "./heads_per_cut.ts";
import { BLOCK_WEIGHTS, SUPERBLOCK_WEIGHTS } from "../../memory/row_layout.ts";
import { hotSegments, inSegments, type NeuronSegment, shareOf } from "./hot_neurons.ts";
import { denseInStripes, expertsInStripes, NONE_ON_GPU, wholeExperts } from "./in_stripes.ts";

/** Half-open: start .. end-1. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** What of a packed model's block is a GPU's. */
export interface OnGpu {
  /**
   * The first so many neurons of each stripe, its most frequent ones, whoever owns the stripe; 0:
   * none are. The GPU's ranges of neurons are counted, no places.
   */
  readonly gpuOfStripe: number;
  /** How many of a thread's neurons that are: they lie nowhere but in the file. */
  readonly neuronsOnGpu: number;
}

/** Of the dense block what is a GPU's, beside what there is of each kind of block. */
export interface Shard extends OnGpu {
  readonly heads: Range;
  /** The key/value heads that `heads` read; neighbours may both own one at a border. */
  readonly kvHeads: Range;
  /** Heads of state spaces. */
  readonly stateHeads: Range;
  /** Of a dense feed-forward block: places of neurons where they have an order. */
  readonly neurons: Range;
  /** More of them, which it computes in some steps only: hot_neurons.ts. */
  readonly steppedNeurons: readonly SteppedNeurons[];
  /**
   * Of an expert: expert e's are number e modulo the length. Where the parts differ in size, every
   * rank has the large one of some experts.
   */
  readonly expertNeurons: readonly Range[];
  /** As many as `expertNeurons`. */
  readonly expertsOnGpu: readonly OnGpu[];
  /** Of the expert that every token uses. */
  readonly sharedNeurons: Range;
  readonly sharedOnGpu: OnGpu;
  /** Of what goes along with experts. */
  readonly companionNeurons: Range;
  /** It adds the biases of experts' down: one rank does. */
  readonly addsExpertBiases: boolean;
  /** Layers for which it makes what tokens give them, and of each layer's the numbers it reads. */
  readonly inputLayers: Range;
  readonly inputNumbers: Range;
  /** Rows of the embedding table. */
  readonly embedding: Range;
  /** Rows of the output: the embedding's unless a GPU has them. */
  readonly vocab: Range;
  /** Of the learned positions, where there are any. */
  readonly positions: Range;
}

export interface SteppedNeurons {
  readonly neurons: Range;
  /** Of a step in which they are computed. */
  readonly tokens: Range;
}

/** What the last rank owns, a GPU; the ranks before it share the rest evenly. */
export interface GpuShare {
  /** Of the heads, 0 to 1; it has the last ones. With all of them it has all those of states. */
  readonly heads: number;
  /**
   * Of the neurons of a dense block, 0 to 1, by the tokens of a step as in STEP_TOKENS, ascending:
   * the first ones. What it does not compute in every step the ranks before it have, too. Experts
   * are all its own where the first share is 1, else the ranks' before it.
   */
  readonly neurons: readonly number[];
  /** It has all rows of the output. */
  readonly hasOutput: boolean;
}

/** How finely columns of the two column-sharded matrices may be cut. */
export interface ColumnBlocks {
  /** Weights per block of the attention output projection: 1 for floats. */
  readonly attentionOutput: number;
  /** Weights per block of the down projection. */
  readonly down: number;
  /** Weights per block of what reads or writes channels of states. Left out: 1. */
  readonly states?: number;
  /** Layers per cut of what tokens give them, and numbers of a layer's. Left out: 1. */
  readonly inputs?: { readonly layers: number; readonly numbers: number };
  /** Neurons per cut of a packed model: those of a stripe. Left out: what `down` asks for. */
  readonly stripes?: { readonly dense: number; readonly expert: number; readonly shared: number };
}

/** A thread's neurons as it counts them: those that are left of its range beside a GPU's. */
export function besideGpu(
  { neurons, neuronsOnGpu }: { readonly neurons: Range; readonly neuronsOnGpu: number },
): Range {
  return { start: neurons.start, end: neurons.end - neuronsOnGpu };
}

/** A thread's shard with the neurons that are left of its blocks. */
export function withoutGpus(shard: Shard): Shard {
  const { expertNeurons, expertsOnGpu, sharedNeurons, sharedOnGpu } = shard;
  return {
    ...shard,
    neurons: besideGpu(shard),
    expertNeurons: expertNeurons.map((neurons, turn) =>
      besideGpu({ ...expertsOnGpu[turn], neurons })
    ),
    sharedNeurons: besideGpu({ ...sharedOnGpu, neurons: sharedNeurons }),
  };
}

/**
 * Shards of `rankCount` ranks. Cuts fall on block borders of the column-sharded matrices, so that
 * no block is split; a small model may leave a rank without heads or neurons. gpu: the last rank is
 * one.
 */
export function planShards(
  config: ModelConfig,
  options: {
    rankCount: number;
    contextLength: number;
    blocks: ColumnBlocks;
    gpu?: GpuShare;
  },
): Shard[] {
  const { rankCount, contextLength, blocks, gpu } = options;
  check(rankCount >= 1, "at least one rank");
  if (gpu !== undefined) return planBesideGpu(config, { ...options, gpu });
  const headUnit = headsPerBlock(config, blocks.attentionOutput);
  const parts = rankCount;
  const own = { parts, blocks };
  const { stripes } = blocks;
  const tokenCount = config.guess?.fusion?.tokenCount ?? config.vocabSize;
  const { feedForwardLength = 0, sharedFeedForwardLength = 0, companions } = config.experts ?? {};
  return Array.from({ length: rankCount }, (_, part) => {
    const neuronsOf = (total: number, of: Omit<NeuronCut, "parts" | "blocks" | "part">) =>
      cutNeurons(total, { ...own, part, ...of });
    const vocab = cut(config.vocabSize, { parts, part, unit: 1 });
    return {
      ...headsOf(config, cut(config.headCount, { parts, part, unit: headUnit })),
      stateHeads: cutStates(config, { parts, part, block: blocks.states ?? 1 }),
      neurons: neuronsOf(config.feedForwardLength, { stripe: stripes?.dense }),
      steppedNeurons: [],
      ...NONE_ON_GPU,
      expertsOnGpu: Array.from({ length: rankCount }, () => NONE_ON_GPU),
      sharedOnGpu: NONE_ON_GPU,
      expertNeurons: Array.from({ length: rankCount }, (_, turn) =>
        cutNeurons(feedForwardLength, {
          ...own,
          part: (part + turn) % rankCount,
          stripe: stripes?.expert,
          takesTurns: true,
        })),
      sharedNeurons: neuronsOf(sharedFeedForwardLength, { stripe: stripes?.shared }),
      companionNeurons: neuronsOf(companions?.feedForwardLength ?? 0, {}),
      addsExpertBiases: part === 0,
      ...inputsOf(config, { parts, part, blocks }),
      embedding: cut(tokenCount, { parts, part, unit: 1 }),
      vocab,
      positions: cut(contextLength, { parts, part, unit: 1 }),
    };
  });
}

const NOTHING: Range = { start: 0, end: 0 };

/** Where the neurons of a dense block are cut between a GPU and threads. */
export function segmentsBeside(
  { feedForwardLength: total }: ModelConfig,
  { blocks, gpu }: { blocks: ColumnBlocks; gpu: GpuShare },
): NeuronSegment[] {
  return hotSegments(gpu.neurons, { total, unit: Math.max(blocks.down, BLOCK_WEIGHTS) });
}

/** The same where the last rank is a GPU: alone it has all of it. */
function planBesideGpu(
  config: ModelConfig,
  { rankCount, contextLength, blocks, gpu }: {
    rankCount: number;
    contextLength: number;
    blocks: ColumnBlocks;
    gpu: GpuShare;
  },
): Shard[] {
  if (rankCount === 1) return planShards(config, { rankCount, contextLength, blocks });
  const { headCount, vocabSize } = config;
  const parts = rankCount - 1;
  const headUnit = headsPerBlock(config, blocks.attentionOutput);
  const headBorder = shareOf(1 - gpu.heads, headCount, headUnit);
  const total = config.feedForwardLength;
  const neurons = blocks.stripes === undefined
    ? inSegments(total, {
      segments: segmentsBeside(config, { blocks, gpu }),
      cut: (all, part) => cutWithin(all, { parts, part, blocks }),
    })
    : denseInStripes(total, { stripe: blocks.stripes.dense, share: gpu.neurons[0] });
  const outputRows = gpu.hasOutput ? 0 : vocabSize;
  const experts = blocks.stripes === undefined
    ? wholeExperts(config, gpu.neurons[0] === 1)
    : expertsInStripes(config, { stripes: blocks.stripes, share: gpu.neurons[0] });
  const stateHeads = { start: 0, end: gpu.heads === 1 ? config.stateSpace?.headCount ?? 0 : 0 };
  const ordinary = planShards(config, { rankCount: parts, contextLength, blocks });
  const cpu = ordinary.map((shard, part): Shard => ({
    ...shard,
    ...headsOf(config, cut(headBorder, { parts, part, unit: headUnit })),
    stateHeads: lengthOf(stateHeads) > 0 ? NOTHING : shard.stateHeads,
    ...neurons.cpu(part, shard),
    vocab: cut(outputRows, { parts, part, unit: 1 }),
    ...experts.cpu(shard),
  }));
  return [...cpu, {
    ...headsOf(config, { start: headBorder, end: headCount }),
    stateHeads,
    ...neurons.gpu,
    ...experts.gpu,
    companionNeurons: NOTHING,
    inputLayers: NOTHING,
    inputNumbers: NOTHING,
    embedding: NOTHING,
    vocab: { start: outputRows, end: vocabSize },
    positions: NOTHING,
  }];
}

/** Query heads with the key/value heads that they read. */
function headsOf(config: ModelConfig, heads: Range): Pick<Shard, "heads" | "kvHeads"> {
  if (heads.start === heads.end) return { heads, kvHeads: NOTHING };
  const groupSize = config.headCount / config.headCountKv;
  const kvHeads = {
    start: Math.floor(heads.start / groupSize),
    end: Math.floor((heads.end - 1) / groupSize) + 1,
  };
  return { heads, kvHeads };
}

/**
 * The share of a layer: one that convolves has channels in the place of all kinds of heads, one
 * without heads none.
 */
export function ofLayer<S extends Pick<Shard, "heads" | "kvHeads">>(
  shard: S,
  { convolutionTaps, attends }: LayerConfig,
): S {
  if (attends === false) return { ...shard, heads: NOTHING, kvHeads: NOTHING };
  return convolutionTaps === undefined ? shard : { ...shard, kvHeads: shard.heads };
}

/** Channels that kernels of floats read at a time. */
const CHANNEL_UNIT = 16;

/** Heads of states: even parts, whose borders are those of groups where these are as many. */
function cutStates(
  { stateSpace }: ModelConfig,
  { parts, part, block }: { parts: number; part: number; block: number },
): Range {
  if (stateSpace === null) return NOTHING;
  const { kind, innerLength, headCount, groupCount, headsTakeTurns } = stateSpace;
  const channels = innerLength / headCount;
  let unit = 1;
  if (kind === "deltas") {
    // Whole groups: what is corrected is computed with all of their heads.
    const size = headCount / groupCount;
    const width = headsTakeTurns ? channels : size * channels;
    const fits = (groups: number) =>
      groups * width % block === 0 && groups * width % CHANNEL_UNIT === 0;
    const mayCut = !headsTakeTurns || fits(groupCount);
    while (unit < groupCount && !(mayCut && fits(unit))) unit++;
    return cut(headCount, { parts, part, unit: unit * size });
  }
  while (unit * channels % block !== 0 || unit * channels % CHANNEL_UNIT !== 0) unit++;
  return cut(headCount, { parts, part, unit });
}

interface NeuronCut {
  readonly parts: number;
  readonly part: number;
  readonly blocks: ColumnBlocks;
  readonly stripe?: number;
  readonly takesTurns?: boolean;
}

function cutNeurons(total: number, by: NeuronCut): Range {
  const { parts, part, blocks, stripe, takesTurns = false } = by;
  const unit = stripe ??
    neuronsPerCut(total, { rankCount: parts, block: blocks.down, takesTurns });
  return cut(total, { parts, part, unit });
}

function cutWithin(all: Range, by: NeuronCut): Range {
  const { start, end } = cutNeurons(lengthOf(all), by);
  return { start: all.start + start, end: all.start + end };
}

/** What tokens give layers. */
function inputsOf(
  { layerInputLength, blockCount }: ModelConfig,
  { parts, part, blocks: { inputs } }: { parts: number; part: number; blocks: ColumnBlocks },
): Pick<Shard, "inputLayers" | "inputNumbers"> {
  const layers = layerInputLength === 0 ? 0 : blockCount;
  return {
    inputLayers: cut(layers, { parts, part, unit: inputs?.layers ?? 1 }),
    inputNumbers: cut(layerInputLength, { parts, part, unit: inputs?.numbers ?? 1 }),
  };
}

/** A range of things that are `factor` numbers each. */
export function scale(range: Range, factor: number): Range {
  return { start: range.start * factor, end: range.end * factor };
}

/** Length of a range. */
export function lengthOf(range: Range): number {
  return range.end - range.start;
}

/** The part-th of `parts` nearly equal ranges of 0..total, cut at multiples of `unit`. */
export function cut(total: number, by: { parts: number; part: number; unit: number }): Range {
  const units = divCeil(total, by.unit);
  const at = (part: number) => Math.min(total, Math.round((units * part) / by.parts) * by.unit);
  return { start: at(by.part), end: at(by.part + 1) };
}

/** Fewest heads whose width is a whole number of blocks. */
function headsPerBlock(config: ModelConfig, block: number): number {
  if (config.compression !== undefined) return headsPerCut(config, block);
  const dim = mergedHeadDim(config);
  check(dim >= 0, "heads have a width");
  return wholeHeads(dim, block);
}

/** Fewest heads of `dim` columns that are whole blocks. */
export function wholeHeads(dim: number, block: number): number {
  let heads = 1;
  while ((heads * dim) % block !== 0) heads++;
  return heads;
}

/**
 * Superblocks where there are enough of them to share out evenly, else blocks. Whose parts take
 * turns is even in the end: there a superblock for each rank is enough.
 */
function neuronsPerCut(
  neurons: number,
  by: { rankCount: number; block: number; takesTurns: boolean },
): number {
  const { rankCount, block } = by;
  if (block === 1) return 1;
  const superblocks = Math.floor(neurons / SUPERBLOCK_WEIGHTS);
  const enough = by.takesTurns ? rankCount : 8 * rankCount;
  const even = superblocks % rankCount === 0 || superblocks >= enough;
  return even && superblocks > 0 ? SUPERBLOCK_WEIGHTS : Math.max(block, BLOCK_WEIGHTS);
}
