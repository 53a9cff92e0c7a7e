/** As expected_families.ts, of families of a kind of their own. Data only. */
import type { SINGULAR_FAMILIES } from "../support/tiny_singular_families.ts";
import { type Differences, experts, WIDE_NEOX } from "./expected_parts.ts";

const CHAMELEON: Differences = { headNorm: { kind: "layer", epsilon: 1e-5 } };

/** By family. */
export const EXPECTED_SINGULAR: Readonly<Record<keyof typeof SINGULAR_FAMILIES, Differences>> = {
  "arctic": { ...experts({ routerInput: "ownNorm", sharedFeedForwardLength: 64 }) },
  "grovemoe": {
    ...WIDE_NEOX,
    ...experts({
      companions: { groupSize: 2, feedForwardLength: 32, weight: Math.fround(0.6) },
    }),
  },
  "chameleon": CHAMELEON,
  "chameleon-behind": CHAMELEON,
};
