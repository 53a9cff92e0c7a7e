/** As expected_families.ts, of wider families. Data only. */
import type { WIDER_FAMILIES } from "../support/tiny_wider_families.ts";
import {
  type Differences,
  experts,
  latent,
  LAYER_NORM,
  leading,
  NEOX,
  UNGATED,
  WIDE_NEOX,
} from "./expected_parts.ts";

/** Heads are not turned. */
const SLOPED: Differences = { ropes: [], layers: "0:- 0:-" };

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
    scalesGiven: true,
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
  "bloom": {
    ...LAYER_NORM,
    ...SLOPED,
    headCountKv: 4,
    feedForward: { activation: "gelu", ...UNGATED },
    alibiMaxBias: 8,
    tiedEmbeddings: true,
  },
  "mpt": {
    ...LAYER_NORM,
    ...SLOPED,
    feedForward: { activation: "gelu", ...UNGATED },
    alibiMaxBias: 4,
    projectionClamp: Math.fround(0.7),
    tiedEmbeddings: true,
  },
  "refact": { ...SLOPED, headCountKv: 1, alibiMaxBias: 8 },
  "jais": {
    ...LAYER_NORM,
    ...SLOPED,
    headCountKv: 4,
    attentionScale: 1 / 16,
    alibiMaxBias: 8,
  },
  "olmo": { ...LAYER_NORM, projectionClamp: Math.fround(0.7) },
  "dbrx": { ...NEOX, ...LAYER_NORM, ...experts({}), projectionClamp: Math.fround(0.7) },
  "llama4": {
    ...experts({
      usedCount: 2,
      gating: "sigmoid",
      normalizesWeights: false,
      sharedFeedForwardLength: 32,
      weighsInputs: true,
    }),
    blockCount: 5,
    normalizesTurnedHeads: true,
    layers: "8192c:0 8192c:0 8192c:0 0:-/1 8192c:0",
    ropes: [["norm", 16, 10000, 1], ["norm", 16, 10000, Infinity]],
  },
  "llama4-chunked": {
    ...experts({
      usedCount: 1,
      gating: "sigmoid",
      normalizesWeights: false,
      sharedFeedForwardLength: 32,
      leadingDenseCount: 1,
      period: 2,
      weighsInputs: true,
    }),
    feedForwardLength: 96,
    blockCount: 4,
    normalizesTurnedHeads: true,
    layers: "8c:0 8c:0 8c:0 0:-/1",
    ropes: [["norm", 16, 10000, 1], ["norm", 16, 10000, Infinity]],
  },
};
