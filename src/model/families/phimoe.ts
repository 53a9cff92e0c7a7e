/** Phi 3.5 MoE: norms, queries, keys, values and output have biases; long rope. */
import { COMMON, type Family, QKV } from "../family.ts";

/** The family `general.architecture = "phimoe"`. */
export const phimoe: Family = {
  ...COMMON,
  architecture: "phimoe",
  positions: "neox",
  normBiases: "all",
  requiredBiases: [...QKV, "attn_output", "output"],
  experts: {
    isRequired: true,
    gating: "softmax",
    normalizesWeights: true,
    routerInput: "feedForward",
    sharedExpert: "none",
  },
};
