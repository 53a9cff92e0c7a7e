/** Step 3.5 Flash: a gate for each head, of which windowed layers have more; limits of SwiGLU. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "step35"`. */
export const step35: Family = {
  ...COMMON,
  architecture: "step35",
  guessing: "plainRows",
  positions: "neox",
  headNorms: "sharedIfThere",
  attentionGates: "apart",
  layersDiffer: true,
  swigluLimits: "activated",
  windows: {
    period: 0,
    globalLayer: "last",
    defaultLength: 0,
    localRopeBase: 10000,
    scalesLocalRope: false,
    globalIsUnrotated: false,
    globalTurnsHalf: true,
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
