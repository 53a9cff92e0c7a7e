/** Which models predictors make sense for, and what a training needs to know of one. */
import { UnsupportedModelError } from "../../base/errors.ts";
import type { GgufFile } from "../../gguf/types.ts";
import { check } from "../../base/check.ts";
import { rowBytes } from "../../model/dtypes.ts";
import { predictorObstacle } from "../../model/powerinfer.ts";
import type { ModelDescription } from "../../model/types.ts";
import { isWeightType, packedRowBytes } from "../../rank/plan/weight_types.ts";
import type { PredictorType } from "../../train/mod.ts";

/** A model's layers as trainers see them. */
export interface TrainableModel {
  readonly layerCount: number;
  readonly inputLength: number;
  readonly neuronCount: number;
  /** Tokens that the model was trained for. */
  readonly contextLength: number;
  /** Bytes in memory of a row of the matrix that predictions save reading, the gate; per layer. */
  readonly gateRowBytes: readonly number[];
  /** The types that predictors may get when none is asked for. */
  readonly types: readonly PredictorType[];
}

/** Matrices of at most so many bits a weight get predictors of four bits, too. */
const FOUR_BITS_MAX = 5.6;

/** @throws {UnsupportedModelError} when predictors would not be used, or there are experts. */
export function checkTrainable(file: GgufFile, model: ModelDescription): TrainableModel {
  const { config, tensors } = model;
  const bits: number[] = [];
  if (config.layers.some(({ block }) => block !== undefined)) {
    throw new UnsupportedModelError(
      "Cannot train predictors for this model: its layers are used several times, and each time " +
        "other neurons fire: use a model whose layers are used once",
    );
  }
  const gateRowBytes = tensors.layers.map(({ feedForward }) => {
    if (feedForward === null) {
      throw new UnsupportedModelError(
        "Cannot train predictors for this model: some of its layers have no neurons: use a " +
          "model whose gates pass through ReLU",
      );
    }
    if (feedForward.kind === "experts") {
      throw new UnsupportedModelError(
        "Cannot train predictors for this model: its neurons are sorted into experts, and this " +
          "version trains for dense layers only",
      );
    }
    const obstacle = predictorObstacle(config.feedForward, feedForward);
    if (obstacle !== null) {
      throw new UnsupportedModelError(
        `Cannot train predictors for this model: ${obstacle}: use a model whose gates pass ` +
          "through ReLU",
      );
    }
    const { tensor, columns } = feedForward.gate!;
    const { type } = file.tensors.get(tensor)!;
    check(isWeightType(type), `the model runs with gates of ${type}`);
    bits.push(8 * rowBytes(type, columns) / columns);
    return packedRowBytes(type, columns);
  });
  return {
    layerCount: config.blockCount,
    inputLength: config.embeddingLength,
    neuronCount: config.feedForwardLength,
    contextLength: config.contextLength,
    gateRowBytes,
    types: [Math.max(...bits) <= FOUR_BITS_MAX ? "Q4_0" : "Q8_0", "F16"],
  };
}
