/** Gemma: GELU, embeddings scaled by √d; its converter has added 1 to the norms' weights. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "gemma"`. */
export const gemma: Family = {
  ...COMMON,
  architecture: "gemma",
  positions: "neox",
  feedForward: { activation: "gelu", isGated: true, activatesUp: false },
  scales: ({ embeddingLength }) => ({ embedding: Math.sqrt(embeddingLength) }),
};
