/**
 * dots3note: latent attention with a gate for each head; of the keys an indexer chooses some, or a
 * window does, in layers with latents of their own; experts as in DeepSeek 3.
 */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "dots3note"`. */
export const dots3note: Family = {
  ...COMMON,
  architecture: "dots3note",
  positions: "norm",
  hasLatentAttention: true,
  latentStretch: "turned",
  normalizesTurnedPart: true,
  indexer: { pairs: "neox", mayShare: false },
  attentionGates: "apart",
  layersDiffer: true,
  windows: {
    period: 0,
    globalLayer: "last",
    defaultLength: 0,
    localRopeBase: null,
    scalesLocalRope: true,
    globalIsUnrotated: false,
  },
  experts: {
    isRequired: true,
    gating: "sigmoid",
    normalizesWeights: false,
    routerInput: "feedForward",
    sharedExpert: "plain",
  },
};
