/** Qwen 3 with experts, whose weights are made to sum to 1; no expert is shared. */
import type { Family } from "../family.ts";
import { qwen3 } from "./qwen3.ts";

/** The family `general.architecture = "qwen3moe"`. */
export const qwen3moe: Family = {
  ...qwen3,
  architecture: "qwen3moe",
  experts: {
    isRequired: true,
    gating: "softmax",
    normalizesWeights: true,
    routerInput: "feedForward",
    sharedExpert: "none",
  },
};
