/** DeepSeek 1 with experts: the first layers are dense, some experts are everybody's. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "deepseek"`. */
export const deepseek: Family = {
  ...COMMON,
  architecture: "deepseek",
  positions: "norm",
  experts: {
    isRequired: true,
    gating: "softmax",
    normalizesWeights: false,
    routerInput: "feedForward",
    sharedExpert: "plain",
  },
};
