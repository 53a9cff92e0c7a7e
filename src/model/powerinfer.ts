/**
 * What PowerInfer adds to GGUF: a magic that marks a sparse model, predictors of the neurons that
 * will fire, the threshold that they were made for. Predictors are read from files of either magic.
 * Knows names and shapes; how predictors are used is the ranks' business.
 */
import { UnsupportedModelError } from "../base/errors.ts";
import type { GgufFile } from "../gguf/mod.ts";
import { Hyperparameters } from "./read/hyperparameters.ts";
import { type LayerReader, rowsOf } from "./read/layer_reader.ts";
import { isSilentKind } from "./silent_kinds.ts";
import type {
  DenseTensors,
  ExpertsConfig,
  FeedForwardConfig,
  LayerTensors,
  ModelDescription,
  PredictorTensors,
} from "./types.ts";

/** Architectures of PowerInfer's files that this version runs. */
const ARCHITECTURES = ["llama", "bamboo"];
/** What the file beside a model calls itself that says which neurons lie on a GPU. */
const GPU_INDEX_ARCHITECTURE = "generic.gpu_index";

/** True for files with PowerInfer's magic. */
export function isPowerInfer(file: GgufFile): boolean {
  return file.magic === "PWRI";
}

/**
 * Refuses PowerInfer's files that are no model, or one whose blocks are computed otherwise.
 * @throws {UnsupportedModelError} when it is one of them.
 */
export function requireRunnablePowerInfer(architecture: string): void {
  if (architecture === GPU_INDEX_ARCHITECTURE) {
    throw new UnsupportedModelError(
      "Cannot run this file: it is no model but PowerInfer's list of the neurons of one that it " +
        "keeps on a GPU (a .gpuidx file): give the model's own file, this list is not needed",
    );
  }
  if (ARCHITECTURES.includes(architecture)) return;
  throw new UnsupportedModelError(
    `Cannot run a PowerInfer file (magic PWRI) of architecture ${JSON.stringify(architecture)}: ` +
      `this version runs those of ${
        ARCHITECTURES.join(" and ")
      }: use one of them, or an ordinary ` +
      "GGUF file of the same model",
  );
}

/**
 * The logit from which on a neuron is predicted to fire, as the file says it; 0 where it does not.
 * @throws {ModelFormatError} when it is no finite number.
 */
export function readPredictorThreshold(file: GgufFile): number {
  const keys = new Hyperparameters(file, "powerinfer");
  return keys.float("sparse_threshold", { min: -Infinity, absent: 0 });
}

/**
 * The predictor of a layer, or null where the file has none: it may have some for some layers.
 * @throws {ModelFormatError} when only one of its matrices is there, or their shapes do not fit.
 */
export function predictorTensors(reader: LayerReader): PredictorTensors | null {
  const { checker, config: { embeddingLength, feedForwardLength }, at } = reader;
  const [first, second] = [`${at}fc1.weight`, `${at}fc2.weight`];
  if (!checker.has(first) && !checker.has(second)) return null;
  const rank = checker.rowCount(first) ?? 1;
  return {
    first: checker.matrix(first, { rows: rank, columns: embeddingLength }),
    second: checker.matrix(second, { rows: feedForwardLength, columns: rank }),
  };
}

/**
 * The predictors of a layer's experts, one for each, or null where the file has none. PowerInfer
 * knows no experts: the names are those of an FFN's other tensors.
 * @throws {ModelFormatError} as `predictorTensors`.
 */
export function expertPredictors(
  reader: LayerReader,
  { count, feedForwardLength: neurons }: ExpertsConfig,
): readonly PredictorTensors[] | null {
  const { checker, config: { embeddingLength: columns }, at } = reader;
  const [first, second] = [`${at}ffn_fc1_exps.weight`, `${at}ffn_fc2_exps.weight`];
  if (!checker.has(first) && !checker.has(second)) return null;
  const rank = checker.rowCount(first) ?? 1;
  const firsts = checker.matrix(first, { rows: rank, columns, count });
  const seconds = checker.matrix(second, { rows: neurons, columns: rank, count });
  return Array.from({ length: count }, (_, expert) => ({
    first: rowsOf(firsts, expert * rank, rank),
    second: rowsOf(seconds, expert * neurons, neurons),
  }));
}

/**
 * The block of a layer that says whether it has predictors: all experts do, or none. Null: the
 * layer has no neurons.
 */
export function predictedBlock(
  { feedForward }: Pick<LayerTensors, "feedForward">,
): DenseTensors | null {
  if (feedForward === null) return null;
  return feedForward.kind === "dense" ? feedForward : feedForward.experts[0];
}

/** Why a block's predictor cannot be used, for a sentence; null where it can. */
export function predictorObstacle(
  { activation }: FeedForwardConfig,
  { gate, up }: DenseTensors,
): string | null {
  if (!isSilentKind(activation)) return `neurons of ${activation} are never silent`;
  if (gate === null) return "its neurons have no gate";
  if (gate.bias !== null || up.bias !== null) return "its neurons have biases";
  return null;
}

/** Which layers have predictors, for people. */
export interface PredictorSummary {
  /** Layers that have one. */
  readonly layers: number;
  /** Numbers of those that do not. */
  readonly missing: readonly number[];
  /** Smallest and largest rank. */
  readonly rankMin: number;
  readonly rankMax: number;
  /** Bytes of all of them in the file. */
  readonly sizeBytes: number;
  /** Logit from which on a neuron is predicted to fire. */
  readonly threshold: number;
}

/** What predictors a model has; null where it has none. */
export function summarizePredictors(
  file: GgufFile,
  { config, tensors }: ModelDescription,
): PredictorSummary | null {
  const predictors = tensors.layers.map((layer) => predictedBlock(layer)?.predictor ?? null);
  const present = predictors.filter((each) => each !== null);
  if (present.length === 0) return null;
  const ranks = present.map(({ first }) => first.rows);
  const bytesOf = (name: string) => file.tensors.get(name)?.sizeBytes ?? 0;
  return {
    layers: present.length,
    missing: predictors.flatMap((each, layer) => each === null ? [layer] : []),
    rankMin: Math.min(...ranks),
    rankMax: Math.max(...ranks),
    sizeBytes: present.reduce(
      (sum, { first, second }) => sum + bytesOf(first.tensor) + bytesOf(second.tensor),
      0,
    ),
    threshold: config.predictorThreshold,
  };
}
