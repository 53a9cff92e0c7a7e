/** OLMo 2 and 3: norms behind the blocks only, and over whole queries and keys. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "olmo2"`; OLMo 3 has windows in three layers of four. */
export const olmo2: Family = {
  ...COMMON,
  architecture: "olmo2",
  positions: "neox",
  hasPreNorms: false,
  hasPostNorms: true,
  headNorms: "projection",
  windows: {
    period: 4,
    globalLayer: "last",
    defaultLength: 0,
    localRopeBase: null,
    scalesLocalRope: false,
    globalIsUnrotated: false,
  },
};
