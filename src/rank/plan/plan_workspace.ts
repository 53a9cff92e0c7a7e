/** Lays out what a step needs between its weights: the workspace, the same in every arena. */
import { alignUp } from "../../base/check.ts";
import type { ArenaBuilder } from "../../memory/arena.ts";
import { REGION_ALIGN_BYTES, SUPERBLOCK_WEIGHTS } from "../../memory/row_layout.ts";
import { latentsOf, mergedHeadDim } from "../../model/latent.ts";
import { configOf, readsWhole } from "../../model/layer_config.ts";
import type { ModelConfig, StateSpaceConfig } from "../../model/types.ts";
import { mostOf, N, planMemory } from "../../shapes/mod.ts";
import { indexerBytes, indexerWorkspace } from "./plan_indexer.ts";
import type { IntermediatesPlan, KvType, WorkspacePlan, WorkspaceStrides } from "./plan_types.ts";
import { planStream, type StreamSizes } from "./plan_stream.ts";
import { countsBytes } from "./counts.ts";
import { tableBlocks } from "./kv_bytes.ts";
import { type AdaptersPlan, addedBytes, addedWorkspace } from "./plan_added.ts";
import { altUpBytes } from "./plan_alt_up.ts";
import { relativeBytes } from "./plan_conformer.ts";
import { compressedWorkspace } from "./plan_compressed.ts";
import { gatedWorkspace } from "./plan_gated.ts";
import { guessBytes, guessWorkspace } from "./plan_guess.ts";
import { latentBytes, latentWorkspace } from "./plan_latent.ts";
import { LOGITS_ROWS, logitsRows } from "./logits_rows.ts";
import { limitedAt, limitedBytes } from "./plan_limits.ts";
import { layOffsets } from "./plan_offsets.ts";
import { slopesBytes } from "./plan_slopes.ts";
import { projectorBytes, type ProjectorShare, projectorWorkspace } from "./plan_projector.ts";
import { LONG_TOKENS } from "./weight_types.ts";
import { routesOfToken } from "../../model/routes_of_token.ts";
import { channelsOf, convolvedRows, inputRows, stateBytes, stateWorkspace } from "./plan_state.ts";
import { lengthOf, type Range, type Shard, withoutGpus } from "./shard.ts";
import {
  type LastingTensor,
  stepGraph,
  type StepGraphInput,
  type StepTensor,
} from "./step_graph.ts";

/** Numbers that are kept of each layer's predictor: predictors.ts. */
export const RECALL_FIELDS = 4;

/** The sizes that only the kernels know. */
export interface KernelSizes {
  q8_bytes(n: number, k: number): number;
  neurons_scratch_bytes(d: number): number;
  matmul_long_scratch_bytes(): number;
  attention_scratch_bytes(n: number, heads: number, groupSize: number, headDim: number): number;
  choose_scratch_bytes(): number;
}

export interface WorkspaceInput {
  readonly config: ModelConfig;
  readonly widths: Widths;
  readonly strides: WorkspaceStrides;
  readonly chunkTokens: number;
  readonly contextLength: number;
  /** Of the cache; left out: f32. */
  readonly kvType?: KvType;
  /** Sequences that can be in a step. */
  readonly sequences?: number;
  /** Where file bytes land while weights are loaded. */
  readonly stagingBytes: number;
  /** Experts have norms of their own. */
  readonly hasExpertsApart?: boolean;
  /** Some norm has no weights. */
  readonly hasPlainNorms: boolean;
  /** Some matrix lies neuron by neuron. */
  readonly hasNeurons: boolean;
  /** Some tensor is of halves. Left out: none is. */
  readonly hasHalves?: boolean;
  /** Silent neurons are left out. */
  readonly isSparse: boolean;
  /** Chooses tokens: rank 0. */
  readonly leads: boolean;
  readonly sizes: KernelSizes;
  /** Left out or null: there are none that add to products. */
  readonly adapters?: AdaptersPlan | null;
  /** Null unless the model is a tower. */
  readonly projector?: ProjectorShare | null;
  /** Null unless the model is a packed one; of this arena. */
  readonly stream: StreamSizes | null;
  /** For tests: false gives every intermediate bytes of its own. */
  readonly sharesWorkspace?: boolean;
}

/** Reserves one arena's workspace. */
export function planWorkspace(arena: ArenaBuilder, input: WorkspaceInput): WorkspacePlan {
  const { config: { ropes, experts } } = input;
  const { intermediates, at } = placeIntermediates(arena, input);
  let ropeAt = at("ropes");
  return {
    intermediates,
    staging: at("staging"),
    residual: at("residual"),
    ...{ streams: at("streams"), streamsOfOne: at("streams.one") },
    ...{ hyperOne: at("hyper.one"), hyperWords: at("hyper.words") },
    ...{ streamWords: at("streams.words"), around: at("around"), bypass: at("bypass") },
    normed: at("normed"),
    normedQ8: at("normed.q8"),
    query: at("query"),
    key: at("key"),
    value: at("value"),
    squares: at("squares"),
    states: input.config.stateSpace && stateWorkspace(at),
    latent: input.config.latent && latentWorkspace(at),
    ...{
      compressed: compressedWorkspace(input.config, at),
      gated: gatedWorkspace(input.config, at),
    },
    indexer: indexerWorkspace(input.config, at),
    attentionGate: at("attention.gate"),
    attention: at("attention"),
    attentionQ8: at("attention.q8"),
    ...{ gate: at("gate"), up: at("up") },
    ...{ gateMoments: at("gate.moments"), fired: at("fired"), counts: at("counts") },
    ...{ predictor: at("predictor"), predictorQ8: at("predictor.q8"), recall: at("recall") },
    ...{ alone: at("alone"), aloneQ8: at("alone.q8"), tokens: at("tokens") },
    ...{ neuronScratch: at("neurons.scratch"), widened: at("widened"), limited: limitedAt(at) },
    hidden: at("hidden"),
    hiddenQ8: at("hidden.q8"),
    partials: [at("partial.0"), at("partial.1")],
    incoming: at("incoming"),
    early: at("early"),
    beside: at("beside"),
    tokenInputs: at("token.inputs"),
    ropes: input.widths.heads === 0 ? [] : ropes.map(({ dimensionCount }) => {
      const own = ropeAt;
      ropeAt += ropeBytes(dimensionCount, input.chunkTokens);
      return own;
    }),
    ...{ tables: at("tables"), ones: at("ones"), slopes: at("slopes") },
    guess: guessWorkspace(input.config, at),
    added: addedWorkspace(input.adapters, at),
    ...{ scratch: at("attention.scratch"), relative: at("relative"), inGrid: at("attention.grid") },
    logits: at("logits"),
    candidates: at("candidates"),
    ...{ patches: at("patches"), convolved: at("convolved"), windows: at("windows") },
    ...{ convolvedAgain: at("convolved.again"), convolvedQ8: at("convolved.q8") },
    projector: input.projector ? projectorWorkspace(input.projector, at) : null,
    routing: experts && {
      logits: at("router.logits"),
      rows: at("routes.rows"),
      weights: at("routes.weights"),
      sharedWeights: at("shared.weights"),
      gathered: at("gathered"),
      gatheredQ8: at("gathered.q8"),
    },
    stream: planStream(arena, input),
  };
}

/**
 * Lays a step's intermediates where those that do not live together share bytes: step_graph.ts says
 * when they live. Nothing may rely on what it has not written itself in the same step: the kernels
 * zero the columns behind the width wherever a product reads them, and q8 tiles are written whole.
 */
function placeIntermediates(
  arena: ArenaBuilder,
  input: WorkspaceInput,
): { intermediates: IntermediatesPlan; at: (name: StepTensor | LastingTensor) => number } {
  const { config, isSparse, strides, chunkTokens, sharesWorkspace = true } = input;
  const hasPredictors = strides.predictor > 0;
  const graph = stepGraph({ config, isSparse, hasPredictors, bytes: intermediateBytes(input) });
  // No size here depends on the tokens before the step.
  const bounds = { tokensMax: chunkTokens, contextMax: chunkTokens, batchMax: 1 };
  const plan = planMemory(graph, bounds, {
    alignBytes: REGION_ALIGN_BYTES,
    places: "fixed",
    sharesBytes: sharesWorkspace,
  });
  const buffers = plan.buffers.map(({ maxBytes, tensors: [largest] }) =>
    arena.allocate(largest.name, "activations", maxBytes)
  );
  const places = plan.places.map(({ tensor, buffer, offset }) => ({
    name: tensor.name,
    offsetBytes: buffers[buffer] + offset.constant!,
    sizeBytes: mostOf(tensor.bytes, bounds),
    isLasting: tensor.lives === "always",
  }));
  const offsets = new Map(places.map(({ name, offsetBytes }) => [name, offsetBytes]));
  const { plannedBytes, apartBytes } = plan;
  return {
    intermediates: { places, plannedBytes, apartBytes },
    at: (name) => offsets.get(name) ?? 0,
  };
}

/** What intermediates take, by the new tokens N. */
function intermediateBytes(input: WorkspaceInput): StepGraphInput["bytes"] {
  const { config, widths, strides, chunkTokens, sizes, leads } = input;
  const { embeddingLength: d } = config;
  const { heads, queries, keys, neurons } = widths;
  const floats = (perToken: number) => N.times(4 * perToken);
  // Tiles of a longest step: their form is the kernels' affair.
  const tile = (k: number) => sizes.q8_bytes(chunkTokens, Math.max(1, k));
  const ropes = config.ropes.reduce(
    (sum, { dimensionCount }) => sum + ropeBytes(dimensionCount, chunkTokens),
    0,
  );
  const lengths = latentsOf(config).map(({ length }) => length);
  const widest = Math.max(d, ...lengths, config.projector?.outputLength ?? 0);
  const listedTokens = input.isSparse ? logitsRows(config, chunkTokens) : 1;
  return {
    ...{ staging: input.stagingBytes, residual: floats(strides.embedding) },
    ...{ normed: floats(strides.embedding), "normed.q8": tile(d) },
    ...{ query: floats(queries), key: floats(keys) },
    ...{ value: floats(config.latent ? 0 : keys), squares: floats(4) },
    ...{ attention: floats(strides.attention), "attention.q8": tile(strides.attention) },
    ...config.gatesAttention && { "attention.gate": floats(strides.attention) },
    ...latentBytes(config, { heads, chunkTokens, sizes }),
    ...indexerBytes(config, { ...input, heads, kvType: input.kvType ?? "f32" }),
    ...stateBytes(input),
    ...{ "attention.scratch": attentionScratch(input), ...gridBytes(input) },
    ...{ gate: floats(neurons), up: floats(neurons), fired: neurons * 4 * listedTokens },
    ...{ hidden: floats(strides.hidden), "hidden.q8": tile(neurons) },
    ...{ "partial.0": floats(strides.embedding), "partial.1": floats(strides.embedding) },
    ...{ incoming: floats(strides.embedding), ropes: heads === 0 ? 0 : ropes },
    ...input.hasExpertsApart && { beside: floats(strides.embedding) },
    ...altUpBytes(input),
    ...config.layerInputLength > 0 && { "token.inputs": floats(widths.tokenInputs) },
    "neurons.scratch": input.hasNeurons ? sizes.neurons_scratch_bytes(widest) : 0,
    ...input.hasHalves && chunkTokens >= LONG_TOKENS &&
      { widened: sizes.matmul_long_scratch_bytes() },
    ...limitedBytes(input),
    counts: countsBytes(config.layers.length),
    ...guessBytes(config, input),
    tables: (input.sequences ?? 1) * tableBlocks(input.contextLength) * 4,
    ...input.hasPlainNorms && { ones: onesLength(config) * 4 },
    ...{ ...slopesBytes(config), ...relativeBytes(input), ...addedBytes(input) },
    logits: logitsRows(config, chunkTokens) * strides.logits * 4,
    candidates: leads ? config.vocabSize * 4 : 0,
    ...projectorBytes(input.projector ?? null, input),
    ...fewBytes(input),
    ...predictorBytes(input),
    ...routingBytes(input),
  };
}

/** More queries at once would leave the cache while they pass an encoder's keys. */
const QUERIES_OF_LONG_STEPS = 64;

/** Tokens that attend at once: of a causal step all, of one that is a whole text some. */
export function attendingTokens(config: ModelConfig, chunkTokens: number): number {
  return readsWhole(config) ? Math.min(QUERIES_OF_LONG_STEPS, chunkTokens) : chunkTokens;
}

/** Of heads whose scores count how far keys are away. */
function gridBytes({ config, widths: { heads }, sizes }: WorkspaceInput) {
  const laid = heads === 0 ? null : layOffsets(config, sizes);
  return laid === null ? {} : { "attention.grid": laid.bytes };
}

/** Of the layer that takes the most. */
function attentionScratch({ config, widths: { heads }, chunkTokens, sizes }: WorkspaceInput) {
  const n = attendingTokens(config, chunkTokens);
  const most = config.layers.map((_, layer) => {
    const { headCount, headCountKv, headDim } = configOf(config, layer);
    const groupSize = headCountKv === 0 ? 1 : headCount / headCountKv;
    return sizes.attention_scratch_bytes(n, Math.max(1, heads), groupSize, headDim);
  });
  return Math.max(0, ...most);
}

/** Weights of the widest norm that has none. */
export function onesLength(config: ModelConfig): number {
  const headDims = config.layers.map((_, layer) => configOf(config, layer).headDim);
  const { embeddingLength, projector } = config;
  const hidden = projector?.hiddenLength ?? 0;
  return Math.max(embeddingLength * (projector?.mergedRows ?? 1), hidden, ...headDims);
}

/** Cosines and sines of a step, whole regions: tables of several embeddings follow one another. */
function ropeBytes(dimensionCount: number, chunkTokens: number): number {
  return alignUp(chunkTokens * dimensionCount * 4, REGION_ALIGN_BYTES);
}

/** Most tokens of a sequence in a step whose firing neurons are listed, token by token. */
export const FEW_TOKENS = 8;

/** One of a few tokens by itself. */
function fewBytes({ config, strides, isSparse, sizes }: WorkspaceInput): StepGraphInput["bytes"] {
  if (!isSparse) return {};
  return {
    alone: strides.embedding * 4,
    "alone.q8": sizes.q8_bytes(1, config.embeddingLength),
    tokens: LOGITS_ROWS * 4,
  };
}

/**
 * Rows of what predictors have between their matrices: one for each route of a token to an expert,
 * or for each token; and for the layer behind the one that is computed those of one token, or of
 * one each of several sequences.
 */
export function predictorRows(config: ModelConfig, chunkTokens: number): number {
  const most = Math.max(2 * logitsRows(config, chunkTokens), chunkTokens);
  return (config.experts?.usedCount ?? 1) * most;
}

function predictorBytes(
  { config, strides: { predictor: stride }, chunkTokens, sizes }: WorkspaceInput,
): StepGraphInput["bytes"] {
  if (stride === 0) return {};
  return {
    predictor: predictorRows(config, chunkTokens) * stride * 4,
    "predictor.q8": sizes.q8_bytes(chunkTokens, stride),
    recall: config.blockCount * RECALL_FIELDS * 8,
  };
}

/** The most of each that a rank has in one layer. */
export interface Widths {
  readonly heads: number;
  /** Numbers of their queries, of keys, and what they give on. */
  readonly queries: number;
  readonly keys: number;
  readonly merged: number;
  /** Of a block, or what tokens give a layer; without what of a packed file a GPU has. */
  readonly neurons: number;
  readonly listed: number;
  /** Of what it makes of tokens' inputs. */
  readonly tokenInputs: number;
  /** Of state spaces. */
  readonly states: Readonly<Record<"heads" | "channels" | "input" | "convolved", number>>;
}

/** What rows of workspaces are apart; own: what a rank's widths do not say. */
export function stridesOf(
  config: ModelConfig,
  { merged, neurons, states }: Widths,
  own: Pick<WorkspaceStrides, "logits" | "predictor" | "bypass">,
): WorkspaceStrides {
  return {
    embedding: alignUp(config.embeddingLength, SUPERBLOCK_WEIGHTS),
    attention: alignUp(merged, SUPERBLOCK_WEIGHTS),
    hidden: alignUp(neurons, SUPERBLOCK_WEIGHTS),
    states: alignUp(states.channels, SUPERBLOCK_WEIGHTS),
    ...own,
  };
}

/** Of a rank whose layers are all elsewhere. */
export const NO_WIDTHS: Widths = {
  ...{ heads: 0, queries: 0, keys: 0, merged: 0, neurons: 0, listed: 0, tokenInputs: 0 },
  states: { heads: 0, channels: 0, input: 0, convolved: 0 },
};

/** Over the shards that layers have on one rank. */
export function widthsOf(
  shards: readonly Shard[],
  config: ModelConfig,
): Widths {
  const { stateSpace, layerInputLength } = config;
  const most = (of: (shard: Shard, layer: ModelConfig) => number) =>
    Math.max(0, ...shards.map((shard, layer) => of(shard, configOf(config, layer))));
  const ofStates = (of: (own: Range, shape: StateSpaceConfig) => number) =>
    stateSpace === null ? 0 : most(({ stateHeads }) => of(stateHeads, stateSpace));
  return {
    heads: most(({ heads }) => lengthOf(heads)),
    queries: most(({ heads }, { headDim }) => lengthOf(heads) * headDim),
    keys: most(({ kvHeads }, { headDim }) => lengthOf(kvHeads) * headDim),
    merged: most(({ heads }, layer) => lengthOf(heads) * mergedHeadDim(layer)),
    neurons: most((shard) => Math.max(largestBlock(shard), lengthOf(shard.inputNumbers))),
    listed: most((shard) => largestBlock(withoutGpus(shard))),
    tokenInputs: most(({ inputLayers }) => lengthOf(inputLayers) * layerInputLength),
    states: {
      heads: most(({ stateHeads }) => lengthOf(stateHeads)),
      channels: ofStates((own, shape) => lengthOf(channelsOf(own, shape))),
      input: ofStates(inputRows),
      convolved: ofStates(convolvedRows),
    },
  };
}

/** Most neurons that are computed at once: of the dense block, an expert, the shared expert. */
export function largestBlock(shard: Shard): number {
  const stepped = shard.steppedNeurons.map(({ neurons }) => neurons);
  const { sharedNeurons, companionNeurons, expertNeurons } = shard;
  const blocks = [shard.neurons, ...stepped, sharedNeurons, companionNeurons, ...expertNeurons];
  return Math.max(...blocks.map(lengthOf));
}

function routingBytes(
  { config: { experts, embeddingLength }, strides, chunkTokens, sizes }: WorkspaceInput,
): StepGraphInput["bytes"] {
  if (experts === null) return {};
  return {
    "router.logits": N.times(experts.count * 4),
    "routes.rows": N.times(routesOfToken(experts) * 4),
    "routes.weights": N.times(routesOfToken(experts) * 4),
    ...(experts.routerInput === "ownNorm" || experts.latentLength !== undefined) &&
      { early: N.times(strides.embedding * 4) },
    "shared.weights": N.times(4),
    gathered: N.times(strides.embedding * 4),
    "gathered.q8": sizes.q8_bytes(chunkTokens, embeddingLength),
  };
}
