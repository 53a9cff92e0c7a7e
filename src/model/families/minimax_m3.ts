/**
 * MiniMax M3: gpt-oss's neurons, the first layers dense, an expert that all tokens use, blocks of
 * keys that heads choose.
 */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "minimax-m3"`. */
export const minimaxM3: Family = {
  ...COMMON,
  architecture: "minimax-m3",
  positions: "neox",
  headNorms: "shared",
  indexer: { pairs: "neox", mayShare: false, ofBlocks: true },
  unused: ["q_proj", "k_proj", "q_norm", "k_norm"].map((name) => `indexer.${name}`),
  feedForward: { activation: "swiglu7", isGated: true, activatesUp: false },
  experts: {
    isRequired: true,
    gating: "sigmoid",
    normalizesWeights: true,
    routerInput: "feedForward",
    sharedExpert: "plain",
  },
};
