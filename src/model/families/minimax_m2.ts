/** MiniMax M2: norms over whole queries and keys, sigmoid gates with a bias of the choice. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "minimax-m2"`. */
export const minimaxM2: Family = {
  ...COMMON,
  architecture: "minimax-m2",
  positions: "neox",
  headNorms: "projection",
  experts: {
    isRequired: true,
    gating: "sigmoid",
    normalizesWeights: true,
    routerInput: "feedForward",
    sharedExpert: "none",
  },
};
