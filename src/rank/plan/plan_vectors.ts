/** Numbers of a layer that are in no matrix and no norm: factors, and taps of what convolves. */
import type { LayerTensors, VectorTensor } from "../../model/types.ts";
import type { Placer } from "./plan_layer.ts";
import type { LayerPlan } from "./plan_types.ts";
import { type Range, scale } from "./shard.ts";

type ScaleName = `${"attention" | "feedForward" | "embedding"}Scale`;
type GainsName = "attentionGains" | "feedForwardGains";

/** Factors of what blocks give, and of the embedding; and what is added behind them. */
export function planScales(
  place: Placer,
  tensors: LayerTensors,
): Pick<LayerPlan, ScaleName | GainsName | "direction"> {
  const each = (vector: VectorTensor | undefined) => vector ? place.vector(vector) : null;
  return {
    attentionScale: each(tensors.attentionScale),
    feedForwardScale: each(tensors.feedForwardScale),
    embeddingScale: each(tensors.embeddingScale),
    attentionGains: each(tensors.attentionGains),
    feedForwardGains: each(tensors.feedForwardGains),
    direction: each(tensors.direction),
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
