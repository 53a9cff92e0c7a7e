/** BLOOM: scores fall with distance, embeddings are normalised, biases everywhere. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "bloom"`. */
export const bloom: Family = {
  ...COMMON,
  architecture: "bloom",
  positions: "sloped",
  alibiMaxBias: () => 8,
  embeddingNorm: "weighted",
  norm: "layer",
  feedForward: { activation: "gelu", isGated: false, activatesUp: false },
  requiredBiases: ["attn_qkv", "attn_output", "ffn_up", "ffn_down"],
};
