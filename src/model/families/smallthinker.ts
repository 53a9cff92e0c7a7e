/** SmallThinker: ReLU experts, chosen by the residual stream before attention has run. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "smallthinker"`; without a window all layers are rotated. */
export const smallthinker: Family = {
  ...COMMON,
  architecture: "smallthinker",
  positions: "neox",
  feedForward: { activation: "relu", isGated: true, activatesUp: false },
  windows: {
    period: 4,
    globalLayer: "first",
    defaultLength: 0,
    localRopeBase: null,
    scalesLocalRope: true,
    globalIsUnrotated: true,
  },
  experts: {
    isRequired: true,
    gating: "sigmoid",
    normalizesWeights: true,
    routerInput: "layerInput",
    sharedExpert: "none",
  },
};
