/**
 * Directions that control vectors give a model's layers: whether they fit, and whether the model's
 * layers leave one stream that something can be added to. Reads no weights.
 */
import { UnsupportedModelError } from "../../base/errors.ts";
import type { GgufFile } from "../../gguf/mod.ts";
import type { ModelConfig, ModelTensors } from "../types.ts";

/** What a layer's direction is called beside a model's tensors. */
export function directionName(layer: number): string {
  return `direction.${layer}`;
}

/**
 * The tensors with what control vectors add behind each layer; those of a model's own file are
 * none of these.
 * @throws {UnsupportedModelError} when a direction does not fit, or the model cannot have any.
 */
export function steerLayers(
  { tensors: all }: Pick<GgufFile, "tensors">,
  config: ModelConfig,
  tensors: ModelTensors,
): ModelTensors {
  const directions = [...all.values()].filter(({ summed }) => summed !== undefined);
  if (directions.length === 0) return tensors;
  const obstacle = steeringObstacle(config);
  if (obstacle !== null) throw refusal(`${obstacle}: leave it out`);
  const { embeddingLength: length, blockCount } = config;
  for (const { name, summed = [] } of directions) {
    const layer = Number(name.split(".")[1]);
    if (layer >= blockCount) {
      throw refusal(
        `it has a direction for layer ${layer}, and the model's layers are 0 to ` +
          `${blockCount - 1}: give the one that was made for this model`,
      );
    }
    const other = summed.find(({ tensor: { dims } }) => dims[0] !== length);
    if (other !== undefined) {
      throw refusal(
        `its directions have ${other.tensor.dims[0]} numbers, the model's stream ${length}: give ` +
          "the one that was made for this model",
      );
    }
  }
  const layers = tensors.layers.map((layer, index) => {
    const tensor = directionName(index);
    // A file that has one itself has been refused: nothing uses it.
    return all.has(tensor) ? { ...layer, direction: { tensor, start: 0, length } } : layer;
  });
  return { ...tensors, layers };
}

/** Null: something can be added behind each layer. */
function steeringObstacle(config: ModelConfig): string | null {
  const { altUp, hyper, gatedStreams, source, layers } = config;
  if (altUp !== null || hyper !== undefined || gatedStreams !== undefined) {
    return "the model's layers have several streams";
  }
  // What a layer leaves is the sum, and its norm the next one's.
  if (config.normalizesSums && !config.isEncoder) {
    return "the model's layers leave sums that are normalised";
  }
  if (source !== undefined) return "the model's layers read a source, or answer one";
  if (layers.some(({ block }) => block !== undefined)) {
    return "the model uses layers several times";
  }
  return null;
}

function refusal(why: string): UnsupportedModelError {
  return new UnsupportedModelError(`Cannot use this control vector: ${why}`);
}
