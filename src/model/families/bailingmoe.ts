/** Ling and Bailing with experts: Llama's attention, experts that everybody uses. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "bailingmoe"`. */
export const bailingmoe: Family = {
  ...COMMON,
  architecture: "bailingmoe",
  positions: "norm",
  experts: {
    isRequired: true,
    gating: "softmax",
    normalizesWeights: false,
    routerInput: "feedForward",
    sharedExpert: "plain",
  },
};
