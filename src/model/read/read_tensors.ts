/**
 * Tensor names of a model, every one checked to be in the file with the shape and a type that the
 * engine computes with. Knows names and shapes; reads no weights.
 */
import type { GgufFile } from "../../gguf/mod.ts";
import type { Family } from "../family.ts";
import { Hyperparameters } from "./hyperparameters.ts";
import { type LayerReader, readMatrix, rowsOf } from "./layer_reader.ts";
import { mergedHeadDim } from "../latent.ts";
import { altUpTensors, layerAltUpTensors } from "./read_alt_up.ts";
import {
  attentionPostNorm,
  embeddingNorm,
  feedForwardPostNorm,
  isLastNorm,
  lastNorm,
} from "./norm_names.ts";
import { blockIndexerTensors } from "./read_block_indexer.ts";
import { readAllBlockCount } from "./read_config.ts";
import { convolutionTensors } from "./read_convolution.ts";
import { compressedTensors } from "./read_compressed_tensors.ts";
import { gatedEnd, gatedLayer, groupIndexerTensors } from "./read_gated.ts";
import { hyperEnd, layerHyperTensors } from "./read_hyper.ts";
import { configOf } from "../layer_config.ts";
import { layerInputTensors, outputScale, tokenInputTensors } from "./read_layer_inputs.ts";
import { fusionTensors } from "./read_fusion.ts";
import { guessTensors } from "./read_guess.ts";
import { latentTensors } from "./read_latent_tensors.ts";
import { checkScoreBiases } from "./read_score_biases.ts";
import { stateSpaceTensors } from "./read_state_space.ts";
import { layerPrefix, leaveSourceBiases } from "./read_source.ts";
import { LONG_ROPE_FACTORS } from "./read_layers.ts";
import { feedForwardTensors } from "./read_feed_forward_tensors.ts";
import { finchTensors } from "./read_finch_tensors.ts";
import { keyDeltaTensors } from "./read_key_delta_tensors.ts";
import { lightningTensors } from "./read_lightning.ts";
import { timeMixTensors } from "./read_time_mix_tensors.ts";
import { textHeadTensors } from "./read_text_head.ts";
import { TensorChecker } from "./tensor_checker.ts";
import type {
  AttentionGate,
  HeadNormTensors,
  LayerConfig,
  LayerTensors,
  ModelConfig,
  ModelTensors,
  NormTensors,
  VectorTensor,
} from "../types.ts";

/** The size of Llama 4 that does not normalise heads (Maverick) has so many. */
const UNNORMALIZED_EXPERTS = 128;

/**
 * The tensors that a model of this configuration uses, checked.
 * @throws {ModelFormatError} when one is missing or has another shape than `config` asks for.
 * @throws {UnsupportedModelError} when one has a type this version does not compute with, or the
 *   file holds a tensor that this version would have to ignore.
 */
export function readTensors(file: GgufFile, config: ModelConfig, family: Family): ModelTensors {
  const { embeddingLength: columns, vocabSize: rows } = config;
  const checker = new TensorChecker(file, family.nameInFile);
  const reader = { config, family };
  const { fusion } = config.guess ?? {};
  const tokenRows = fusion?.tokenCount ?? rows;
  const tokenEmbedding = checker.matrix("token_embd.weight", { rows: tokenRows, columns });
  const tensors: ModelTensors = {
    tokenEmbedding,
    positionEmbedding: family.positions === "learned"
      ? checker.matrix("position_embd.weight", { rows: config.contextLength, columns })
      : null,
    embeddingNorm: family.embeddingNorm === "weighted"
      ? readNorm(checker, embeddingNorm(family), reader)
      : family.embeddingNorm === "plain"
      ? { weight: null, bias: null }
      : null,
    ...checker.has("token_types.weight") && family.isEncoder && {
      tokenKind: firstKind(checker, columns),
    },
    altUp: altUpTensors(checker, config),
    ...hyperEnd(checker, config),
    ...gatedEnd(checker, config),
    tokenInputs: tokenInputTensors(checker, config),
    ...config.keptStreams === 2 && {
      secondStream: checker.vector("hrm.z_l_init", columns),
    },
    outputNorm: family.gatesStreams ? null : readNorm(checker, lastNorm(config, family), reader),
    output: config.tiedEmbeddings ? tokenEmbedding : {
      ...checker.matrix("output.weight", { rows, columns }),
      bias: family.requiredBiases.includes("output") || checker.has("output.bias")
        ? checker.vector("output.bias", rows)
        : null,
    },
    layers: Array.from(
      { length: config.blockCount + (config.guess && !fusion ? 1 : 0) },
      (_, index) =>
        layerTensors({
          checker,
          config: configOf(config, index),
          family,
          index,
          at: layerPrefix(config, index),
        }),
    ),
  };
  const guess = fusion
    ? fusionTensors(checker, config, fusion)
    : config.guess && guessTensors(checker, config);
  const textHead = textHeadTensors(checker, config, family);
  checkRopeFactors(checker, config);
  checkScoreBiases(checker, config);
  leaveSourceBiases(checker, config);
  const end = readAllBlockCount(file, new Hyperparameters(file, family.architecture));
  checker.refuseUnused({ start: config.blockCount, end });
  return { ...tensors, ...textHead && { textHead }, ...guess && { guess } };
}

/** Long-rope's two lists are there together; which one counts is a question of the context. */
function checkRopeFactors(checker: TensorChecker, config: ModelConfig): void {
  for (const { factors } of config.ropes) {
    if (factors === null) continue;
    // Layers that turn fewer dimensions read the first ones of the same factors.
    const length = Math.max(...config.ropes.map((rope) => rope.dimensionCount)) / 2;
    checker.vector(factors.tensor, length);
    const pair = LONG_ROPE_FACTORS.filter((name) => checker.has(name));
    if (pair.length === 0) continue;
    for (const name of LONG_ROPE_FACTORS) checker.vector(name, length);
  }
}

function layerTensors(reader: LayerReader): LayerTensors {
  const { checker, config, family, at } = reader;
  const { convolutionTaps: taps, attends, hasStates, hasNeurons } = config.layers[reader.index] ??
    NO_LAYER;
  checker.leave(...family.unused.map((name) => `${at}${name}.weight`));
  const norm = (name: string, isThere: boolean) => isThere ? readNorm(checker, name, reader) : null;
  // Parallel blocks of two norms: the second one is attention's.
  const hasSecond = config.hasParallelBlocks && checker.has("blk.0.attn_norm_2.weight");
  const hasOwnNorm = !config.hasParallelBlocks || family.mayBeParallel === "said" || hasSecond;
  const hasOnlyNeurons = attends === false && !hasStates;
  // Among layers with states it has one norm, called as all layers' first one is.
  const feedForwardNorm = hasSecond || hasOnlyNeurons && family.stateSpace !== null
    ? "attn_norm"
    : config.experts !== null && family.experts?.sharedExpert === "apart"
    ? "pre_ffw_norm_2"
    : family.feedForwardNorm;
  return {
    attentionNorm: norm(
      at + (hasSecond ? "attn_norm_2" : "attn_norm"),
      family.hasPreNorms && !hasOnlyNeurons && !lacksFirstNorm(reader) && !config.guess?.fusion,
    ),
    ...attends === false
      ? NO_HEADS
      : taps === undefined
      ? config.compression ? compressedTensors(reader) : attentionTensors(reader)
      : convolutionTensors(reader, taps),
    ...hasStates ? stateTensors(reader) : { stateSpace: null },
    attentionPostNorm: norm(attentionPostNorm(reader), family.hasPostNorms),
    feedForwardNorm: norm(
      at + feedForwardNorm,
      family.hasPreNorms && hasOwnNorm && hasNeurons !== false,
    ),
    feedForward: hasNeurons === false ? null : feedForwardTensors(reader),
    feedForwardPostNorm: norm(
      feedForwardPostNorm(reader),
      family.hasPostNorms && !isLastNorm(reader),
    ),
    input: layerInputTensors(reader),
    altUp: layerAltUpTensors(reader),
    ...layerHyperTensors(reader),
    ...gatedLayer(reader),
    outputScale: outputScale(reader),
    ...config.layers[reader.index]?.passEnd && {
      endNorm: readNorm(checker, family.sourceNorm ?? family.outputNorm, reader),
    },
    ...family.addsEmbedding && blockScales(reader),
  };
}

function lacksFirstNorm({ checker, family, index, at }: LayerReader): boolean {
  return index === 0 && family.mayLackFirstNorm && !checker.has(`${at}attn_norm.weight`);
}

/** Of a table of two kinds, or one: the second part of a pair of texts would be of the second. */
function firstKind(checker: TensorChecker, columns: number): VectorTensor {
  const rows = checker.rowCount("token_types.weight") ?? 1;
  const table = checker.vector("token_types.weight", columns, rows);
  return { ...table, length: columns };
}

/** The embedding's, and those of what blocks give, where a file has them. */
function blockScales(
  { checker, at }: LayerReader,
): Pick<LayerTensors, "embeddingScale" | "attentionScale" | "feedForwardScale"> {
  // All layers are like the first.
  const ifThere = (name: string) =>
    checker.has(`blk.0.${name}`) ? checker.vector(at + name, 1) : null;
  const attentionScale = ifThere("attn_output.scale");
  const feedForwardScale = ifThere("ffn_down.scale");
  return {
    embeddingScale: checker.vector(`${at}layer_output_scale.weight`, 1),
    ...attentionScale && { attentionScale },
    ...feedForwardScale && { feedForwardScale },
  };
}

type StateNames =
  | "stateSpace"
  | "timeMix"
  | "finch"
  | "keyDeltas"
  | "lightning"
  | "feedForwardShift"
  | "neuronGate";

/** Whatever kind of state the layer keeps. */
function stateTensors(
  reader: LayerReader,
): Pick<LayerTensors, StateNames> {
  switch (reader.config.stateSpace?.kind) {
    case "keyed":
      return { stateSpace: null, ...timeMixTensors(reader) };
    case "added":
      return { stateSpace: null, ...finchTensors(reader) };
    case "keyDeltas":
      return { stateSpace: null, keyDeltas: keyDeltaTensors(reader) };
    case "lightning":
      return { stateSpace: null, lightning: lightningTensors(reader) };
    default:
      return { stateSpace: stateSpaceTensors(reader) };
  }
}

/** Whose tensors are asked for, and missed, where a file's count of layers is damaged. */
const NO_LAYER: LayerConfig = { slidingWindow: 0, rope: null };

/** Of a layer that neither attends nor convolves. */
const NO_HEADS = {
  ...{ query: null, key: null, value: null, attentionOutput: null, attentionGate: null },
  ...{ latent: null, queryNorm: null, keyNorm: null, valueNorm: null, attentionSinks: null },
  convolution: null,
};

/** All layers with a window are like the first of them, and so are those without. */
function hasSinks({ checker, family, config: { layers }, index }: LayerReader): boolean {
  const { attentionSinks: which } = family;
  const isWindowed = (layer: LayerConfig | undefined) => (layer?.slidingWindow ?? 0) > 0;
  const first = layers.findIndex((layer) => isWindowed(layer) === isWindowed(layers[index]));
  return which === "all" || which === "ifThere" && checker.has(`blk.${first}.attn_sinks.weight`);
}

function attentionTensors(reader: LayerReader) {
  const { checker, family, at } = reader;
  const hasKeys = reader.config.layers[reader.index]?.keysOf === undefined;
  const { embeddingLength: rows, headCount, headCountKv } = reader.config;
  const columns = headCount * mergedHeadDim(reader.config);
  return {
    ...queryKeyValue(reader),
    ...{ ...blockIndexerTensors(reader), ...groupIndexerTensors(reader) },
    queryNorm: headNorm(reader, "attn_q_norm.weight", headCount),
    keyNorm: hasKeys ? headNorm(reader, "attn_k_norm.weight", headCountKv) : null,
    valueNorm: family.normalizesValues && hasKeys ? { span: "head" as const, weight: null } : null,
    attentionSinks: hasSinks(reader) ? checker.vector(`${at}attn_sinks.weight`, headCount) : null,
    convolution: null,
    attentionOutput: readMatrix(reader, "attn_output", { rows, columns }),
    attentionGate: attentionGate(reader),
    ...family.hasInnerNorms && {
      innerNorm: checker.vector(`${at}attn_sub_norm.weight`, columns),
    },
  };
}

/** Gates of their own; or of each head's rows in one tensor the second half makes them. */
function attentionGate(reader: LayerReader): AttentionGate | null {
  const { checker, at, family, config } = reader;
  const { embeddingLength: columns, headCount } = config, headDim = mergedHeadDim(config);
  const { attentionGates, gateActivation: activation } = family;
  if (attentionGates === "none") return null;
  if (attentionGates === "apart") {
    const name = `${at}attn_gate.weight`;
    const count = checker.rowCount(name) === headCount ? 1 : mergedHeadDim(config);
    const matrix = checker.matrix(name, { rows: headCount * count, columns });
    return { query: null, gate: { matrix, step: count, start: 0, count }, activation };
  }
  const [step, count] = [2 * headDim, headDim];
  const matrix = readMatrix(reader, "attn_q", { rows: headCount * step, columns });
  const query = { matrix, step, start: 0, count };
  return { query, gate: { ...query, start: count }, activation };
}

/** Separate tensors, or one that holds the rows of the query, then the key's, then the value's. */
function queryKeyValue(
  reader: LayerReader,
): Pick<LayerTensors, "query" | "key" | "value" | "latent"> {
  const { checker, config, at } = reader;
  if (config.latent !== null) return latentTensors(reader, config.latent);
  const { embeddingLength, headCount, headCountKv, headDim, valueDim } = config;
  const columns = (config.guess?.fusion ? 2 : 1) * embeddingLength;
  const queryRows = headCount * headDim;
  const queryRowsInFile = reader.family.attentionGates === "besideQueries"
    ? 2 * queryRows
    : queryRows;
  const [keyRows, valueRows] = [headCountKv * headDim, headCountKv * valueDim];
  if (config.layers[reader.index]?.keysOf !== undefined) return queryAlone(reader, queryRows);
  // Where values are normalised, they may be what keys are made of.
  if (reader.family.normalizesValues && !hasValues(reader)) {
    const key = readMatrix(reader, "attn_k", { rows: keyRows, columns });
    const query = readMatrix(reader, "attn_q", { rows: queryRows, columns });
    return { query, key, value: key, latent: null };
  }
  if (!checker.has(at + "attn_qkv.weight")) {
    return {
      query: readMatrix(reader, "attn_q", { rows: queryRowsInFile, columns }),
      key: readMatrix(reader, "attn_k", { rows: keyRows, columns }),
      value: readMatrix(reader, "attn_v", { rows: valueRows, columns }),
      latent: null,
    };
  }
  const fused = readMatrix(reader, "attn_qkv", { rows: queryRows + keyRows + valueRows, columns });
  return {
    query: rowsOf(fused, 0, queryRows),
    key: rowsOf(fused, queryRows, keyRows),
    value: rowsOf(fused, queryRows + keyRows, valueRows),
    latent: null,
  };
}

function hasValues({ checker, at }: LayerReader): boolean {
  return checker.has(`${at}attn_v.weight`) || checker.has(`${at}attn_qkv.weight`);
}

/** Of a layer that reads another one's keys and values: files may have its own all the same. */
function queryAlone(
  reader: LayerReader,
  rows: number,
): Pick<LayerTensors, "query" | "key" | "value" | "latent"> {
  const { checker, config, at } = reader;
  checker.leave(...["attn_k", "attn_v", "attn_k_norm"].map((name) => `${at}${name}.weight`));
  const query = readMatrix(reader, "attn_q", { rows, columns: config.embeddingLength });
  return { query, key: null, value: null, latent: null };
}

function readNorm(
  checker: TensorChecker,
  name: string,
  { config, family }: Pick<LayerReader, "config" | "family">,
): NormTensors {
  const length = config.embeddingLength;
  const { normBiases } = family;
  const isBiased = normBiases === "all" ||
    normBiases === "ifThere" && checker.has(`${name}.bias`) ||
    normBiases === "ofLayerNorms" && config.norm.kind === "layer";
  if (!family.normsHaveWeights) return { weight: null, bias: null };
  // Some files leave ".weight" out.
  const isBare = !checker.has(`${name}.weight`) && checker.has(name);
  return {
    weight: checker.vector(isBare ? name : `${name}.weight`, length),
    bias: isBiased ? checker.vector(`${name}.bias`, length) : null,
  };
}

function headNorm(reader: LayerReader, name: string, heads: number): HeadNormTensors | null {
  const { checker, config, family, at, index } = reader;
  const { headDim } = config;
  const first = `blk.${config.layers.findIndex(({ attends }) => attends !== false)}.`;
  switch (family.headNorms) {
    case "none":
      return null;
    case "ofTurned":
      return config.layers[index].rope === null || config.experts?.count === UNNORMALIZED_EXPERTS
        ? null
        : { span: "head", weight: null };
    case "sharedIfThere":
      if (!checker.has(`blk.0.${name}`)) return null;
      return { span: "head", weight: checker.vector(at + name, headDim) };
    case "shared":
      return { span: "head", weight: checker.vector(at + name, headDim) };
    case "projection":
      return { span: "projection", weight: checker.vector(at + name, heads * headDim) };
    case "gains":
      return name !== "attn_q_norm.weight"
        ? { span: "head", weight: null }
        : { span: "head", weight: null, gain: checker.vector(at + name, 1, heads) };
    case "perHead": {
      if (!checker.has(first + name)) return null;
      const weight = checker.vector(at + name, headDim, heads);
      const bias = name.replace(/weight$/, "bias");
      if (family.headNorm === null || !checker.has(first + bias)) {
        return { span: "head", weight };
      }
      return { span: "head", weight, bias: checker.vector(at + bias, headDim, heads) };
    }
  }
}
