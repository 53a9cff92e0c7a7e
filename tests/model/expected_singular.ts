/** As expected_families.ts, of families of a kind of their own. Data only. */
import type { SINGULAR_FAMILIES } from "../support/tiny_singular_families.ts";
import { type Differences, experts, latent, leading, NEOX, WIDE_NEOX } from "./expected_parts.ts";

const CHAMELEON: Differences = { headNorm: { kind: "layer", epsilon: 1e-5 } };

const TALKIE: Differences = {
  ...NEOX,
  keptStreams: 1,
  logitScale: Math.fround(0.7),
};

const HY_V4: Differences = {
  ...leading({ gating: "sigmoid" }),
  hyper: {
    ...{ streamCount: 4, rounds: 0, magnitude: Math.fround(1.7) },
    ...{ epsilon: Math.fround(0.01), least: Math.fround(0.01) },
  },
  gatesAttention: true,
  ropes: [["norm", 8, 10000, 1]],
};

const DOTS3: Differences = { ...leading({ gating: "sigmoid" }), gatesAttention: true };

const INDEXER = { headCount: 8, headDim: 64, keyCount: 16, epsilon: 1e-6 };

/** By family. */
export const EXPECTED_SINGULAR: Readonly<Record<keyof typeof SINGULAR_FAMILIES, Differences>> = {
  "arctic": { ...experts({ routerInput: "ownNorm", sharedFeedForwardLength: 64 }) },
  "grovemoe": {
    ...WIDE_NEOX,
    ...experts({
      companions: { groupSize: 2, feedForwardLength: 32, weight: Math.fround(0.6) },
    }),
  },
  "chameleon": { ...CHAMELEON, norm: { kind: "rms", epsilon: Math.fround(0.05) } },
  "chameleon-behind": CHAMELEON,
  "minimax-m3": {
    ...leading({ gating: "sigmoid" }),
    ...{ headDim: 24, attentionScale: 1 / Math.sqrt(24), ropes: [["neox", 16, 10000, 1]] },
    feedForward: {
      ...{ activation: "swiglu7", isGated: true, activatesUp: false, firingThreshold: 0 },
    },
  },
  "cogvlm": { ...NEOX, headCountKv: 4 },
  "nanbeige": { blockCount: 6 },
  "nanbeige-plain": {
    headDim: 24,
    attentionScale: 1 / Math.sqrt(24),
    ropes: [["norm", 24, 10000, 1]],
    blockCount: 4,
  },
  "hrm_text": {
    ...NEOX,
    blockCount: 12,
    embeddingScale: 4,
    gatesAttention: true,
    keptStreams: 2,
  },
  "deepseek32": {
    ...experts({ gating: "sigmoid", sharedFeedForwardLength: 64, weightScale: 1.5 }),
    ...latent(48, 1 + Math.fround(0.1) * Math.log(8)),
    ropes: [["norm", 8, 10000, 8]],
  },
  "glm-dsa": {
    ...experts({ gating: "sigmoid", sharedFeedForwardLength: 64, weightScale: 1.5 }),
    ...latent(48),
    ropes: [["norm", 8, 10000, 1]],
  },
  "deepseek32-chosen": {
    ...experts({ gating: "sigmoid", sharedFeedForwardLength: 64, weightScale: 1.5 }),
    ...latent(48, 1 + Math.fround(0.1) * Math.log(8), 32),
    indexer: { ...INDEXER, pairs: "neox" },
    ropes: [["norm", 32, 10000, 8]],
  },
  "glm-dsa-chosen": {
    ...experts({ gating: "sigmoid", sharedFeedForwardLength: 64, weightScale: 1.5 }),
    ...latent(48, 1, 32),
    indexer: { ...INDEXER, pairs: "norm" },
    blockCount: 4,
    ropes: [["norm", 32, 10000, 1]],
  },
  "deepseek4": {
    ...experts({
      ...{ gating: "rootSoftplus", sharedFeedForwardLength: 32, weightScale: 1.5 },
      ...{ normalizesWeights: true, listedLayers: 1 },
    }),
    ...{ blockCount: 4, headCountKv: 1, headDim: 32, attentionScale: 1 / Math.sqrt(32) },
    compression: {
      ...{ queryLength: 48, turnedDim: 16, groupCount: 2, groupLength: 24 },
      indexer: { headCount: 8, headDim: 64, keyCount: 4 },
    },
    hyper: {
      ...{ streamCount: 4, rounds: 5, epsilon: Math.fround(1e-6), magnitude: 2, least: 0 },
    },
    ropes: [
      ...[["norm", 16, 10000, 1], ["norm", 16, 10000, 1]] as const,
      ...[["norm", 16, 40000, 8], ["norm", 16, 40000, 8]] as const,
    ],
    layers: "8:0<0.31,0.31 8:2<0.47,0.47 8:2 8:2<0.73,0.73",
  },
  "hy_v4": { ...HY_V4, ...latent(48), layers: "0:0<0.39 0:0<0.39 0:0<0.39" },
  "hy_v4-chosen": {
    ...{ ...HY_V4, ...latent(48, 1, 32), blockCount: 4 },
    indexer: { ...INDEXER, pairs: "norm", epsilon: Math.fround(1e-5), start: 32 },
    ropes: [["norm", 32, 10000, 8]],
    layers: "0:0<0.31 0:0<0.47 0:0<0.39 0:0<0.73",
  },
  "dots3note": {
    ...{ ...DOTS3, ...latent(48), blockCount: 4 },
    ropes: [["norm", 8, 10000, 1], ["norm", 8, 500, 1]],
    layers: "8:1(40x2/1,96) 0:0 8:1(40x2/1,96) 0:0",
  },
  "dots3note-chosen": {
    ...{ ...DOTS3, ...latent(48, 1, 32), blockCount: 4 },
    indexer: { ...INDEXER, pairs: "neox" },
    ropes: [["norm", 32, 10000, 8], ["norm", 32, 500, 8]],
    layers: "8:1(64x2/1,96) 0:0 8:1(64x2/1,96) 0:0",
  },
  "talkie": TALKIE,
  "talkie-scaled": TALKIE,
};
