/** Spark X2.5: GELU, a gate for each head, windows where the file says. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "spark2_5"`. */
export const spark25: Family = {
  ...COMMON,
  architecture: "spark2_5",
  positions: "neox",
  attentionGates: "apart",
  feedForward: { activation: "gelu", isGated: true, activatesUp: false },
  layersDiffer: true,
  windows: {
    period: 0,
    globalLayer: "last",
    defaultLength: 0,
    localRopeBase: null,
    scalesLocalRope: true,
    globalIsUnrotated: false,
    haveOwnRotation: true,
  },
};
