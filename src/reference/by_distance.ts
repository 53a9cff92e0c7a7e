/** What attention scores have more, or less, by how far away a position is. */
import { alibiSlopes, bucketOf, type ModelConfig } from "../model/mod.ts";
import type { AttentionShape } from "./ops.ts";
import type { ReferenceWeights } from "./weights.ts";

/** Of a layer with so many heads. */
export function byDistance(
  { alibiMaxBias, scoreBiases }: ModelConfig,
  headCount: number,
  weights: ReferenceWeights,
): Pick<AttentionShape, "slopes" | "biasOf"> {
  if (alibiMaxBias > 0) return { slopes: alibiSlopes(headCount, alibiMaxBias) };
  if (scoreBiases === undefined) return {};
  const { bucketCount, table } = scoreBiases;
  const values = weights.vector(table);
  return {
    biasOf: (head, distance) => values[bucketOf(distance, bucketCount) * headCount + head],
  };
}
