/** Hunyuan 3: normalised heads, sigmoid gates with a bias of the choice, a shared expert. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "hy_v3"`. */
export const hyV3: Family = {
  ...COMMON,
  architecture: "hy_v3",
  guessing: "normedRows",
  positions: "neox",
  headNorms: "shared",
  experts: {
    isRequired: true,
    gating: "sigmoid",
    normalizesWeights: false,
    routerInput: "feedForward",
    sharedExpert: "plain",
  },
};
