/** Talkie: layers add the embedding once more, norms have no weights, heads have gains. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "talkie"`. */
export const talkie: Family = {
  ...COMMON,
  architecture: "talkie",
  positions: "neox",
  embeddingNorm: "plain",
  normsHaveWeights: false,
  headNorms: "gains",
  addsEmbedding: true,
  scales: () => ({}),
  logitScale: "multiplies",
};
