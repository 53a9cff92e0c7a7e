/** Chameleon (text): heads are normalised with biases, tokens of images are never said. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "chameleon"`: 7B, and 30B, whose norms are behind blocks. */
export const chameleon: Family = {
  ...COMMON,
  architecture: "chameleon",
  positions: "norm",
  headNorms: "perHead",
  headNorm: { kind: "layer", epsilon: 1e-5 },
  silencedTokens: { start: 4, end: 8196 },
  variant: {
    key: "swin_norm",
    choices: {
      hasPreNorms: false,
      hasPostNorms: true,
      postNormNames: ["attn_norm", "ffn_norm"],
    },
  },
};
