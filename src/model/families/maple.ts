/** Maple: layers that see everything know no positions, and gates of experts have a limit. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "maple"`. */
export const maple: Family = {
  ...COMMON,
  architecture: "maple",
  positions: "neox",
  headNorms: "shared",
  swigluLimits: "gates",
  windows: {
    period: 0,
    globalLayer: "last",
    defaultLength: 0,
    localRopeBase: null,
    scalesLocalRope: true,
    globalIsUnrotated: true,
    haveOwnRotation: true,
  },
  experts: {
    isRequired: true,
    gating: "softmax",
    normalizesWeights: true,
    routerInput: "feedForward",
    sharedExpert: "none",
  },
};
