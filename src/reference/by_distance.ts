/** What attention scores have more, or less, by how far away a position is. */
import { alibiSlopes, bucketOf, type LayerConfig, type ModelConfig } from "../model/mod.ts";
import type { AttentionShape } from "./ops.ts";
import type { ReferenceWeights } from "./weights.ts";

/** Of a layer with so many heads. */
export function byDistance(
  { alibiMaxBias, scoreBiases }: ModelConfig,
  { stage, headCount }: Pick<LayerConfig, "stage"> & { readonly headCount: number },
  weights: ReferenceWeights,
): Pick<AttentionShape, "slopes" | "biasOf"> {
  if (alibiMaxBias > 0) return { slopes: alibiSlopes(headCount, alibiMaxBias) };
  // Nothing that is answered is near a source, or far from it.
  if (scoreBiases === undefined || stage === "asks") return {};
  const { bucketCount, table, written } = scoreBiases;
  const isOneWay = stage === "writes";
  const values = weights.vector(isOneWay ? written! : table);
  const bucket = (distance: number) => bucketOf(distance, bucketCount, isOneWay);
  return { biasOf: (head, distance) => values[bucket(distance) * headCount + head] };
}
