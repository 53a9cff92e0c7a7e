/** EmbeddingGemma: Gemma 3 that reads both ways; projections may follow a text's vector. */
import type { Family } from "../family.ts";
import { gemma3 } from "./gemma3.ts";

/** The family `general.architecture = "gemma-embedding"`. */
export const gemmaEmbedding: Family = {
  ...gemma3,
  architecture: "gemma-embedding",
  isEncoder: true,
};
