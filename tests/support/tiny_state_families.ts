/** Tiny families whose layers keep state spaces, alone or beside heads and neurons. */
import { bool, f32, list, u32 } from "../../src/gguf/mod.ts";
import type { TinyFamily } from "./tiny_family.ts";

const MAMBA = { inner: 128, state: 16, rank: 32, layers: ["state", "state"] } as const;
const MAMBA2 = { inner: 128, state: 16, rank: 8, groups: 2 } as const;

const GRANITE_HYBRID: TinyFamily = {
  blockCount: 4,
  tied: true,
  embeddingScale: 6,
  stateSpace: {
    ...{ inner: 128, state: 32, rank: 4, groups: 1 },
    layers: ["state", "heads", "state", "state"],
  },
  keys: {
    "embedding_scale": f32(6),
    "residual_scale": f32(0.4),
    "attention.scale": f32(0.4),
    "logit_scale": f32(1.6),
    "rope.scaling.finetuned": bool(false),
  },
};

const NEMOTRON_H = {
  blockCount: 5,
  headDim: 24,
  neurons: "plain",
  stateSpace: {
    ...{ ...MAMBA2, isApart: true },
    layers: ["state", "neurons", "heads", "state", "neurons"],
  },
  keys: { "attention.layer_norm_epsilon": f32(1e-5) },
} as const satisfies TinyFamily;

const NEMOTRON_H_MOE = {
  ...NEMOTRON_H,
  experts: {
    ...{ count: 8, used: 3, length: 32, shared: 64, isPlain: true },
    ...{ hasChoiceBias: true, isUngated: true },
  },
  keys: {
    ...NEMOTRON_H.keys,
    "expert_feed_forward_length": u32(32),
    "expert_shared_feed_forward_length": u32(64),
    "expert_weights_norm": bool(true),
    "expert_weights_scale": f32(2.5),
  },
} as const satisfies TinyFamily;

const QWEN35: TinyFamily = {
  blockCount: 4,
  headDim: 32,
  headNorms: "shared",
  gates: "turns",
  feedForwardNorm: "post_attention_norm",
  stateSpace: {
    ...{ inner: 192, state: 32, rank: 6, groups: 2, deltas: "apart" },
    layers: ["state", "heads", "state", "heads"],
  },
  keys: {
    "rope.dimension_count": u32(16),
    "rope.dimension_sections": list(Int32Array.of(3, 3, 2, 0)),
  },
};

/** llama.cpp's scan takes keys by 32 or 64 at a time, and no others. */
const RWKV7: TinyFamily = {
  embeddingLength: 128,
  layerNorm: true,
  embeddingNorm: true,
  neurons: "plain",
  timeMix: {
    headDim: 64,
    ranks: { decay: 8, rate: 12, value: 20, gate: 24 },
    shiftsNeurons: true,
  },
};

const NO_RANKS = { decay: 0, rate: 0, value: 0, gate: 0 };
const RWKV6: TinyFamily = {
  ...RWKV7,
  timeMix: {
    ...{ headDim: 64, ranks: { ...NO_RANKS, decay: 20 }, shiftsNeurons: true },
    moved: { rank: 12 },
  },
};

/** Groups of four positions, of which tokens attend to two; a token ends what is named before. */
const QWEN4: TinyFamily = {
  ...QWEN35,
  preNorms: false,
  experts: { count: 8, used: 3, length: 32, shared: 64 },
  gated: {
    rank: 24,
    ratios: [0, 4, 0, 4],
    indexer: { heads: 8, headDim: 32, keys: 8 },
    ngrams: { length: 3, heads: 2, taps: 3 },
  },
  keys: {
    ...QWEN35.keys,
    "expert_feed_forward_length": u32(32),
    "expert_shared_feed_forward_length": u32(64),
  },
};

/** Forms of the families that keep states. */
export const TINY_STATE_FAMILIES = {
  "rwkv7": RWKV7,
  "arwkv7": {
    embeddingLength: 128,
    timeMix: { headDim: 64, ranks: { decay: 8, rate: 12, value: 20, gate: 24 } },
  },
  "rwkv6": RWKV6,
  "rwkv6-old": {
    ...RWKV6,
    architecture: "rwkv6",
    embeddingLength: 64,
    timeMix: { ...RWKV6.timeMix!, headDim: 16, moved: { rank: 12, isOld: true } },
  },
  "rwkv6qwen2": {
    embeddingLength: 128,
    timeMix: {
      ...{ headDim: 32, ranks: { ...NO_RANKS, decay: 20 } },
      moved: { rank: 8, keyHeads: 2 },
    },
  },
  "arwkv7-ungated": {
    architecture: "arwkv7",
    timeMix: { headDim: 8, ranks: { decay: 8, rate: 16, value: 12, gate: 0 }, hasNorm: false },
  },
  "mamba": { stateSpace: MAMBA, tied: true },
  "mamba-falcon": { architecture: "mamba", stateSpace: { ...MAMBA, normalizes: "bare" } },
  "mamba2": { stateSpace: { ...MAMBA2, layers: ["state", "state"] } },
  "falcon-h1": {
    hasBareNorm: true,
    headDim: 24,
    stateSpace: {
      ...{ inner: 96, state: 32, rank: 6, groups: 2, hasNorm: false },
      layers: ["both", "both"],
    },
  },
  "granitehybrid": GRANITE_HYBRID,
  "granitehybrid-moe": {
    ...GRANITE_HYBRID,
    architecture: "granitehybrid",
    experts: { count: 8, used: 3, length: 32, shared: 64, isPlain: true },
    keys: {
      ...GRANITE_HYBRID.keys,
      "rope.scaling.finetuned": bool(true),
      "expert_shared_feed_forward_length": u32(64),
    },
  },
  "nemotron_h": NEMOTRON_H,
  "nemotron_h_moe": NEMOTRON_H_MOE,
  "nemotron_h_moe-latent": {
    ...NEMOTRON_H_MOE,
    architecture: "nemotron_h_moe",
    experts: { ...NEMOTRON_H_MOE.experts, latent: 48, isNemotrons: true },
    keys: { ...NEMOTRON_H_MOE.keys, "moe_latent_size": u32(48) },
  },
  // Layers of three kinds, of which no two have the same numbers.
  "nemotron_h_moe-puzzle": {
    ...NEMOTRON_H_MOE,
    architecture: "nemotron_h_moe",
    blockCount: 7,
    experts: {
      ...{ ...NEMOTRON_H_MOE.experts, latent: 32, isNemotrons: true },
      lengths: [0, 32, 0, 0, 64, 0, 48],
    },
    stateSpace: {
      ...NEMOTRON_H_MOE.stateSpace,
      layers: ["state", "neurons", "heads", "state", "neurons", "heads", "neurons"],
    },
    uneven: {
      heads: [4, 4, 4, 4, 4, 6, 4],
      headsKv: [0, 0, 2, 0, 0, 3, 0],
      neurons: [0, 32, 0, 0, 64, 0, 48],
    },
    keys: {
      ...NEMOTRON_H_MOE.keys,
      "moe_latent_size": u32(32),
      "expert_used_count": list(Int32Array.of(0, 3, 0, 0, 1, 0, 4)),
      "expert_feed_forward_length": list(Int32Array.of(0, 32, 0, 0, 64, 0, 48)),
    },
  },
  "qwen35": QWEN35,
  "qwen35moe": {
    ...QWEN35,
    experts: { count: 8, used: 3, length: 32, shared: 64 },
    keys: {
      ...QWEN35.keys,
      "expert_feed_forward_length": u32(32),
      "expert_shared_feed_forward_length": u32(64),
    },
  },
  "qwen3next": {
    ...QWEN35,
    experts: { count: 8, used: 3, length: 32, shared: 64 },
    stateSpace: { ...QWEN35.stateSpace!, deltas: "mixed" },
    keys: {
      "rope.dimension_count": u32(16),
      "expert_feed_forward_length": u32(32),
      "expert_shared_feed_forward_length": u32(64),
    },
  },
  "kimi-k3": {
    blockCount: 5,
    gates: "apart",
    keepsInputs: true,
    latent: { length: 32, query: 48, turned: 16, plain: 32, value: 16 },
    stateSpace: {
      ...{ inner: 96, state: 24, rank: 4, groups: 4, deltas: "keys" },
      ...{ whole: { gate: "ssm_g" }, isFlat: true },
      layers: ["state", "state", "heads", "state", "heads"],
    },
    experts: {
      ...{ count: 8, used: 3, length: 32, shared: 64, isPlain: true },
      ...{ hasChoiceBias: true, leading: 1, latent: 32 },
    },
    keys: {
      "feed_forward_length": u32(96),
      "attention.head_count_kv": list(Int32Array.of(0, 0, 1, 0, 1)),
      "kda.gate_lower_bound": f32(-5),
      "attn_res.block_size": u32(2),
      "activation.situ_beta": f32(0.7),
      "activation.situ_linear_beta": f32(1.2),
      "expert_feed_forward_length": u32(32),
      "expert_latent_length": u32(32),
      "expert_shared_count": u32(2),
      "expert_gating_func": u32(2),
      "expert_weights_scale": f32(2.5),
      "expert_weights_norm": bool(true),
      "leading_dense_block_count": u32(1),
    },
  },
  "qwen4exp": QWEN4,
  "kimi-linear": {
    blockCount: 4,
    latent: { length: 32, turned: 16, plain: 16, value: 16 },
    stateSpace: {
      ...{ inner: 96, state: 24, rank: 4, groups: 4, deltas: "keys" },
      layers: ["state", "state", "heads", "state"],
    },
    experts: {
      ...{ count: 8, used: 3, length: 32, shared: 32, isPlain: true },
      ...{ hasChoiceBias: true, leading: 1 },
    },
    keys: {
      "feed_forward_length": u32(96),
      "attention.head_count_kv": list(Int32Array.of(0, 0, 1, 0)),
      "expert_feed_forward_length": u32(32),
      "expert_shared_count": u32(1),
      "expert_gating_func": u32(2),
      "expert_weights_scale": f32(2.446),
      "leading_dense_block_count": u32(1),
    },
  },
  "bailingmoe3": {
    blockCount: 4,
    gates: "perHead",
    latent: { length: 32, query: 48, turned: 16, plain: 32, value: 16 },
    stateSpace: {
      ...{ inner: 96, state: 24, rank: 4, groups: 4, deltas: "keys" },
      ...{ whole: { steps: "ssm_f_a", gate: "ssm_g_a" }, hasSpeeds: true },
      layers: ["state", "state", "heads", "state"],
    },
    experts: {
      ...{ count: 8, used: 3, length: 32, shared: 32, isPlain: true },
      ...{ hasChoiceBias: true, leading: 1 },
    },
    keys: {
      "feed_forward_length": u32(96),
      "attention.head_count_kv": list(Int32Array.of(0, 0, 1, 0)),
      "kda.gate_lower_bound": f32(-5),
      "expert_feed_forward_length": u32(32),
      "expert_shared_count": u32(1),
      "expert_gating_func": u32(2),
      "expert_weights_scale": f32(2.5),
      "expert_weights_norm": bool(true),
      "leading_dense_block_count": u32(1),
      "swiglu_clamp_exp": list(Float32Array.of(0, 0.5, 0.7, 0)),
      "swiglu_clamp_shexp": list(Float32Array.of(0.5, 0, 0.4, 0.6)),
    },
  },
  "plamo2": {
    blockCount: 4,
    headDim: 24,
    headNorms: "perHead",
    fusedQkv: true,
    neurons: "fused",
    postNormNames: ["post_attention_norm", "post_ffw_norm"],
    stateSpace: {
      ...{ inner: 96, state: 16, rank: 6, isOfHeads: true },
      layers: ["heads", "state", "heads", "state"],
    },
  },
  "minimax-01": {
    blockCount: 4,
    headDim: 24,
    rotatedDims: 12,
    stateSpace: {
      ...{ inner: 96, state: 24, rank: 4, isLightning: true },
      layers: ["state", "state", "heads", "state"],
    },
    experts: { count: 8, used: 3, length: 32 },
    keys: { "residual_scale": f32(2.5), "attention.layer_norm_rms_epsilon": f32(0.2) },
  },
  "barbet": {
    blockCount: 4,
    headDim: 24,
    headNorms: "shared",
    stateSpace: { ...MAMBA2, layers: ["heads", "state", "heads", "state"] },
  },
  "jamba": {
    blockCount: 4,
    feedForwardLength: 64,
    stateSpace: {
      ...{ inner: 128, state: 16, rank: 8, normalizes: "weighted" },
      layers: ["state", "heads", "state", "state"],
    },
    experts: { count: 4, used: 2, length: 64, layers: [1, 3] },
  },
} as const satisfies Readonly<Record<string, TinyFamily>>;
