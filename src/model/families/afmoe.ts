/** Arcee's Trinity: gated heads, norms before and behind blocks, layers in turns, a mixture. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "afmoe"`. */
export const afmoe: Family = {
  ...COMMON,
  architecture: "afmoe",
  positions: "neox",
  hasPostNorms: true,
  headNorms: "shared",
  attentionGates: "apart",
  windows: {
    period: 4,
    globalLayer: "last",
    defaultLength: 0,
    localRopeBase: null,
    scalesLocalRope: true,
    globalIsUnrotated: false,
  },
  // One of four is not turned, whichever the file says see everything.
  unrotatedPeriod: 4,
  scales: ({ embeddingLength }) => ({ embedding: Math.sqrt(embeddingLength) }),
  experts: {
    isRequired: true,
    gating: "sigmoid",
    normalizesWeights: false,
    routerInput: "feedForward",
    sharedExpert: "plain",
  },
};
