/** Which models predictors make sense for, and what a training needs to know of one. */
import { UnsupportedModelError } from "../../base/errors.ts";
import type { GgufFile } from "../../gguf/types.ts";
import { check } from "../../base/check.ts";
import { rowBytes } from "../../model/dtypes.ts";
import { layerNeurons } from "../../model/layer_neurons.ts";
import { predictorObstacle } from "../../model/powerinfer.ts";
import type {
  DenseTensors,
  FeedForwardTensors,
  ModelConfig,
  ModelDescription,
} from "../../model/types.ts";
import { isWeightType, packedRowBytes } from "../../rank/plan/weight_types.ts";
import type { PredictorType, SampledLayer } from "../../train/mod.ts";

/** A layer as trainers see it. */
export interface TrainableLayer extends SampledLayer {
  /** Its blocks are experts; else there is one. A mixture may have a single expert. */
  readonly isMixture: boolean;
  /** Bytes in memory of a row of the matrix that predictions save reading, the gate. */
  readonly gateRowBytes: number;
}

/** A model's layers as trainers see them. */
export interface TrainableModel {
  readonly layers: readonly TrainableLayer[];
  /** Neurons that an observer is shown of a layer: of each expert, and of shared ones. */
  readonly shownNeurons: number;
  /** Neurons of a layer that are no routed expert's: every token uses them. */
  readonly sharedNeurons: number;
  /** Tokens that the model was trained for. */
  readonly contextLength: number;
  /** The types that predictors may get when none is asked for. */
  readonly types: readonly PredictorType[];
}

/** Matrices of at most so many bits a weight get predictors of four bits, too. */
const FOUR_BITS_MAX = 5.6;

/** @throws {UnsupportedModelError} when predictors would not be used. */
export function checkTrainable(file: GgufFile, model: ModelDescription): TrainableModel {
  const { config, tensors } = model;
  if (config.layers.some(({ block }) => block !== undefined)) {
    refuse(
      "its layers are used several times, and each time other neurons fire: use a model whose " +
        "layers are used once",
    );
  }
  const blocks = tensors.layers.map(({ feedForward }) => blocksOf(feedForward));
  for (const block of blocks.flat()) {
    const obstacle = predictorObstacle(config.feedForward, block);
    if (obstacle !== null) refuse(`${obstacle}: use a model whose gates pass through ReLU`);
  }
  const gates = blocks.map(([{ gate }]) => {
    const { type } = file.tensors.get(gate!.tensor)!;
    check(isWeightType(type), `the model runs with gates of ${type}`);
    const { columns } = gate!;
    return {
      rowBytes: packedRowBytes(type, columns),
      bits: 8 * rowBytes(type, columns) / columns,
    };
  });
  return {
    layers: tensors.layers.map(({ feedForward }, layer) => ({
      ...shapeOf(config, feedForward!),
      gateRowBytes: gates[layer].rowBytes,
    })),
    shownNeurons: layerNeurons(config),
    sharedNeurons: config.experts?.sharedFeedForwardLength ?? 0,
    contextLength: config.contextLength,
    types: [Math.max(...gates.map(({ bits }) => bits)) <= FOUR_BITS_MAX ? "Q4_0" : "Q8_0", "F16"],
  };
}

/** The blocks of a layer that may have predictors. */
function blocksOf(feedForward: FeedForwardTensors | null): readonly DenseTensors[] {
  if (feedForward === null) {
    return refuse(
      "some of its layers have no neurons: use a model whose gates pass through ReLU",
    );
  }
  return feedForward.kind === "dense" ? [feedForward] : feedForward.experts;
}

function shapeOf(
  { embeddingLength: inputLength, feedForwardLength, experts }: ModelConfig,
  { kind }: FeedForwardTensors,
): SampledLayer & { readonly isMixture: boolean } {
  if (kind === "dense") {
    return {
      ...{ isMixture: false, inputLength, neuronCount: feedForwardLength },
      ...{ blockCount: 1, usedCount: 1 },
    };
  }
  const { count, usedCount, feedForwardLength: neuronCount } = experts!;
  return { isMixture: true, inputLength, neuronCount, blockCount: count, usedCount };
}

function refuse(reason: string): never {
  throw new UnsupportedModelError(`Cannot train predictors for this model: ${reason}`);
}
