/**
 * Metadata keys to what chooses the keys that a model of latents attends to (DeepSeek-AI 2025,
 * "DeepSeek-V3.2", 2.1). Knows no tensors.
 */
import { UnsupportedModelError } from "../../base/errors.ts";
import type { Family } from "../family.ts";
import type {
  IndexerConfig,
  LatentConfig,
  LayerConfig,
  ModelConfig,
  NormConfig,
} from "../types.ts";
import { type Hyperparameters, isListFor } from "./hyperparameters.ts";

/** Which layers have an indexer of their own, where the family lets others go without. */
const TYPES = "attention.indexer.types";
/** More than any model has; keeps a corrupt count from asking for any memory there is. */
const HEADS_MAX = 1024;
const DIMS_MAX = 1024;
/** Kernels read so many dimensions of a key at a time, and of columns. */
const DIM_UNIT = 4;
/** Of keys' norm: the authors' code has it, files do not. */
const EPSILON = 1e-6;
/** GLM 5.2 is told from 5 and 5.1 by its context: its first two layers and every fourth choose. */
const SHARED_CONTEXT = 1048576;
const LEADING_LAYERS = 2;
const LAYERS_OF_A_CHOICE = 4;

/** What an indexer may be for. */
interface ChoiceInput {
  readonly usedContext: number;
  readonly latent: LatentConfig | null;
  readonly layers: readonly LayerConfig[];
  /** Of the layers those that do not guess. */
  readonly blockCount: number;
  /** Of the residual stream. */
  readonly norm: NormConfig;
}

/**
 * Nothing: the family has none, or the context is no longer than what an indexer chooses, which is
 * all of it then.
 * @throws {ModelFormatError} when a key is missing, out of range, or contradicts another.
 * @throws {UnsupportedModelError} when the width of keys has no kernel.
 */
export function readChoice(
  keys: Hyperparameters,
  family: Family,
  input: ChoiceInput,
): Pick<ModelConfig, "indexer"> & Partial<Pick<ModelConfig, "layers">> {
  const indexer = readIndexer(keys, family, input);
  return indexer === null ? {} : { indexer, layers: choosingLayers(keys, family, input) };
}

function readIndexer(
  keys: Hyperparameters,
  { indexer }: Family,
  { usedContext, latent, norm }: ChoiceInput,
): IndexerConfig | null {
  if (indexer === null || latent === null) return null;
  const bound = indexer.mayLack ? { min: 0, absent: 0 } : { min: 1 };
  const keyCount = keys.integer("attention.indexer.top_k", bound);
  if (keyCount === 0 || usedContext <= keyCount) return null;
  if (!keys.flag("attention.causal", true)) {
    throw new UnsupportedModelError(
      "Cannot run this model: it reads texts in both directions and chooses keys, which this " +
        `version does not do together: use a context of at most ${keyCount} tokens`,
    );
  }
  const dims = "attention.indexer.key_length";
  const headDim = keys.integer(dims, { min: latent.turnedDim, max: DIMS_MAX });
  if (headDim % DIM_UNIT !== 0) {
    throw new UnsupportedModelError(
      `Cannot run this model: its indexer's heads have ${headDim} dimensions, this version needs ` +
        `a multiple of ${DIM_UNIT}: use a context of at most ${keyCount} tokens`,
    );
  }
  if (latent.queryLength === 0) {
    throw keys.wrong("attention.q_lora_rank", "1 or more: an indexer's queries are made of it");
  }
  const headCount = keys.integer("attention.indexer.head_count", { min: 1, max: HEADS_MAX });
  return {
    ...{ headCount, headDim, keyCount, pairs: indexer.pairs },
    epsilon: indexer.takesEpsilon ? norm.epsilon : EPSILON,
    ...indexer.turnsLast && { start: headDim - latent.turnedDim },
  };
}

/**
 * The layers, of which those that see everything choose keys, or use those that the last one before
 * them has chosen. The one that guesses is no part of the choice: it sees all.
 */
function choosingLayers(
  keys: Hyperparameters,
  { indexer }: Family,
  { layers, blockCount }: ChoiceInput,
): readonly LayerConfig[] {
  const choose = indexer?.mayShare
    ? choosersOf(keys, blockCount, indexer.mayShare === "listed")
    : null;
  return layers.map((layer, index) =>
    index >= blockCount || layer.slidingWindow > 0
      ? layer
      : { ...layer, choosesKeys: choose === null || choose(index) ? "own" : "before" }
  );
}

function choosersOf(
  keys: Hyperparameters,
  blockCount: number,
  areListed: boolean,
): (layer: number) => boolean {
  const said = keys.value(TYPES);
  if (said === undefined && !areListed) {
    const context = keys.integer("context_length", { min: 1 });
    return (layer) =>
      context < SHARED_CONTEXT || layer < LEADING_LAYERS ||
      (layer - LEADING_LAYERS) % LAYERS_OF_A_CHOICE === 0;
  }
  if (typeof said !== "object" || !isListFor(keys, said.length, blockCount)) {
    throw keys.wrong(TYPES, `a list of ${blockCount}, one for each block`);
  }
  const list = Array.from(said as ArrayLike<unknown>, Boolean);
  if (!list[0]) throw keys.wrong(TYPES, "1 for the first block: none before it has chosen keys");
  return (layer) => list[layer];
}
