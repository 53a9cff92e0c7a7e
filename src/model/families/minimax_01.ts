/**
 * MiniMax 01: of eight layers seven keep states that fade by a rate of head and layer, one attends,
 * which turns half of its dimensions; each block is added to the norm that it reads. Experts.
 */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "minimax-01"`. */
export const minimax01: Family = {
  ...COMMON,
  architecture: "minimax-01",
  positions: "neox",
  embeddingNorm: "weighted",
  hasPreNorms: false,
  hasPostNorms: true,
  normalizesSums: "asRead",
  stateSpace: { kind: "lightning", attention: "instead", neurons: "each" },
  experts: {
    isRequired: true,
    gating: "softmax",
    normalizesWeights: true,
    routerInput: "feedForward",
    sharedExpert: "none",
    saysLengthOfEach: true,
  },
};
