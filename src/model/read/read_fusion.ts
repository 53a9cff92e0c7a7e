/**
 * What sets a model apart that guesses with another one's rows (EAGLE-3): which rows, and what
 * makes one of them. Knows keys and tensors; not which model it guesses for.
 */
import { UnsupportedModelError } from "../../base/errors.ts";
import type { GgufFile } from "../../gguf/mod.ts";
import type { FusionConfig, GuessTensors } from "../guess_types.ts";
import type { ModelConfig, NormTensors } from "../types.ts";
import type { Hyperparameters } from "./hyperparameters.ts";
import type { TensorChecker } from "./tensor_checker.ts";

/** Which of its logits are which tokens', where it has fewer. */
export const TOKENS_TENSOR = "d2t";
/** Layers whose inputs are read. */
const LAYER_COUNT = 3;

/** What the model that it guesses for is like. */
export type FusedModel = Pick<ModelConfig, "embeddingLength" | "blockCount" | "vocabSize">;

/**
 * @throws {ModelFormatError} when a key is missing or senseless.
 * @throws {UnsupportedModelError} when it reads rows of another model.
 */
export function readFusion(
  file: GgufFile,
  keys: Hyperparameters,
  model: FusedModel,
): FusionConfig {
  const { embeddingLength, blockCount, vocabSize } = model;
  if (keys.integer("block_count", { min: 1 }) !== 1) {
    throw new UnsupportedModelError(
      `Cannot guess with a model of ${keys.value("block_count")} layers: those of this ` +
        "architecture have one: take another draft model",
    );
  }
  const rowLength = keys.integer("target_hidden_size", { min: 1 });
  if (rowLength !== embeddingLength) {
    throw new UnsupportedModelError(
      `Cannot guess with this draft model: it reads rows of ${rowLength} numbers, those of the ` +
        `model have ${embeddingLength}: take the draft model that was made for this model`,
    );
  }
  return {
    layers: readLayerNumbers(keys, blockCount),
    ...{ rowLength, tokenCount: vocabSize },
    normalizesInput: keys.flag("norm_before_fc", false),
    normalizesResidual: keys.flag("norm_before_residual", false),
    ...file.tensors.has(TOKENS_TENSOR) && { tokensTensor: TOKENS_TENSOR },
  };
}

function readLayerNumbers(keys: Hyperparameters, blockCount: number): number[] {
  const key = "target_layers";
  const list = keys.value(key);
  const isList = ArrayBuffer.isView(list) && list.constructor !== DataView;
  const layers = isList ? Array.from(list as ArrayLike<number | bigint>, Number) : [];
  if (layers.length !== LAYER_COUNT) throw keys.wrong(key, `a list of ${LAYER_COUNT} layers`);
  for (const layer of layers) {
    if (!Number.isInteger(layer) || layer < 0) throw keys.wrong(key, "a list of layers' numbers");
    if (layer <= blockCount) continue;
    throw new UnsupportedModelError(
      `Cannot guess with this draft model: it reads what goes into layer ${layer}, the model ` +
        `has ${blockCount} layers: take the draft model that was made for this model`,
    );
  }
  return layers;
}

/** Rows of the output. */
export function readGuessedCount({ tensors }: GgufFile, tokenCount: number): number {
  return tensors.get(TOKENS_TENSOR)?.dims[0] ?? tokenCount;
}

/** @throws {ModelFormatError} when one is missing or has another shape. */
export function fusionTensors(
  checker: TensorChecker,
  { embeddingLength: d, vocabSize }: ModelConfig,
  { layers, rowLength, tokensTensor, normalizesInput }: FusionConfig,
): GuessTensors {
  const norm = (name: string, length: number): NormTensors => ({
    weight: checker.vector(`${name}.weight`, length),
    bias: null,
  });
  const columns = layers.length * rowLength;
  if (tokensTensor !== undefined) checker.longTable(tokensTensor, vocabSize);
  return {
    embeddingNorm: norm("blk.0.attn_norm", d),
    rowNorm: norm("blk.0.attn_norm_2", d),
    merge: checker.matrix("fc.weight", { rows: d, columns }),
    outputNorm: null,
    ...normalizesInput && { inputNorm: norm("enc.output_norm", columns) },
  };
}
