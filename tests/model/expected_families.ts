/** How the config of each tiny family differs from a llama's of the same shape. Data only. */
import { KEY_DELTA_FAMILIES } from "./expected_key_deltas.ts";
import type { TinyFamilyName } from "../support/tiny_families.ts";
import {
  COHERE,
  type Differences,
  experts,
  GEMMA,
  latent,
  LAYER_NORM,
  leading,
  NEOX,
  PARALLEL_PLAIN,
  UNGATED,
  WIDE_NEOX,
} from "./expected_parts.ts";
import { EXPECTED_LAYERED } from "./expected_layered.ts";
import { EXPECTED_RARER } from "./expected_rarer.ts";
import { EXPECTED_SINGULAR } from "./expected_singular.ts";
import { EXPECTED_WIDER } from "./expected_wider.ts";
import {
  ADDED,
  CHANNELS,
  DELTAS,
  EXPECTED_STATES,
  HEADS,
  KEYED,
  QWEN35,
  QWEN4,
} from "./expected_states.ts";

/** All layers have states and neurons, and none attends. */
const RECURRENT: Differences = {
  ...{ headCount: 0, headCountKv: 0, headDim: 0, embeddingLength: 128 },
  attentionScale: 1,
  ropes: [],
  layers: "s s",
};
const RWKV6: Differences = {
  ...RECURRENT,
  norm: { kind: "layer", epsilon: Math.fround(1e-5) },
  feedForward: { activation: "relu2", ...UNGATED },
  stateSpace: ADDED,
};
/** Rows of images are scaled as embeddings are. */
const GRANITE: Differences = {
  tiedEmbeddings: true,
  embeddingScale: 6,
  residualScale: Math.fround(0.4),
  attentionScale: Math.fround(0.4),
  logitScale: 1 / Math.fround(1.6),
  scalesGiven: true,
};
const GRANITE_HYBRID: Differences = {
  ...GRANITE,
  blockCount: 4,
  stateSpace: { ...HEADS, stateLength: 32, headCount: 4, groupCount: 1 },
};
const NEMOTRON_H: Differences = {
  blockCount: 5,
  headDim: 24,
  attentionScale: 1 / Math.sqrt(24),
  feedForward: { activation: "relu2", ...UNGATED },
  ropes: [],
  stateSpace: HEADS,
  layers: "s- n 0:-- s- n",
};

const PUZZLE_LAYERS = [
  ...["s-(24x6/3,0;4x64)", "n(24x6/3,0;3x32)", "0:--(24x4/2,0;4x64)", "s-(24x6/3,0;4x64)"],
  ...["n(24x6/3,0;1x64)", "0:--(24x6/3,0;4x64)", "n(24x6/3,0;4x48)"],
].join(" ");

/** By family. */
export const EXPECTED: Readonly<Record<TinyFamilyName, Differences>> = {
  "llama": {},
  "llama-biased": {},
  "llama-moe": experts({ count: 4, usedCount: 2, feedForwardLength: 64 }),
  "llama-moe-old": experts({ count: 4, usedCount: 2, feedForwardLength: 64 }),
  "relu-llama": {
    feedForward: { activation: "relu", isGated: true, activatesUp: false, firingThreshold: 0 },
  },
  "drelu-moe": {
    ...experts({ count: 4, usedCount: 2, feedForwardLength: 64 }),
    feedForward: { activation: "relu", isGated: true, activatesUp: true, firingThreshold: 0 },
  },
  "bamboo": {
    feedForward: { activation: "relu", isGated: true, activatesUp: true, firingThreshold: 0 },
  },
  "qwen2": NEOX,
  "qwen2moe": { ...NEOX, ...experts({ normalizesWeights: false, sharedFeedForwardLength: 64 }) },
  "qwen3": WIDE_NEOX,
  "qwen3moe": { ...WIDE_NEOX, ...experts({}) },
  "gpt-oss": {
    ...WIDE_NEOX,
    ...experts({ count: 6, gating: "softmaxOfChosen", normalizesWeights: false }),
    feedForward: { activation: "swiglu7", isGated: true, activatesUp: false, firingThreshold: 0 },
    blockCount: 3,
    layers: "8:0 0:0 8:0",
    ropes: [["neox", 24, 150000, 8]],
  },
  "gemma": GEMMA,
  "gemma2": {
    ...GEMMA,
    blockCount: 3,
    attentionSoftCap: 1.5,
    logitSoftCap: 3,
    layers: "8:0 0:0 8:0",
  },
  "gemma3": {
    ...GEMMA,
    blockCount: 7,
    layers: "8:1 8:1 8:1 8:1 8:1 0:0 8:1",
    ropes: [["neox", 24, 1e6, 8], ["neox", 24, 10000, 1]],
  },
  "phi3": { ...NEOX, contextLength: 1024 },
  "minicpm": {
    embeddingScale: 3,
    residualScale: Math.fround(0.6),
    logitScale: 1 / Math.fround(0.7),
  },
  "granite": GRANITE,
  "granite-unrotated": {
    scalesGiven: true,
    logitScale: 1 / Math.fround(0.8),
    ropes: [],
    layers: "0:- 0:-",
  },
  "olmo2": NEOX,
  "olmo2-windowed": {
    blockCount: 5,
    layers: "8:1 8:1 8:1 0:0 8:1",
    ropes: [["neox", 16, 10000, 8], ["neox", 16, 10000, 1]],
  },
  "smollm3": { blockCount: 5, tiedEmbeddings: true, layers: "0:0 0:0 0:0 0:- 0:0" },
  "stablelm": { ...LAYER_NORM, ropes: [["neox", 4, 10000, 1]] },
  "stablelm-parallel": {
    ...LAYER_NORM,
    hasParallelBlocks: true,
    ropes: [["neox", 4, 10000, 1]],
  },
  "chatglm": { ropes: [["norm", 8, 10000, 1]] },
  "starcoder2": {
    ...NEOX,
    ...LAYER_NORM,
    feedForward: { activation: "gelu", ...UNGATED },
  },
  "gpt2": {
    ...LAYER_NORM,
    feedForward: { activation: "gelu", ...UNGATED },
    tiedEmbeddings: true,
    ropes: [],
    layers: "0:- 0:-",
  },
  "smallthinker": {
    ...WIDE_NEOX,
    ...experts({ count: 6, gating: "sigmoid", routerInput: "layerInput" }),
    feedForward: { activation: "relu", isGated: true, activatesUp: false, firingThreshold: 0 },
    blockCount: 5,
    layers: "0:- 4096:0 4096:0 4096:0 0:-",
  },
  "smallthinker-softmax": {
    ...WIDE_NEOX,
    ...experts({ count: 6, routerInput: "layerInput" }),
    feedForward: { activation: "relu", isGated: true, activatesUp: false, firingThreshold: 0 },
    blockCount: 5,
    layers: "0:- 4096:0 4096:0 4096:0 0:-",
  },
  "arcee": { feedForward: { activation: "relu2", ...UNGATED } },
  "nemotron": {
    ...LAYER_NORM,
    feedForward: { activation: "relu2", ...UNGATED },
    ropes: [["neox", 8, 10000, 1]],
  },
  "mistral3": {
    ropes: [["norm", 16, 10000, 8], ["norm", 16, 10000, 8]],
    layers: "0:0/1 0:0/1",
  },
  "glm4": { ropes: [["norm", 8, 10000, 1]] },
  "glm4-sections": NEOX,
  "ernie4_5": {},
  "hunyuan-dense": { ...WIDE_NEOX, normalizesTurnedHeads: true },
  "exaone": NEOX,
  "exaone4": NEOX,
  "exaone4-windowed": { ...NEOX, blockCount: 5, layers: "8:0 8:0 8:0 0:- 8:0" },
  "seed_oss": WIDE_NEOX,
  "command-r": COHERE,
  "command-r-normed": COHERE,
  "cohere2": { ...COHERE, blockCount: 5, layers: "8:0 8:0 8:0 0:- 8:0" },
  "internlm2": {},
  "phi2": { ...PARALLEL_PLAIN, ropes: [["neox", 8, 10000, 1]] },
  "falcon": { ...PARALLEL_PLAIN, tiedEmbeddings: true },
  "falcon-40b": PARALLEL_PLAIN,
  "gptneox": { ...PARALLEL_PLAIN, ropes: [["neox", 8, 10000, 1]] },
  "gptneox-serial": { ...PARALLEL_PLAIN, hasParallelBlocks: false },
  "baichuan": { blockCount: 3 },
  "qwen": { ...NEOX, headCountKv: 4 },
  "orion": { ...NEOX, ...LAYER_NORM },
  "xverse": {},
  "starcoder": {
    ...LAYER_NORM,
    headCountKv: 1,
    feedForward: { activation: "gelu", ...UNGATED },
    tiedEmbeddings: true,
    ropes: [],
    layers: "0:- 0:-",
  },
  "pangu-embedded": NEOX,
  "qwen2vl": NEOX,
  "qwen3vl": NEOX,
  "qwen3vlmoe": { ...NEOX, ...experts({}) },
  "granitemoe": {
    ...GRANITE,
    ...experts({ sharedFeedForwardLength: 64 }),
  },
  "olmoe": { ...NEOX, ...experts({ normalizesWeights: false }), headCountKv: 4 },
  "hunyuan-moe": {
    ...NEOX,
    ...experts({ sharedFeedForwardLength: 64 }),
    normalizesTurnedHeads: true,
  },
  "deepseek": leading({ normalizesWeights: false }),
  "deepseek2": {
    ...leading({ normalizesWeights: false, leadingDenseCount: 24 }),
    ...latent(0, 1 + Math.fround(0.0707) * Math.log(8)),
    ropes: [["norm", 8, 10000, 8]],
    blockCount: 26,
  },
  "deepseek2-old": {
    ...leading({ normalizesWeights: false }),
    ...latent(48),
    ropes: [["norm", 8, 10000, 1]],
  },
  "deepseek2-grouped": {
    ...leading({ gating: "sigmoid", count: 12, groups: { count: 4, usedCount: 2 } }),
    ...latent(48, 1 + 0.1 * Math.log(8)),
    ropes: [["norm", 8, 10000, 8]],
  },
  "deepseek2-dense": { ...latent(32), ropes: [["norm", 8, 10000, 1]] },
  "dots1": { ...NEOX, ...leading({ gating: "sigmoid" }), headCountKv: 4 },
  "glm4moe": { ...leading({ gating: "sigmoid" }), ropes: [["neox", 8, 10000, 1]] },
  "rwkv7": {
    ...RECURRENT,
    norm: { kind: "layer", epsilon: Math.fround(1e-5) },
    feedForward: { activation: "relu2", ...UNGATED },
    stateSpace: KEYED,
  },
  "rwkv6": RWKV6,
  "rwkv6-old": {
    ...{ ...RWKV6, embeddingLength: 64 },
    stateSpace: {
      ...{ ...ADDED, innerLength: 64, stateLength: 16, headCount: 4, groupCount: 4 },
      timeMix: { ...ADDED.timeMix!, width: 64, moved: { ...ADDED.timeMix!.moved!, keyHeads: 4 } },
    },
  },
  "rwkv6qwen2": {
    ...RECURRENT,
    stateSpace: {
      ...{ ...ADDED, stateLength: 32, headCount: 4, groupCount: 4, stepRank: 40 },
      timeMix: {
        ...{ ...ADDED.timeMix!, shiftsNeurons: false },
        moved: { rank: 8, keyHeads: 2, readsBefore: false },
      },
    },
  },
  "arwkv7": {
    ...RECURRENT,
    stateSpace: { ...KEYED, timeMix: { ...KEYED.timeMix!, shiftsNeurons: false } },
  },
  "arwkv7-ungated": {
    ...{ ...RECURRENT, embeddingLength: 64 },
    stateSpace: {
      ...{ ...KEYED, innerLength: 64, stateLength: 8, headCount: 8, groupCount: 8, stepRank: 16 },
      timeMix: {
        width: 64,
        shiftsNeurons: false,
        ranks: { decay: 8, rate: 16, value: 12, gate: 0 },
      },
    },
  },
  "falcon-h1": {
    ...WIDE_NEOX,
    stateSpace: { ...HEADS, innerLength: 96, stateLength: 32, headCount: 6 },
    layers: "0:0+s 0:0+s",
  },
  "granitehybrid": {
    ...GRANITE_HYBRID,
    ropes: [],
    layers: "s 0:- s s",
  },
  "granitehybrid-moe": {
    ...GRANITE_HYBRID,
    ...experts({ sharedFeedForwardLength: 64 }),
    layers: "s 0:0 s s",
  },
  "nemotron_h": { ...NEMOTRON_H },
  "nemotron_h_moe": {
    ...NEMOTRON_H,
    ...experts({ gating: "sigmoid", sharedFeedForwardLength: 64, weightScale: 2.5 }),
  },
  "nemotron_h_moe-latent": {
    ...NEMOTRON_H,
    ...experts({
      ...{ gating: "sigmoid", sharedFeedForwardLength: 64, weightScale: 2.5, latentLength: 48 },
    }),
  },
  "nemotron_h_moe-puzzle": {
    ...NEMOTRON_H,
    ...{ blockCount: 7, headCount: 6, headCountKv: 3 },
    ...experts({
      ...{ gating: "sigmoid", sharedFeedForwardLength: 64, weightScale: 2.5, latentLength: 32 },
      ...{ usedCount: 4, feedForwardLength: 64 },
    }),
    layers: PUZZLE_LAYERS,
  },
  "qwen35": QWEN35,
  "qwen35moe": { ...QWEN35, ...experts({ sharedFeedForwardLength: 64 }) },
  "qwen4exp": { ...QWEN4, ...experts({ sharedFeedForwardLength: 64 }) },
  "qwen3next": {
    ...QWEN35,
    ...experts({ sharedFeedForwardLength: 64 }),
    stateSpace: { ...DELTAS, headsTakeTurns: false },
  },
  ...KEY_DELTA_FAMILIES,
  "jamba": {
    ...experts({
      ...{ count: 4, usedCount: 2, feedForwardLength: 64, normalizesWeights: false },
      leadingDenseCount: 1,
    }),
    blockCount: 4,
    feedForwardLength: 64,
    ropes: [],
    stateSpace: { ...CHANNELS, stepRank: 8 },
    layers: "s 0:- s s",
  },
  ...EXPECTED_STATES,
  "lfm2": {
    ...NEOX,
    blockCount: 4,
    tiedEmbeddings: true,
    layers: "conv 3 conv 3 0:0 conv 3",
  },
  "lfm2-windowed": { ...NEOX, blockCount: 4, layers: "8:0 conv 4 8:0 conv 4" },
  "lfm2moe": {
    ...NEOX,
    ...experts({ gating: "sigmoid", leadingDenseCount: 1 }),
    feedForwardLength: 96,
    blockCount: 4,
    layers: "conv 3 conv 3 0:0 conv 3",
  },
  "ernie4_5-moe": leading({ weightScale: 1 }),
  "bailingmoe": experts({ normalizesWeights: false, sharedFeedForwardLength: 64 }),
  "minimax-m2": {
    ...WIDE_NEOX,
    ...experts({ gating: "sigmoid" }),
    ropes: [["neox", 8, 10000, 1]],
  },
  "exaone-moe": {
    ...NEOX,
    ...leading({ gating: "sigmoid" }),
    blockCount: 5,
    layers: "8:0 8:0 8:0 0:- 8:0",
  },
  "mellum": {
    ...experts({}),
    blockCount: 5,
    layers: "8:1 8:1 8:1 0:0 8:1",
    ropes: [["neox", 16, 10000, 8], ["neox", 16, 10000, 1]],
  },
  "maincoder": { normalizesTurnedHeads: true },
  "hy_v3": { ...NEOX, ...leading({ gating: "sigmoid" }) },
  "jais2": { ...NEOX, ...LAYER_NORM, feedForward: { activation: "relu2", ...UNGATED } },
  "codeshell": { ...NEOX, ...LAYER_NORM, feedForward: { activation: "gelu", ...UNGATED } },
  "plamo": { ...NEOX, hasParallelBlocks: true },
  "paddleocr": NEOX,
  "cohere2moe": {
    ...leading({
      gating: "sigmoid",
      normalizesWeights: false,
      leadingDenseCount: 2,
      weightScale: 0.75,
      sharedWeight: 0.5,
    }),
    ...COHERE,
    blockCount: 6,
    layers: "0:0 8:0 8:0 8:0 0:- 8:0",
  },
  ...EXPECTED_WIDER,
  ...EXPECTED_LAYERED,
  ...EXPECTED_RARER,
  ...EXPECTED_SINGULAR,
};
