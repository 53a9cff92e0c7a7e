/** BitNet b1.58: ternary weights, and norms of what heads and neurons give. */
import { COMMON, type Family } from "../family.ts";

/** Of Llama 3's vocabulary, which the models with squared ReLU have. */
const VOCABULARY_OF_SQUARES = 128256;

/**
 * The family `general.architecture = "bitnet"`: 1bitLLM's models, whose neurons have SiLU, and
 * Microsoft's b1.58-2B-4T, whose neurons have squared ReLU, which no key of such files says.
 */
export const bitnet: Family = {
  ...COMMON,
  architecture: "bitnet",
  positions: "neox",
  hasInnerNorms: true,
  activationOf: ({ vocabSize }) => vocabSize === VOCABULARY_OF_SQUARES ? "relu2" : "silu",
};
