/** As expected_families.ts, of rarer families. Data only. */
import type { RARER_FAMILIES } from "../support/tiny_rarer_families.ts";
import { type Differences, leading, NEOX, WIDE_NEOX } from "./expected_parts.ts";

/** By family. */
export const EXPECTED_RARER: Readonly<Record<keyof typeof RARER_FAMILIES, Differences>> = {
  "afmoe": {
    ...WIDE_NEOX,
    ...leading({ gating: "sigmoid" }),
    blockCount: 5,
    embeddingScale: 8,
    gatesAttention: true,
    layers: "8:0 8:0 8:0 0:- 8:0",
  },
  "bitnet": { ...NEOX, tiedEmbeddings: true },
  "bitnet-b1.58": {
    ...NEOX,
    feedForward: { activation: "relu2", isGated: true, activatesUp: false, firingThreshold: 0 },
  },
};
