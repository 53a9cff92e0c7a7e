/** dots.llm1: normalised heads, sigmoid gates with a bias of the choice. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "dots1"`. */
export const dots1: Family = {
  ...COMMON,
  architecture: "dots1",
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
