/** Command R7B and A: three windowed layers to one that knows no positions. */
import type { Family } from "../family.ts";
import { commandR } from "./command_r.ts";

/** The family `general.architecture = "cohere2"`. */
export const cohere2: Family = {
  ...commandR,
  architecture: "cohere2",
  headNorms: "none",
  windows: {
    period: 4,
    globalLayer: "last",
    defaultLength: 0,
    localRopeBase: null,
    scalesLocalRope: true,
    globalIsUnrotated: true,
  },
};
