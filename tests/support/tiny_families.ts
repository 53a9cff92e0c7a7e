/**
 * What tests make tiny models of: every family, and the forms that its files have. Says it in the
 * words of GGUF, independently of src/model/families. Numbers are chosen so that every feature
 * shows: caps near the values they cap, windows shorter than prompts, scales far from 1.
 */
import { bool, f32, text, u32 } from "../../src/gguf/mod.ts";
import type { TinyFamily } from "./tiny_family.ts";
import { EVERYWHERE, LEADING, LEADING_KEYS, QKV, SECTIONS } from "./tiny_family_parts.ts";
import { LAYERED_FAMILIES } from "./tiny_layered_families.ts";
import { LATE_FAMILIES } from "./tiny_late_families.ts";
import { RARER_FAMILIES } from "./tiny_rarer_families.ts";
import { SINGULAR_FAMILIES } from "./tiny_singular_families.ts";
import { TINY_LATENT_FAMILIES } from "./tiny_latent_families.ts";
import { TINY_STATE_FAMILIES } from "./tiny_state_families.ts";
import { WIDER_FAMILIES } from "./tiny_wider_families.ts";

const GEMMA2: TinyFamily = {
  blockCount: 3,
  headDim: 24,
  tied: true,
  embeddingScale: 8,
  postNorms: true,
  keys: {
    "attention.sliding_window": u32(8),
    "attn_logit_softcapping": f32(1.5),
    "final_logit_softcapping": f32(3),
  },
};

const GEMMA3: TinyFamily = {
  blockCount: 7,
  headDim: 24,
  tied: true,
  embeddingScale: 8,
  postNorms: true,
  headNorms: "shared",
  keys: {
    "attention.sliding_window": u32(8),
    "rope.freq_base": f32(1e6),
    "rope.scaling.type": text("linear"),
    "rope.scaling.factor": f32(8),
  },
};

const SMALLTHINKER: TinyFamily = {
  blockCount: 5,
  headDim: 24,
  experts: { count: 6, used: 3, length: 32 },
  keys: {
    "attention.sliding_window": u32(4096),
    "expert_feed_forward_length": u32(32),
    "expert_gating_func": u32(2),
  },
};

const STABLELM: TinyFamily = {
  layerNorm: true,
  rotatedDims: 4,
  keys: { "use_parallel_residual": bool(true) },
};

const COHERE: TinyFamily = {
  layerNorm: true,
  normBiases: false,
  parallel: true,
  tied: true,
  keys: { "logit_scale": f32(0.3) },
};

const LFM2: TinyFamily = {
  blockCount: 4,
  headNorms: "shared",
  convolution: { taps: 3, attends: [false, false, true, false] },
  outputNorm: "token_embd_norm",
};

const GPT_OSS: TinyFamily = {
  blockCount: 3,
  headDim: 24,
  biases: [...QKV, "attn_output"],
  sinks: true,
  feedForwardNorm: "post_attention_norm",
  experts: { count: 6, used: 3, length: 32, hasBiases: true },
  keys: {
    "expert_feed_forward_length": u32(32),
    "attention.sliding_window": u32(8),
    "rope.freq_base": f32(150000),
    "rope.scaling.type": text("yarn"),
    "rope.scaling.factor": f32(8),
    "rope.scaling.original_context_length": u32(16),
  },
};

/** Families, and after a dash forms of them. */
export const TINY_FAMILIES = {
  "llama": {},
  "llama-biased": { architecture: "llama", biases: [...QKV, ...EVERYWHERE, "ffn_gate"] },
  "llama-moe": { architecture: "llama", experts: { count: 4, used: 2, length: 64 } },
  "llama-moe-old": {
    architecture: "llama",
    experts: { count: 4, used: 2, length: 64, isOld: true },
  },
  "relu-llama": { architecture: "llama", keys: { "hidden_activation": text("relu") } },
  "drelu-moe": {
    architecture: "llama",
    experts: { count: 4, used: 2, length: 64 },
    keys: { "hidden_activation": text("drelu") },
  },
  "bamboo": {},
  "qwen2": { biases: QKV },
  "qwen2moe": {
    biases: QKV,
    experts: { count: 8, used: 3, length: 32, shared: 64 },
    keys: {
      "expert_feed_forward_length": u32(32),
      "expert_shared_feed_forward_length": u32(64),
    },
  },
  "qwen3": { headDim: 24, headNorms: "shared" },
  "qwen3moe": {
    headDim: 24,
    headNorms: "shared",
    experts: { count: 8, used: 3, length: 32 },
    keys: { "expert_feed_forward_length": u32(32) },
  },
  "gpt-oss": GPT_OSS,
  "gemma": { headDim: 24, tied: true, embeddingScale: 8 },
  "gemma2": GEMMA2,
  "gemma3": GEMMA3,
  "phi3": {
    fusedQkv: true,
    neurons: "fused",
    contextLength: 1024,
    longRope: true,
    keys: {
      "rope.scaling.original_context_length": u32(512),
      "rope.scaling.attn_factor": f32(1.19),
      "attention.sliding_window": u32(8),
    },
  },
  "minicpm": {
    keys: {
      "embedding_scale": f32(3),
      "residual_scale": f32(0.6),
      "logit_scale": f32(0.7),
    },
  },
  "granite": {
    tied: true,
    embeddingScale: 6,
    keys: {
      "embedding_scale": f32(6),
      "residual_scale": f32(0.4),
      "attention.scale": f32(0.4),
      "logit_scale": f32(1.6),
    },
  },
  "granite-unrotated": {
    architecture: "granite",
    keys: { "rope.scaling.finetuned": bool(false), "logit_scale": f32(0.8) },
  },
  "olmo2": { preNorms: false, postNorms: true, headNorms: "projection" },
  "olmo2-windowed": {
    architecture: "olmo2",
    blockCount: 5,
    preNorms: false,
    postNorms: true,
    headNorms: "projection",
    keys: {
      "attention.sliding_window": u32(8),
      "rope.scaling.type": text("yarn"),
      "rope.scaling.factor": f32(8),
      "rope.scaling.original_context_length": u32(32),
    },
  },
  "smollm3": { blockCount: 5, tied: true },
  "stablelm": STABLELM,
  "stablelm-parallel": {
    ...STABLELM,
    architecture: "stablelm",
    parallel: true,
    headNorms: "perHead",
    biases: QKV,
  },
  "chatglm": { fusedQkv: true, biases: ["attn_qkv"], neurons: "fused", rotatedDims: 8 },
  "starcoder2": { layerNorm: true, neurons: "plain", biases: [...QKV, ...EVERYWHERE] },
  "gpt2": {
    layerNorm: true,
    neurons: "plain",
    tied: true,
    fusedQkv: true,
    biases: ["attn_qkv", ...EVERYWHERE],
    learnedPositions: true,
  },
  "smallthinker": SMALLTHINKER,
  "smallthinker-softmax": {
    ...SMALLTHINKER,
    architecture: "smallthinker",
    keys: { ...SMALLTHINKER.keys, "expert_gating_func": u32(1) },
  },
  "arcee": { neurons: "plain" },
  "nemotron": { layerNorm: true, neurons: "plain", rotatedDims: 8 },
  "mistral3": {
    keys: {
      "rope.scaling.type": text("yarn"),
      "rope.scaling.factor": f32(8),
      "rope.scaling.original_context_length": u32(8),
      "rope.scaling.yarn_log_multiplier": f32(0.7),
      "attention.temperature_scale": f32(0.4),
    },
  },
  "glm4": { postNorms: true, neurons: "fused", biases: QKV, rotatedDims: 8 },
  "glm4-sections": {
    architecture: "glm4",
    postNorms: true,
    neurons: "fused",
    keys: { "rope.dimension_sections": SECTIONS },
  },
  "ernie4_5": {},
  "hunyuan-dense": { headDim: 24, headNorms: "shared" },
  "exaone": {},
  "exaone4": { preNorms: false, postNorms: true, headNorms: "shared" },
  "exaone4-windowed": {
    architecture: "exaone4",
    blockCount: 5,
    preNorms: false,
    postNorms: true,
    headNorms: "shared",
    keys: { "attention.sliding_window": u32(8) },
  },
  "seed_oss": { headDim: 24, biases: QKV, feedForwardNorm: "post_attention_norm" },
  "command-r": COHERE,
  "command-r-normed": { ...COHERE, architecture: "command-r", headNorms: "perHead" },
  "cohere2": {
    ...COHERE,
    blockCount: 5,
    keys: { "logit_scale": f32(0.3), "attention.sliding_window": u32(8) },
  },
  "internlm2": {},
  "phi2": {
    layerNorm: true,
    parallel: true,
    neurons: "plain",
    fusedQkv: true,
    biases: ["attn_qkv", ...EVERYWHERE],
    rotatedDims: 8,
    outputBias: true,
  },
  "falcon": { layerNorm: true, parallel: true, neurons: "plain", fusedQkv: true, tied: true },
  "falcon-40b": {
    architecture: "falcon",
    layerNorm: true,
    parallel: "two",
    neurons: "plain",
    fusedQkv: true,
  },
  "gptneox": {
    layerNorm: true,
    neurons: "plain",
    fusedQkv: true,
    biases: ["attn_qkv", ...EVERYWHERE],
    rotatedDims: 8,
    keys: { "use_parallel_residual": bool(true) },
  },
  "gptneox-serial": {
    architecture: "gptneox",
    layerNorm: true,
    neurons: "plain",
    fusedQkv: true,
    biases: ["attn_qkv", ...EVERYWHERE],
    keys: { "use_parallel_residual": bool(false) },
  },
  "baichuan": { blockCount: 3 },
  "qwen": {
    headCountKv: 4,
    fusedQkv: true,
    biases: ["attn_qkv"],
    keys: { "feed_forward_length": u32(192) },
  },
  "orion": { layerNorm: true },
  "xverse": {},
  "starcoder": {
    layerNorm: true,
    headCountKv: 1,
    neurons: "plain",
    tied: true,
    fusedQkv: true,
    biases: ["attn_qkv", ...EVERYWHERE],
    learnedPositions: true,
  },
  "pangu-embedded": { biases: [...QKV, "attn_output"] },
  "qwen2vl": { biases: QKV, keys: { "rope.dimension_sections": SECTIONS } },
  "qwen3vl": { headNorms: "shared", keys: { "rope.dimension_sections": SECTIONS } },
  "qwen3vlmoe": {
    headNorms: "shared",
    experts: { count: 8, used: 3, length: 32 },
    keys: { "expert_feed_forward_length": u32(32), "rope.dimension_sections": SECTIONS },
  },
  "granitemoe": {
    tied: true,
    embeddingScale: 6,
    experts: { count: 8, used: 3, length: 32, shared: 64, isPlain: true },
    keys: {
      "embedding_scale": f32(6),
      "residual_scale": f32(0.4),
      "attention.scale": f32(0.4),
      "logit_scale": f32(1.6),
      "expert_shared_feed_forward_length": u32(64),
    },
  },
  "olmoe": {
    headCountKv: 4,
    headNorms: "projection",
    experts: { count: 8, used: 3, length: 32 },
  },
  "hunyuan-moe": {
    headNorms: "shared",
    experts: { count: 8, used: 3, length: 32, shared: 64, isPlain: true },
    keys: {
      "expert_feed_forward_length": u32(32),
      "expert_shared_feed_forward_length": u32(64),
    },
  },
  "deepseek": { blockCount: 3, experts: LEADING, keys: LEADING_KEYS },
  ...TINY_LATENT_FAMILIES,
  "dots1": {
    blockCount: 3,
    headCountKv: 4,
    headNorms: "shared",
    experts: { ...LEADING, hasChoiceBias: true },
    keys: {
      ...LEADING_KEYS,
      "expert_gating_func": u32(2),
      "expert_weights_norm": bool(true),
    },
  },
  "glm4moe": {
    blockCount: 3,
    rotatedDims: 8,
    biases: QKV,
    headNorms: "shared",
    feedForwardNorm: "post_attention_norm",
    experts: { ...LEADING, hasChoiceBias: true },
    keys: {
      ...LEADING_KEYS,
      "expert_gating_func": u32(2),
      "expert_weights_norm": bool(true),
      "block_count": u32(4),
      "nextn_predict_layers": u32(1),
    },
  },
  "lfm2": { ...LFM2, tied: true },
  "lfm2-windowed": {
    architecture: "lfm2",
    ...LFM2,
    convolution: { taps: 4, attends: [true, false, true, false] },
    keys: { "attention.sliding_window": u32(8) },
  },
  "lfm2moe": {
    ...LFM2,
    experts: { count: 8, used: 3, length: 32, leading: 1, hasChoiceBias: true },
    keys: {
      "feed_forward_length": u32(96),
      "expert_feed_forward_length": u32(32),
      "leading_dense_block_count": u32(1),
      "expert_gating_func": u32(2),
    },
  },
  "ernie4_5-moe": {
    blockCount: 3,
    experts: { ...LEADING, hasChoiceBias: true },
    keys: {
      ...LEADING_KEYS,
      "expert_weights_scale": f32(1),
      "expert_shared_feed_forward_length": u32(64),
      "interleave_moe_layer_step": u32(1),
    },
  },
  "bailingmoe": {
    experts: { count: 8, used: 3, length: 32, shared: 64, isPlain: true },
    keys: { "expert_feed_forward_length": u32(32), "expert_shared_count": u32(2) },
  },
  ...TINY_STATE_FAMILIES,
  ...LATE_FAMILIES,
  ...WIDER_FAMILIES,
  ...LAYERED_FAMILIES,
  ...RARER_FAMILIES,
  ...SINGULAR_FAMILIES,
} as const satisfies Readonly<Record<string, TinyFamily>>;

/** A key of `TINY_FAMILIES`. */
export type TinyFamilyName = keyof typeof TINY_FAMILIES;
