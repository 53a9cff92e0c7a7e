/**
 * Metadata keys to what differs from layer to layer where keys and values are made of latents:
 * numbers of heads, and the latents of windowed layers. Looks at no tensors.
 */
import type { Hyperparameters } from "./hyperparameters.ts";
import { ownKeyDim } from "../latent.ts";
import { type LatentHeads, readWindowedLatent } from "./read_latent.ts";
import { readCounts } from "./read_layer_shapes.ts";
import type { LayerConfig } from "../types.ts";

/**
 * Layers with shapes of their own where they have them. Scores are multiplied by 1 / √dimensions of
 * the layer's own heads.
 * @throws {ModelFormatError} when a key is missing, out of range, or contradicts another.
 * @throws {UnsupportedModelError} when widths have no kernel.
 */
export function latentLayers(
  keys: Hyperparameters,
  layers: readonly LayerConfig[],
  { headCount, headCountKv, latent, feedForwardLength }: LatentHeads & {
    readonly feedForwardLength: number;
  },
): readonly LayerConfig[] {
  const counts = readCounts(keys, "attention.head_count", layers.length, { min: 1 });
  const isWindowed = ({ slidingWindow }: LayerConfig) => slidingWindow > 0;
  const windowed = layers.some(isWindowed) ? readWindowedLatent(keys, latent) : latent;
  return layers.map((layer, index) => {
    const own = isWindowed(layer) ? windowed : latent;
    if (own === latent && counts[index] === headCount) return layer;
    const headDim = own.turnedDim + own.length;
    const attentionScale = 1 / Math.sqrt(ownKeyDim(own));
    const shape = { headCount: counts[index], headCountKv, headDim, valueDim: headDim };
    return { ...layer, shape: { ...shape, feedForwardLength, latent: own, attentionScale } };
  });
}
