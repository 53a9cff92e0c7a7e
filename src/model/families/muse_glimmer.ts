/** Muse Glimmer: Trinity without experts, whose layers that see everything know no positions. */
import type { Family } from "../family.ts";
import { afmoe } from "./afmoe.ts";

/** The family `general.architecture = "muse-glimmer"`; of pictures nothing is read. */
export const museGlimmer: Family = {
  ...afmoe,
  architecture: "muse-glimmer",
  positions: "norm",
  embeddingNorm: "plain",
  postNormEpsilon: 1e-8,
  windows: {
    period: 4,
    globalLayer: "last",
    defaultLength: 0,
    localRopeBase: null,
    scalesLocalRope: true,
    globalIsUnrotated: true,
  },
  unrotatedPeriod: 0,
  scales: () => ({}),
  logitScale: "multiplies",
  logitSoftCap: 0,
  experts: null,
};
