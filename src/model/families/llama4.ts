/** Llama 4: three layers of chunks to one that knows no positions, experts that read by weight. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "llama4"`. */
export const llama4: Family = {
  ...COMMON,
  architecture: "llama4",
  positions: "norm",
  headNorms: "ofTurned",
  normalizesTurnedHeads: true,
  windows: {
    period: 4,
    globalLayer: "last",
    defaultLength: 8192,
    localRopeBase: null,
    scalesLocalRope: true,
    globalIsUnrotated: true,
    areChunks: true,
    temperature: { scale: 0.1, length: 8192, first: 1 },
  },
  experts: {
    isRequired: true,
    gating: "sigmoid",
    normalizesWeights: false,
    routerInput: "feedForward",
    sharedExpert: "plain",
    sharedLength: "asOthers",
    mayAlternate: true,
    weighsInputs: true,
  },
};
