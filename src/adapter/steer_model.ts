/**
 * A model's header as it is with control vectors: a tensor for each layer that they steer, the sum
 * of what they have for it. Reads no weights; `sum_vectors.ts` adds up when somebody reads one.
 */
import type { GgufFile, SummedTensor } from "../gguf/mod.ts";
import { directionName } from "../model/mod.ts";
import type { ControlVector } from "./read_control_vector.ts";

/** How a control vector is to be used. */
export interface UsedControlVector {
  readonly vector: ControlVector;
  /** Multiplies what it adds; 1: as it was made. */
  readonly scale: number;
}

/** The first and the last layer that are steered. */
export interface SteeredLayers {
  readonly first: number;
  readonly last: number;
}

/**
 * The model with these control vectors, added up. layers: those that are steered; null: all that
 * the vectors have directions for. Whether they fit is for `describeModel` to say.
 */
export function steerModel<File extends GgufFile>(
  file: File,
  used: readonly UsedControlVector[],
  layers: SteeredLayers | null = null,
): File {
  if (used.length === 0) return file;
  const { first, last } = layers ?? { first: 1, last: Infinity };
  const parts = [...file.parts];
  const sums = new Map<number, SummedTensor[]>();
  for (const { vector, scale } of used) {
    const firstPart = parts.length;
    const use = `control vector, ${scale} times, layers ${first} to ${last}`;
    parts.push(...vector.file.parts.map((part) => ({ ...part, use })));
    for (const [layer, tensor] of vector.directions) {
      if (layer < first || layer > last) continue;
      const placed = { ...tensor, part: tensor.part + firstPart };
      sums.set(layer, [...sums.get(layer) ?? [], { tensor: placed, scale }]);
    }
  }
  const tensors = new Map(file.tensors);
  for (const [layer, summed] of sums) {
    const name = directionName(layer);
    // As long as the first of them: that all are as long as the stream is looked at with the model.
    tensors.set(name, { ...summed[0].tensor, name, summed });
  }
  return { ...file, tensors, parts };
}
