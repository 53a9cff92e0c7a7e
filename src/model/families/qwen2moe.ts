/** Qwen 1.5 and 2 with experts: their weights as they are, and a gated expert for everybody. */
import type { Family } from "../family.ts";
import { qwen2 } from "./qwen2.ts";

/** The family `general.architecture = "qwen2moe"`. */
export const qwen2moe: Family = {
  ...qwen2,
  architecture: "qwen2moe",
  experts: {
    isRequired: true,
    gating: "softmax",
    normalizesWeights: false,
    routerInput: "feedForward",
    sharedExpert: "gated",
  },
};
