/**
 * Ling 3: of several layers most keep states that are corrected key by key, as Kimi Linear's do,
 * with decays that have a floor; the others attend by latents, a gate for each head.
 */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "bailingmoe3"`. */
export const bailingmoe3: Family = {
  ...COMMON,
  architecture: "bailingmoe3",
  guessing: "normedRows",
  positions: "norm",
  hasLatentAttention: true,
  attentionGates: "apart",
  swigluLimits: "activated",
  stateSpace: {
    ...{ kind: "keyDeltas", attention: "instead", neurons: "each" },
    wholeMatrices: { steps: "ssm_f_a", gate: "ssm_g_a" },
    decayFloor: "always",
  },
  experts: {
    isRequired: true,
    gating: "sigmoid",
    normalizesWeights: false,
    routerInput: "feedForward",
    sharedExpert: "plain",
  },
};
