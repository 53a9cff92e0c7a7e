/** DBRX: layer norms without biases, cut off queries, keys and values, experts. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "dbrx"`. */
export const dbrx: Family = {
  ...COMMON,
  architecture: "dbrx",
  positions: "neox",
  norm: "layer",
  normBiases: "none",
  feedForwardNorm: "attn_output_norm",
  mayClampProjections: true,
  experts: {
    isRequired: false,
    gating: "softmax",
    normalizesWeights: true,
    routerInput: "feedForward",
    sharedExpert: "none",
  },
};
