/** As expected_families.ts, of wider families. Data only. */
import type { WIDER_FAMILIES } from "../support/tiny_wider_families.ts";
import {
  type Differences,
  experts,
  latent,
  leading,
  NEOX,
  UNGATED,
  WIDE_NEOX,
} from "./expected_parts.ts";

/** By family. */
export const EXPECTED_WIDER: Readonly<Record<keyof typeof WIDER_FAMILIES, Differences>> = {
  "bailingmoe2": {
    ...NEOX,
    ...leading({ gating: "sigmoid", count: 12, groups: { count: 4, usedCount: 2 } }),
  },
  "deepseek2-ocr": { ...NEOX, ...leading({ normalizesWeights: false }), headCountKv: 4 },
  "hunyuan_vl": {
    ...WIDE_NEOX,
    normalizesTurnedHeads: true,
    ropes: [["neox", 24, 10000 * 50 ** (24 / 22), 1]],
  },
  "granite_swa": {
    ...experts({ sharedFeedForwardLength: 64 }),
    blockCount: 3,
    residualScale: Math.fround(0.4),
    attentionScale: Math.fround(0.4),
    logitScale: 1 / Math.fround(1.6),
    layers: "8:0 0:- 8:0",
  },
  "plamo3": {
    ...WIDE_NEOX,
    blockCount: 9,
    layers: "8:1 8:1 8:1 8:1 8:1 8:1 8:1 0:0 8:1",
    ropes: [["neox", 24, 1e6, 1], ["neox", 24, 10000, 1]],
  },
  "minicpm3": {
    ...latent(48),
    blockCount: 3,
    ropes: [["neox", 8, 10000, 1]],
    embeddingScale: 12,
    tiedEmbeddings: true,
    residualScale: 1.4 / Math.sqrt(3),
    logitScale: 4,
  },
  "plm": {
    ...latent(0),
    ropes: [["norm", 8, 10000, 1]],
    tiedEmbeddings: true,
    feedForward: { activation: "relu2", ...UNGATED },
  },
  "phimoe": { ...NEOX, ...experts({}) },
  "grok": {
    ...experts({
      weightScale: Math.SQRT1_2,
      sharedWeight: Math.SQRT1_2,
      sharedFeedForwardLength: 96,
    }),
    feedForward: { activation: "gelu", isGated: true, activatesUp: false, firingThreshold: 0 },
    ropes: [["neox", 16, 10000, 8]],
    attentionSoftCap: 1.5,
    logitSoftCap: 3,
    attentionScale: Math.fround(0.3),
    embeddingScale: 8,
    logitScale: 0.5773502691896257,
  },
};
