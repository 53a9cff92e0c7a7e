/**
 * Metadata keys to hyper-parameters. Knows the names of keys and what values make sense together;
 * looks at tensors only for what they alone tell: vocabulary size, ties, parallel blocks.
 */
import { UnsupportedModelError } from "../../base/errors.ts";
import type { GgufFile } from "../../gguf/mod.ts";
import type { Family, ScaleShape } from "../family.ts";
import { formatError, Hyperparameters } from "./hyperparameters.ts";
import { readCompression } from "./read_compression.ts";
import { readFill } from "./read_fill.ts";
import { readGated } from "./read_gated.ts";
import { readNorm, readWeighedSums } from "./read_norm.ts";
import { readPredictorThreshold } from "../powerinfer.ts";
import { readAltUp } from "./read_alt_up.ts";
import { withGateCutoffs } from "./read_gate_cutoffs.ts";
import { readExperts } from "./read_experts.ts";
import { readParallelStreams } from "./read_streams.ts";
import { latentLayers } from "./read_latent_shapes.ts";
import { readLatentScale, readLatentTemperature } from "./read_latent.ts";
import { convolvingLayers } from "./read_convolution.ts";
import { type HeadShape, readHeads } from "./read_heads.ts";
import { largestOf, shapedLayers } from "./read_layer_shapes.ts";
import { readBlockChoice } from "./read_block_indexer.ts";
import { readChoice } from "./read_indexer.ts";
import { readGivenParts } from "./read_given_parts.ts";
import { readKeptInputs } from "./read_kept_inputs.ts";
import { readGuess, withGuessingLayer } from "./read_guess.ts";
import { isEncoder } from "./read_is_encoder.ts";
import { readFeedForward } from "./read_feed_forward.ts";
import { readLayers } from "./read_layers.ts";
import { attendsInTurns, readStateSpace, stateLayers } from "./read_state_space.ts";
import {
  type NeuronLayers,
  readMixtures,
  readNeuronLayers,
  unevenLayers,
} from "./read_uneven_layers.ts";
import { readRepeats, type Repeat } from "./read_repeats.ts";
import { readSource, readSourceLayers, type SourceLayer } from "./read_source.ts";
import { refuseObstacle } from "./refuse_obstacle.ts";
import { readScoreBiases } from "./read_score_biases.ts";
import { readSilencedTokens } from "./read_silenced_tokens.ts";
import { rescaledLayers } from "./read_time_mix.ts";
import { limitedLayers } from "./read_swiglu_limits.ts";
import { curvedLayers } from "./read_xielu.ts";
import type { ExpertsConfig, FeedForwardConfig, LayerConfig, ModelConfig } from "../types.ts";

/** More blocks than any model has; keeps a corrupt count from becoming a million names. */
const BLOCK_COUNT_MAX = 1024;

/** Of the blocks so many, the last ones, guess tokens behind the next one. */
const GUESSING_BLOCKS = "nextn_predict_layers";

/** What the reader must know beside the file. */
export interface ReadOptions {
  /**
   * Tokens that will be used: decides between rotary factors, and no more than a model with learned
   * positions has of them. Left out: the trained context.
   */
  readonly contextLength?: number;
  /** Logit from which on a neuron is predicted to fire; left out: what the file says, or 0. */
  readonly predictorThreshold?: number;
  /** The first block that guesses is read, too, where there is one. */
  readonly guesses?: boolean;
}

/**
 * The hyper-parameters of a model.
 * @throws {ModelFormatError} when a key is missing or values contradict each other or the file.
 * @throws {UnsupportedModelError} when the model asks for something this version does not compute.
 */
export function readConfig(
  file: GgufFile,
  family: Family,
  options: ReadOptions = {},
): ModelConfig {
  const keys = keysOf(file, family);
  const embeddingLength = keys.integer("embedding_length", { min: 1 });
  const { walked, guess, ownCount } = readBlocks(file, keys, family, options);
  const repeats = readSourceLayers(keys, family, ownCount) ?? readRepeats(keys, family, ownCount);
  const blockCount = repeats?.length ?? ownCount;
  const { attends, each: headsOfEach, ...heads } = readHeads(keys, family, {
    ...{ embeddingLength, blockCount },
  });
  const scaleShape = { ...heads, embeddingLength, blockCount };
  refuseObstacle(family, scaleShape);
  const contextLength = keys.integer("context_length", { min: 1 });
  const usedContext = readUsedContext(family, contextLength, options);
  const vocabSize = readVocabSize(file, keys);
  const experts = readExperts(file, keys, family, { blockCount, vocabSize });
  const norm = readNorm(keys, family);
  const { ropes, layers } = readLayers(file, keys, family, {
    blockCount,
    isSloped: readAlibi(keys, family, scaleShape) > 0,
    headDim: heads.headDim,
    trainedContext: contextLength,
    usedContext,
    leadingDenseCount: experts?.leadingDenseCount ?? 0,
  });
  const feedForward = readFeedForward(file, keys, family, { blockCount, vocabSize });
  const neurons = readNeurons(keys, family, { blockCount, experts });
  const own = ownLayers(file, keys, family, {
    ...{ heads, headsOfEach, attends, neurons, embeddingLength, feedForward, experts },
    layers: limitedLayers(keys, family, layers),
  });
  return {
    ...{ architecture: family.architecture, blockCount, embeddingLength },
    feedForwardLength: neurons.count,
    ...heads,
    ...{ vocabSize, contextLength, norm, ropes, experts },
    layers: walkedLayers(family.cutsGates ? withGateCutoffs(keys, own) : own, repeats),
    ...guess && { guess, blockCount: walked, layers: withGuessingLayer(own) },
    ...readChoice(keys, family, { ...heads, usedContext, layers: own, blockCount: walked, norm }),
    ...readSource(file, keys, family, { readingLayers: ownCount, vocabSize }),
    ...readBlockChoice(keys, family, { ...heads, usedContext, layers: own, experts }),
    ...ownWays(keys, family, own),
    ...{ ...readSilencedTokens(file, family, vocabSize), ...readFill(file, family, vocabSize) },
    ...family.compressesKeys && readCompression(keys, { ...heads, layers: own, ropes, experts }),
    ...readGated(keys, family, { ...scaleShape, usedContext, layers: own, vocabSize }),
    stateSpace: family.stateSpace && readStateSpace(keys, family.stateSpace),
    altUp: family.hasAltUp ? readAltUp(keys) : null,
    feedForward,
    hasParallelBlocks: areParallel(file, keys, family),
    gatesAttention: family.attentionGates !== "none",
    normalizesTurnedHeads: family.normalizesTurnedHeads,
    layerInputLength: family.mayHaveLayerInputs
      ? keys.integer("embedding_length_per_layer_input", { min: 0, absent: 0 })
      : 0,
    ...readScales(keys, family, scaleShape),
    ...heads.latent && {
      attentionScale: readLatentScale(keys, family, heads.latent, ropes[0]?.scaling),
    },
    queryTemperature: heads.latent && readLatentTemperature(keys, ropes[0]?.scaling),
    alibiMaxBias: readAlibi(keys, family, scaleShape),
    valueScale: family.hasOwnValues ? readAtLeast0(keys, "attention.value_scale", 1) || 1 : 1,
    projectionClamp: family.mayClampProjections ? readAtLeast0(keys, "attention.clamp_kqv", 0) : 0,
    ...readSoftCaps(keys, family),
    tiedEmbeddings: !file.tensors.has("output.weight"),
    predictorThreshold: options.predictorThreshold ?? readPredictorThreshold(file),
  };
}

function walkedLayers(
  layers: readonly LayerConfig[],
  repeats: readonly (Repeat | SourceLayer)[] | null,
): readonly LayerConfig[] {
  return repeats?.map((repeat, index) => ({ ...layers[index], ...repeat })) ?? layers;
}

/** What few families have. */
function ownWays(
  keys: Hyperparameters,
  family: Family,
  layers: readonly LayerConfig[],
): Partial<ModelConfig> {
  const { repeats, addsEmbedding, headNorm, normalizesSums } = family;
  return {
    ...readGivenParts(keys, family),
    ...family.keepsInputs && readKeptInputs(keys, layers.length),
    ...readScoreBiases(keys, family),
    ...isEncoder(keys, family, layers) && { isEncoder: true },
    ...normalizesSums && { normalizesSums: true },
    ...family.hasStreams && { hyper: readParallelStreams(keys) },
    ...repeats === "cycles" && { keptStreams: 2 },
    ...addsEmbedding && { keptStreams: 1 },
    ...headNorm && { headNorm },
  };
}

/** Layers with what they have instead of what most families' have. */
function ownLayers(
  file: GgufFile,
  keys: Hyperparameters,
  family: Family,
  by: {
    readonly layers: readonly LayerConfig[];
    readonly heads: Omit<HeadShape, "attends" | "each">;
    readonly headsOfEach: HeadShape["each"];
    readonly attends: readonly boolean[] | null;
    readonly neurons: NeuronLayers;
    readonly embeddingLength: number;
    readonly feedForward: FeedForwardConfig;
    readonly experts: ExpertsConfig | null;
  },
): readonly LayerConfig[] {
  const { layers, heads, attends, neurons, embeddingLength, feedForward, experts } = by;
  if (feedForward.activation === "xielu") return curvedLayers(file, layers);
  if (family.stateSpace !== null) {
    const kept = stateLayers(layers, family.stateSpace, {
      attends: attendsInTurns(keys, family.stateSpace, layers.length) ?? attends,
      hasNeurons: neurons.each?.map((count) => count > 0) ?? null,
    });
    const { kind, shiftsNeurons, layersDiffer } = family.stateSpace;
    if (layersDiffer) {
      const common = { ...heads, feedForwardLength: neurons.count, experts };
      const mixtures = experts && readMixtures(keys, {
        ...{ expertCount: experts.count, blockCount: layers.length },
      });
      return unevenLayers(kept, common, {
        ...{ heads: by.headsOfEach, neurons: neurons.each, mixtures },
      });
    }
    return kind === "added" && shiftsNeurons ? rescaledLayers(keys, kept) : kept;
  }
  const { headCount, latent } = heads;
  if (family.layersDiffer && latent !== null) {
    const feedForwardLength = neurons.count;
    return latentLayers(keys, layers, { ...heads, headCountKv: 1, latent, feedForwardLength });
  }
  if (family.layersDiffer) {
    return shapedLayers(keys, layers, {
      ...{ ...heads, feedForwardLength: neurons.count, mayLack: family.layersMayLack },
    });
  }
  const headsWidth = headCount * heads.headDim;
  return convolvingLayers(keys, layers, { attends, headsWidth, embeddingLength });
}

/** Of a dense block, and how many layers have: null where all do, or the family says. */
function readNeurons(
  keys: Hyperparameters,
  family: Family,
  { blockCount, experts }: { blockCount: number; experts: ExpertsConfig | null },
): NeuronLayers {
  const { stateSpace } = family;
  if (stateSpace?.neurons === "none") return { count: 0, each: null };
  const isMixture = experts?.leadingDenseCount === 0 && !family.experts?.areInTurns;
  if (stateSpace?.neurons === "apart") {
    const { count, each } = readNeuronLayers(keys, blockCount);
    return { count: isMixture ? 0 : count, each };
  }
  return { count: isMixture ? 0 : readNeuronCount(keys, family), each: null };
}

function readNeuronCount(keys: Hyperparameters, family: Family): number {
  const { countsGatesAndUps, layersDiffer } = family;
  const key = "feed_forward_length";
  if (layersDiffer) return largestOf(keys, key);
  const count = keys.integer(key, { min: 1 });
  if (!countsGatesAndUps) return count;
  if (count % 2 !== 0) throw keys.wrong(key, "even: it counts gates and ups");
  return count / 2;
}

function areParallel(file: GgufFile, keys: Hyperparameters, { mayBeParallel }: Family): boolean {
  if (mayBeParallel === "said") return keys.flag("use_parallel_residual", true);
  return mayBeParallel && !file.tensors.has("blk.0.ffn_norm.weight");
}

function readUsedContext(
  { architecture, positions }: Family,
  trained: number,
  { contextLength: used = trained }: ReadOptions,
): number {
  if (positions !== "learned" || used <= trained) return used;
  throw new UnsupportedModelError(
    `Cannot use ${used} tokens of context: this ${architecture} model has learned ${trained} ` +
      "positions and knows no others: use a shorter context",
  );
}

/** @throws {UnsupportedModelError} of a file that tokenizers are tried with. */
function keysOf(file: GgufFile, { architecture }: Family): Hyperparameters {
  if (file.tensors.size > 0) return new Hyperparameters(file, architecture);
  const what = "it is a vocabulary only, good for tokenize and detokenize";
  throw new UnsupportedModelError(`Cannot run a file without weights: ${what}: give a model`);
}

/** Blocks of the file: those that are computed, and behind them those that only guess. */
export function readAllBlockCount(file: GgufFile, keys: Hyperparameters): number {
  const blockCount = keys.integer("block_count", { min: 1, max: BLOCK_COUNT_MAX });
  if (blockCount > file.tensors.size) {
    throw keys.wrong("block_count", `at most the number of tensors, ${file.tensors.size}`);
  }
  return blockCount;
}

/** Blocks that are walked, and with the one that guesses, where it is read. */
function readBlocks(
  file: GgufFile,
  keys: Hyperparameters,
  family: Family,
  { guesses = false }: ReadOptions,
) {
  const walked = readBlockCount(file, keys, family);
  const guess = guesses ? readGuess(file, family, walked) : null;
  return { walked, guess, ownCount: walked + (guess === null ? 0 : 1) };
}

function readBlockCount(
  file: GgufFile,
  keys: Hyperparameters,
  { compressesKeys }: Family,
): number {
  const blockCount = readAllBlockCount(file, keys);
  const count = keys.integer(GUESSING_BLOCKS, { min: 0, max: blockCount - 1, absent: 0 });
  // Some files say how many there were, and have none of them.
  const first = `blk.${blockCount - count}.nextn.eh_proj.weight`;
  return compressesKeys && !file.tensors.has(first) ? blockCount : blockCount - count;
}

function readVocabSize(file: GgufFile, keys: Hyperparameters): number {
  const rows = file.tensors.get("token_embd.weight")?.dims[1];
  if (rows === undefined) {
    throw formatError(
      file,
      'Cannot find tensor "token_embd.weight" with one row per token: every model needs it: ' +
        "get the file again or convert the model again",
    );
  }
  const vocabSize = keys.integer("vocab_size", { min: 1, absent: rows });
  if (vocabSize !== rows) {
    throw keys.wrong("vocab_size", `the number of rows of "token_embd.weight", ${rows}`);
  }
  const tokens = file.metadata.get("tokenizer.ggml.tokens");
  const tokenCount = typeof tokens === "object" ? tokens.length : rows;
  if (tokenCount !== rows) {
    throw formatError(
      file,
      `Cannot use metadata "tokenizer.ggml.tokens": it lists ${tokenCount} tokens, ` +
        `"token_embd.weight" has ${rows} rows: convert the model again`,
    );
  }
  return vocabSize;
}

/** Most files name a divisor of the logits; everything else multiplies. 0 means "not said". */
function readScales(keys: Hyperparameters, family: Family, shape: ScaleShape) {
  const defaults = family.scales?.(shape) ?? {};
  const said = (key: string) => {
    const value = keys.float(key, { min: -Infinity, absent: 0 });
    if (value < 0) throw keys.wrong(key, "0 or more");
    return value;
  };
  const factor = (key: string) => family.scales === null ? 0 : said(key);
  const logitScale = factor("logit_scale");
  return {
    attentionScale: said(family.attentionScaleKey) ||
      (defaults.attention ?? 1 / Math.sqrt(shape.headDim || 1)),
    embeddingScale: factor("embedding_scale") || (defaults.embedding ?? 1),
    residualScale: factor("residual_scale") || (defaults.residual ?? 1),
    logitScale: logitScale === 0
      ? defaults.logit ?? 1
      : family.logitScale === "divides"
      ? 1 / logitScale
      : logitScale,
    ...family.normalizesSums === "asRead" && readWeighedSums(keys, family),
  };
}

function readSoftCaps(keys: Hyperparameters, { attentionSoftCap, logitSoftCap }: Family) {
  return {
    attentionSoftCap: readSoftCap(keys, "attn_logit_softcapping", attentionSoftCap),
    logitSoftCap: readSoftCap(keys, "final_logit_softcapping", logitSoftCap),
  };
}

function readSoftCap(keys: Hyperparameters, key: string, absent: number | null): number {
  return absent === null ? 0 : readAtLeast0(keys, key, absent);
}

function readAlibi(
  keys: Hyperparameters,
  { alibiMaxBias }: Family,
  shape: ScaleShape,
): number {
  if (alibiMaxBias === null) return 0;
  return readAtLeast0(keys, "attention.max_alibi_bias", alibiMaxBias(shape));
}

function readAtLeast0(keys: Hyperparameters, key: string, absent: number): number {
  const value = keys.float(key, { min: -Infinity, absent });
  if (value < 0) throw keys.wrong(key, "0 or more");
  return value;
}
