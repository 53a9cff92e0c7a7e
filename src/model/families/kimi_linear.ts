/**
 * Kimi Linear: of four layers three keep states that are corrected key by key, one attends by
 * latents and knows no positions; experts as in DeepSeek 3.
 */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "kimi-linear"`. */
export const kimiLinear: Family = {
  ...COMMON,
  architecture: "kimi-linear",
  positions: "none",
  hasLatentAttention: true,
  stateSpace: { kind: "keyDeltas", attention: "instead", neurons: "each" },
  experts: {
    isRequired: true,
    gating: "sigmoid",
    normalizesWeights: true,
    routerInput: "feedForward",
    sharedExpert: "plain",
  },
};
