/** OLMoE: norms over whole queries and keys, experts whose weights are as they are. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "olmoe"`; `feed_forward_length` is an expert's. */
export const olmoe: Family = {
  ...COMMON,
  architecture: "olmoe",
  positions: "neox",
  headNorms: "projection",
  experts: {
    isRequired: false,
    gating: "softmax",
    normalizesWeights: false,
    routerInput: "feedForward",
    sharedExpert: "none",
  },
};
