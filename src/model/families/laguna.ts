/** Poolside's Laguna: heads gated by softplus, more of them in windowed layers, a mixture. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "laguna"`: XS, S and M. */
export const laguna: Family = {
  ...COMMON,
  architecture: "laguna",
  positions: "neox",
  headNorms: "shared",
  attentionGates: "apart",
  gateActivation: "softplus",
  layersDiffer: true,
  windows: {
    period: 4,
    globalLayer: "first",
    defaultLength: 0,
    localRopeBase: null,
    scalesLocalRope: false,
    globalIsUnrotated: false,
    haveOwnRotation: true,
  },
  experts: {
    isRequired: true,
    gating: "sigmoid",
    normalizesWeights: false,
    routerInput: "feedForward",
    sharedExpert: "plain",
  },
};
