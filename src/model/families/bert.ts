/** BERT: reads both ways; norms are of sums, positions and kinds of tokens are learned. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "bert"`: BGE, E5, MiniLM, Arctic Embed, XLM-RoBERTa. */
export const bert: Family = {
  ...COMMON,
  architecture: "bert",
  isEncoder: true,
  positions: "learned",
  embeddingNorm: "weighted",
  norm: "layer",
  hasPreNorms: false,
  hasPostNorms: true,
  postNormNames: ["attn_output_norm", "layer_output_norm"],
  normalizesSums: true,
  feedForward: { activation: "gelu", isGated: false, activatesUp: false },
};
