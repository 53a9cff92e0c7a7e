/** As expected_families.ts, of rarer families. Data only. */
import type { RARER_FAMILIES } from "../support/tiny_rarer_families.ts";
import { type Differences, NEOX } from "./expected_parts.ts";

/** By family. */
export const EXPECTED_RARER: Readonly<Record<keyof typeof RARER_FAMILIES, Differences>> = {
  "bitnet": { ...NEOX, tiedEmbeddings: true },
  "bitnet-b1.58": {
    ...NEOX,
    feedForward: { activation: "relu2", isGated: true, activatesUp: false, firingThreshold: 0 },
  },
};
