/** Llama 1 to 3, Mistral, Mixtral, and all that their converters call "llama". */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "llama"`. */
export const llama: Family = {
  ...COMMON,
  architecture: "llama",
  positions: "norm",
  windows: "all",
  experts: {
    isRequired: false,
    gating: "softmax",
    normalizesWeights: true,
    routerInput: "feedForward",
    sharedExpert: "none",
  },
};
