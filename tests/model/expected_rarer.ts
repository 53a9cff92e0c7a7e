/** As expected_families.ts, of rarer families. Data only. */
import type { RARER_FAMILIES } from "../support/tiny_rarer_families.ts";
import {
  type Differences,
  experts,
  latent,
  leading,
  NEOX,
  UNGATED,
  WIDE_NEOX,
} from "./expected_parts.ts";

const LAGUNA: Differences = {
  ...WIDE_NEOX,
  ...leading({ gating: "sigmoid" }),
  blockCount: 5,
  gatesAttention: true,
};

const MIMO2: Differences = {
  ...WIDE_NEOX,
  ...leading({
    gating: "sigmoid",
    ...{ normalizesWeights: true, sharedFeedForwardLength: 0, weightScale: 1 },
  }),
  blockCount: 4,
  headCountKv: 4,
  valueDim: 16,
  valueScale: Math.fround(0.7),
  ropes: [["neox", 16, 500, 1], ["neox", 16, 10000, 1]],
  layers: "0:0(24x4/2,96) 8:1(24x4/4,96) 0:0(24x4/2,96) 8:1(24x4/4,96)",
};

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
  "muse-glimmer": {
    headDim: 24,
    attentionScale: 1 / Math.sqrt(24),
    ropes: [["norm", 24, 10000, 1]],
    norm: { kind: "rms", epsilon: Math.fround(0.05), postEpsilon: 1e-8 },
    blockCount: 5,
    gatesAttention: true,
    logitScale: Math.fround(0.6),
    logitSoftCap: 3,
    layers: "8:0 8:0 8:0 0:- 8:0",
  },
  "laguna": {
    ...LAGUNA,
    ropes: [["neox", 16, 10000, 8], ["neox", 24, 5000, 1]],
    headCount: 6,
    layers: "0:0(24x2/2,96) 8:1(24x6/2,96) 8:1(24x6/2,96) 8:1(24x6/2,96) 0:0(24x2/2,96)",
  },
  "laguna-unwindowed": {
    ...LAGUNA,
    ropes: [["neox", 24, 10000, 8]],
    layers: Array(5).fill("0:0(24x4/2,96)").join(" "),
  },
  "spark2_5": {
    ...WIDE_NEOX,
    feedForward: { activation: "gelu", isGated: true, activatesUp: false, firingThreshold: 0 },
    blockCount: 4,
    gatesAttention: true,
    ropes: [["neox", 24, 10000, 1], ["neox", 16, 5000, 1]],
    layers: "8:1(24x4/2,96) 0:0(24x4/1,96) 8:1(24x2/2,96) 0:0(24x4/2,96)",
  },
  "maple": {
    ...WIDE_NEOX,
    ...experts({}),
    blockCount: 4,
    ropes: [["neox", 16, 10000, 1]],
    layers: "8:0<0.31 8:0<0.31 0:-<0.51 8:0<0.31",
  },
  "step35": {
    ...WIDE_NEOX,
    ...leading({ gating: "sigmoid" }),
    blockCount: 4,
    headCount: 6,
    headCountKv: 3,
    gatesAttention: true,
    ropes: [["neox", 12, 50000, 1], ["neox", 24, 10000, 1]],
    layers: "0:0(24x4/2,96) 8:1(24x6/3,96)<0.5,0.4 8:1(24x6/3,96)<0.6 0:0(24x4/2,96)<0.75",
  },
  "mimo2": MIMO2,
  "mimo2-fused": MIMO2,
  "mistral4": {
    ...latent(48, 1 + Math.fround(0.1) * Math.log(8)),
    ...leading({ normalizesWeights: true }),
    queryTemperature: { scale: Math.fround(0.4), length: 8, first: 0 },
    ropes: [["norm", 8, 10000, 8]],
  },
  "apertus": {
    ...WIDE_NEOX,
    feedForward: { activation: "xielu", ...UNGATED },
  },
  "openelm": {
    ...WIDE_NEOX,
    blockCount: 3,
    headCount: 6,
    headCountKv: 3,
    feedForwardLength: 160,
    tiedEmbeddings: true,
    layers: "0:0(24x2/1,64) 0:0(24x3/1,96) 0:0(24x6/3,160)",
  },
  "deci": {
    blockCount: 6,
    headCount: 6,
    headDim: 24,
    feedForwardLength: 192,
    attentionScale: 1 / Math.sqrt(24),
    ropes: [["norm", 24, 10000, 1]],
    layers: "0:0(24x4/2,96) n(24x0/0,64) 0:0(24x4/1,192) " +
      "n-(24x0/0,0) n(24x0/0,160) 0:0(24x6/2,96)",
  },
  "bitnet-b1.58": {
    ...NEOX,
    feedForward: { activation: "relu2", isGated: true, activatesUp: false, firingThreshold: 0 },
  },
};
