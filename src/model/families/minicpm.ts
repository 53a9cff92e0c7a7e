/** MiniCPM: Llama with scaled embeddings, scaled blocks and scaled logits. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "minicpm"`; its first files do not name the scales. */
export const minicpm: Family = {
  ...COMMON,
  architecture: "minicpm",
  positions: "norm",
  scales: ({ embeddingLength, blockCount }) => ({
    embedding: 12,
    residual: 1.4 / Math.sqrt(blockCount),
    logit: 256 / embeddingLength,
  }),
};
