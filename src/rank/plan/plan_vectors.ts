/** Numbers of a layer that are in no matrix and no norm: factors, and taps of what convolves. */
import type { LayerTensors, VectorTensor } from "../../model/types.ts";
import type { Placer } from "./plan_layer.ts";
import type { LayerPlan } from "./plan_types.ts";
import { type Range, scale } from "./shard.ts";

type GainsName = "attentionGains" | "feedForwardGains";

/** Factors of what blocks give, and of the embedding. */
export function planScales(
  place: Placer,
  tensors: LayerTensors,
): Pick<LayerPlan, `${"attention" | "feedForward" | "embedding"}Scale` | GainsName> {
  const each = (vector: VectorTensor | undefined) => vector ? place.vector(vector) : null;
  return {
    attentionScale: each(tensors.attentionScale),
    feedForwardScale: each(tensors.feedForwardScale),
    embeddingScale: each(tensors.embeddingScale),
    attentionGains: each(tensors.attentionGains),
    feedForwardGains: each(tensors.feedForwardGains),
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
