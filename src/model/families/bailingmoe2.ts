/** Ling 2 and Ring 2: normalised heads, groups of experts, one or more that everybody uses. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "bailingmoe2"`. */
export const bailingmoe2: Family = {
  ...COMMON,
  architecture: "bailingmoe2",
  positions: "neox",
  headNorms: "shared",
  experts: {
    isRequired: true,
    gating: "sigmoid",
    normalizesWeights: false,
    routerInput: "feedForward",
    sharedExpert: "plain",
    sharedLength: "ofEach",
  },
};
