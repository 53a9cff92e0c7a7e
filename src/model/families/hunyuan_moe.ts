/** Hunyuan with experts, one of which everybody uses. */
import type { Family } from "../family.ts";
import { hunyuanDense } from "./hunyuan_dense.ts";

/** The family `general.architecture = "hunyuan-moe"`. */
export const hunyuanMoe: Family = {
  ...hunyuanDense,
  architecture: "hunyuan-moe",
  experts: {
    isRequired: true,
    gating: "softmax",
    normalizesWeights: true,
    routerInput: "feedForward",
    sharedExpert: "plain",
  },
};
