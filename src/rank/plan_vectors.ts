/** Numbers of a layer that are in no matrix and no norm: factors, and taps of what convolves. */
import type { LayerTensors, VectorTensor } from "../model/types.ts";
import type { Placer } from "./plan_layer.ts";
import type { LayerPlan } from "./plan_types.ts";
import { type Range, scale } from "./shard.ts";

/** Factors of what blocks give, and of the embedding. */
export function planScales(
  place: Placer,
  { attentionScale, feedForwardScale, embeddingScale }: LayerTensors,
): Pick<LayerPlan, "attentionScale" | "feedForwardScale" | "embeddingScale"> {
  const each = (vector: VectorTensor | undefined) => vector ? place.vector(vector) : null;
  return {
    attentionScale: each(attentionScale),
    feedForwardScale: each(feedForwardScale),
    embeddingScale: each(embeddingScale),
  };
}

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
