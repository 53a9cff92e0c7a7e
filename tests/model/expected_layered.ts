/** As expected_families.ts, of families whose layers differ. Data only. */
import type { LAYERED_FAMILIES } from "../support/tiny_layered_families.ts";
import { type Differences, experts, GEMMA } from "./expected_parts.ts";

const GEMMA4: Differences = {
  ...GEMMA,
  headDim: 32,
  attentionScale: 1,
  logitSoftCap: 3,
  ropes: [["neox", 32, 1e6, 1], ["neox", 16, 10000, 1]],
};

/** By family. Behind a window and rope: heads' width x key/value heads, neurons, keys, cutoffs. */
export const EXPECTED_LAYERED: Readonly<Record<keyof typeof LAYERED_FAMILIES, Differences>> = {
  "gemma4": {
    ...GEMMA4,
    blockCount: 6,
    feedForwardLength: 192,
    layerInputLength: 32,
    layers: "8:1(16x4/2,96) 8:1(16x4/2,96) 0:0(32x4/2,96) " +
      "8:1(16x4/2,192)=1 8:1(16x4/2,192)=1 0:0(32x4/2,192)=2",
  },
  "gemma3n": {
    ...GEMMA4,
    blockCount: 6,
    ropes: [["neox", 32, 1e6, 1], ["neox", 32, 10000, 1]],
    layerInputLength: 32,
    altUp: { streamCount: 4 },
    layers: "8:1(32x4/2,96)>1 8:1(32x4/2,96)>0 0:0(32x4/2,96) " +
      "8:1(32x4/2,96)=1>0.5 8:1(32x4/2,96)=1 0:0(32x4/2,96)=2",
  },
  "gemma4-moe": {
    ...GEMMA4,
    ...experts({ count: 6, sharedFeedForwardLength: 96 }),
    blockCount: 4,
    layers: "8:1(16x4/2,0) 8:1(16x4/2,0) 0:0(32x4/1,0) 8:1(16x4/2,0)",
  },
};
