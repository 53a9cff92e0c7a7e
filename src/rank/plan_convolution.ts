/** A rank's share of a layer that convolves: own channels' taps. */
import type { VectorTensor } from "../model/types.ts";
import type { Placer } from "./plan_layer.ts";
import type { LayerPlan } from "./plan_types.ts";
import { type Range, scale } from "./shard.ts";

/** Own rows of the weights, of which the model has one for each channel. */
export function planConvolution(
  place: Placer,
  weights: VectorTensor | null,
  { own, channels }: { own: Range; channels: number },
): LayerPlan["convolution"] {
  if (weights === null) return null;
  const taps = weights.length / channels;
  return { taps, weights: { ...place.vector(weights, scale(own, taps)), columns: taps } };
}
