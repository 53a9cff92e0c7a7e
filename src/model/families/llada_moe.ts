/** LLaDA-MoE: it fills in masks by experts whose weights are as they are; heads are normalised. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "llada-moe"`. */
export const lladaMoe: Family = {
  ...COMMON,
  architecture: "llada-moe",
  positions: "neox",
  fills: true,
  headNorms: "shared",
  experts: {
    isRequired: true,
    gating: "softmax",
    normalizesWeights: false,
    routerInput: "feedForward",
    sharedExpert: "none",
  },
};
