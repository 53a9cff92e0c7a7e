/** GLM 4.5 and 4.6: partly rotated heads, in some sizes normalised; sigmoid gates. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "glm4moe"`. */
export const glm4moe: Family = {
  ...COMMON,
  architecture: "glm4moe",
  guessing: "normedRows",
  sections: "inTurn",
  positions: "neox",
  feedForwardNorm: "post_attention_norm",
  headNorms: "sharedIfThere",
  experts: {
    isRequired: true,
    gating: "sigmoid",
    normalizesWeights: false,
    routerInput: "feedForward",
    sharedExpert: "plain",
  },
};
