/** K-EXAONE: three windowed layers to one that knows no positions, sigmoid gates. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "exaone-moe"`. */
export const exaoneMoe: Family = {
  ...COMMON,
  architecture: "exaone-moe",
  positions: "neox",
  headNorms: "shared",
  windows: {
    period: 4,
    globalLayer: "last",
    defaultLength: 128,
    localRopeBase: null,
    scalesLocalRope: true,
    globalIsUnrotated: true,
  },
  experts: {
    isRequired: true,
    gating: "sigmoid",
    normalizesWeights: false,
    routerInput: "feedForward",
    sharedExpert: "plain",
  },
};
