/** EXAONE 4: norms behind the blocks only; in the 32B three windowed layers to one unrotated. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "exaone4"`. */
export const exaone4: Family = {
  ...COMMON,
  architecture: "exaone4",
  positions: "neox",
  hasPreNorms: false,
  hasPostNorms: true,
  headNorms: "shared",
  windows: {
    period: 4,
    globalLayer: "last",
    defaultLength: 0,
    localRopeBase: null,
    scalesLocalRope: true,
    globalIsUnrotated: true,
  },
};
