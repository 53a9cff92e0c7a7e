/** Qwen 3.5 with experts, one of which is for everybody. */
import type { Family } from "../family.ts";
import { qwen35 } from "./qwen35.ts";

/** The family `general.architecture = "qwen35moe"`. */
export const qwen35moe: Family = {
  ...qwen35,
  architecture: "qwen35moe",
  experts: {
    isRequired: true,
    gating: "softmax",
    normalizesWeights: true,
    routerInput: "feedForward",
    sharedExpert: "gated",
  },
};
