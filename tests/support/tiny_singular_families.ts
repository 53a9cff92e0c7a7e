/**
 * More of what tests make tiny models of, said as in tiny_families.ts, which has them all: families
 * whose layers are put together as no others' are.
 */
import { bool, f32, list, text, u32 } from "../../src/gguf/mod.ts";
import type { TinyFamily } from "./tiny_family.ts";
import { LEADING, LEADING_KEYS } from "./tiny_family_parts.ts";

/** Tokens of a model of Chameleon that has some beside those of images, which are 4 to 8195. */
export const CHAMELEON_VOCABULARY = 8300;

/** An indexer that chooses as many keys as there are in a context. */
const INDEXED = {
  ...{ length: 64, turned: 8, plain: 32, value: 16, query: 48 },
  indexer: { heads: 2, headDim: 64 },
} as const;

/**
 * One that chooses. Of so many heads hardly ever all are silent: of keys that none asks for there
 * are many that are equal, and a program may choose any of them. Half of a key is turned: llama.cpp
 * takes the other half for what is not.
 */
const CHOSEN = {
  ...{ ...INDEXED, turned: 32 },
  indexer: { heads: 8, headDim: 64, keys: 16 },
} as const;

/** Contexts are stretched. */
const STRETCHED = {
  "rope.scaling.type": text("yarn"),
  "rope.scaling.factor": f32(8),
  "rope.scaling.original_context_length": u32(32),
};

const DEEPSEEK32_KEYS = {
  ...LEADING_KEYS,
  "leading_dense_block_count": u32(0),
  "expert_gating_func": u32(2),
  "expert_weights_norm": bool(true),
  ...STRETCHED,
  "rope.scaling.yarn_log_multiplier": f32(0.1),
};

/** Keys of one, 4 and 128 tokens, 4 of those of 4 being chosen; the first layer lists experts. */
const COMPRESSED = {
  ratios: [0, 4, 128, 4],
  ...{ query: 48, groups: 2, groupLength: 24, rounds: 5, listed: 1 },
  indexer: { heads: 8, headDim: 64, keys: 4 },
} as const;

const HY_V4 = {
  ...{ streams: 4, sinks: true, gates: "apart" as const },
  experts: { ...LEADING, hasChoiceBias: true },
  keys: {
    ...LEADING_KEYS,
    "expert_gating_func": u32(2),
    "expert_weights_norm": bool(true),
    "swiglu_clamp_exp": list(Float32Array.of(0.5, 0.7, 0.6, 1)),
  },
} as const;

/** Layers with windows, of two heads and smaller latents, before those that choose. */
const DOTS3 = {
  ...{ blockCount: 4, gates: "perHead" as const },
  experts: { ...LEADING, hasChoiceBias: true },
  keys: { ...LEADING_KEYS, "expert_gating_func": u32(2), "expert_weights_norm": bool(true) },
} as const;
const DOTS3_LATENTS = {
  turnedNorm: true,
  windowed: { layers: [true, false, true, false], heads: 2, length: 32, plain: 16, value: 32 },
} as const;

/** Families, and after a dash forms of them. */
export const SINGULAR_FAMILIES = {
  "arctic": {
    experts: {
      ...{ count: 8, used: 3, length: 32, hasInputNorm: true },
      ...{ shared: 64, isDense: true, isPlain: true },
    },
    keys: { "feed_forward_length": u32(32) },
  },
  "grovemoe": {
    headDim: 24,
    headNorms: "shared",
    experts: { count: 8, used: 3, length: 32, companions: { groupSize: 2, length: 32 } },
    keys: {
      "expert_feed_forward_length": u32(32),
      "expert_chunk_feed_forward_length": u32(32),
      "experts_per_group": u32(2),
      "expert_group_scale": f32(0.6),
    },
  },
  "chameleon": {
    headNorms: "perHead",
    headBiases: true,
    keys: { "attention.layer_norm_rms_epsilon": f32(0.05) },
  },
  "chameleon-behind": {
    architecture: "chameleon",
    preNorms: false,
    postNormNames: ["attn_norm.weight", "ffn_norm.weight"],
    headNorms: "perHead",
    keys: { "swin_norm": bool(true) },
  },
  "minimax-m3": {
    blockCount: 3,
    headDim: 24,
    rotatedDims: 16,
    headNorms: "shared",
    blockIndexer: { heads: 2, headDim: 32 },
    experts: { ...LEADING, hasChoiceBias: true },
    keys: {
      ...LEADING_KEYS,
      "expert_gating_func": u32(2),
      "expert_weights_norm": bool(true),
      "attention.indexer.head_count": u32(2),
      "attention.indexer.key_length": u32(32),
      // As many blocks as a context has: chosen_blocks_test.ts has others.
      "attention.indexer.top_k": u32(8),
      "attention.indexer.block_size": u32(32),
      "attention.indexer.local_blocks": u32(1),
    },
  },
  "cogvlm": { headCountKv: 4, fusedQkv: true, hasImageMatrices: true },
  "nanbeige": { blockCount: 2, keys: { "num_loops": u32(3) } },
  "nanbeige-plain": {
    architecture: "nanbeige",
    headDim: 24,
    keys: { "num_loops": u32(2), "skip_loop_final_norm": bool(true) },
  },
  "hrm_text": {
    blockCount: 4,
    normWeights: false,
    gates: "apart",
    secondStream: true,
    keys: {
      "block_count": u32(12),
      "hrm.layers_per_stack": u32(2),
      "hrm.h_cycles": u32(2),
      "hrm.l_cycles": u32(2),
      "embedding_scale": f32(4),
    },
  },
  "talkie": {
    normWeights: false,
    headGains: true,
    blockScales: "embedding",
    keys: { "logit_scale": f32(0.7) },
  },
  "hy_v4": {
    ...HY_V4,
    blockCount: 3,
    latent: { ...INDEXED, indexer: undefined },
    keys: { ...HY_V4.keys, "swiglu_clamp_exp": f32(0.6) },
  },
  "hy_v4-chosen": {
    ...{ ...HY_V4, architecture: "hy_v4", blockCount: 4 },
    keys: { ...HY_V4.keys, ...STRETCHED },
    latent: {
      ...CHOSEN,
      indexer: { ...CHOSEN.indexer, choosers: [true, false, true, false] },
    },
  },
  "dots3note": { ...DOTS3, latent: { ...INDEXED, ...DOTS3_LATENTS } },
  "dots3note-chosen": {
    ...{ ...DOTS3, architecture: "dots3note" },
    latent: { ...CHOSEN, ...DOTS3_LATENTS },
    keys: { ...DOTS3.keys, ...STRETCHED },
  },
  "talkie-scaled": {
    architecture: "talkie",
    normWeights: false,
    headGains: true,
    blockScales: "all",
    keys: { "logit_scale": f32(0.7) },
  },
  "deepseek32": {
    latent: { ...INDEXED },
    experts: { ...LEADING, leading: 0, hasChoiceBias: true },
    keys: DEEPSEEK32_KEYS,
  },
  "deepseek32-chosen": {
    architecture: "deepseek32",
    latent: CHOSEN,
    experts: { ...LEADING, leading: 0, hasChoiceBias: true },
    keys: DEEPSEEK32_KEYS,
  },
  "glm-dsa": {
    latent: { ...INDEXED },
    experts: { ...LEADING, leading: 0, hasChoiceBias: true },
    keys: {
      ...LEADING_KEYS,
      "leading_dense_block_count": u32(0),
      "block_count": u32(3),
      "nextn_predict_layers": u32(1),
      "expert_weights_norm": bool(true),
    },
  },
  "deepseek4": {
    ...{ blockCount: 4, headCountKv: 1, headDim: 32, rotatedDims: 16 },
    compression: COMPRESSED,
    experts: { ...LEADING, leading: 0, shared: 32, hasChoiceBias: true },
    keys: {
      "attention.sliding_window": u32(8),
      "expert_feed_forward_length": u32(32),
      "expert_shared_count": u32(1),
      "expert_weights_scale": f32(1.5),
      "expert_weights_norm": bool(true),
      "expert_gating_func": u32(4),
      "swiglu_clamp_exp": list(Float32Array.of(0.5, 0.7, 0, 1)),
      "rope.scaling.type": text("yarn"),
      "rope.scaling.factor": f32(8),
      "rope.scaling.original_context_length": u32(32),
    },
  },
  "glm-dsa-chosen": {
    architecture: "glm-dsa",
    blockCount: 4,
    latent: {
      ...CHOSEN,
      indexer: { ...CHOSEN.indexer, choosers: [true, false, true, false] },
    },
    experts: { ...LEADING, leading: 0, hasChoiceBias: true },
    keys: {
      ...LEADING_KEYS,
      "leading_dense_block_count": u32(0),
      "expert_weights_norm": bool(true),
    },
  },
} as const satisfies Readonly<Record<string, TinyFamily>>;
