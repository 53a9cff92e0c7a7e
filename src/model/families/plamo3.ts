/** PLaMo 3: norms before and behind both blocks, a window in seven of eight layers. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "plamo3"`. */
export const plamo3: Family = {
  ...COMMON,
  architecture: "plamo3",
  positions: "neox",
  hasPostNorms: true,
  headNorms: "shared",
  fusesGateAndUp: true,
  windows: {
    period: 8,
    globalLayer: "last",
    defaultLength: 0,
    localRopeBase: 10000,
    scalesLocalRope: false,
    globalIsUnrotated: false,
  },
};
