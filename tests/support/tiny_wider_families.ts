/**
 * Still more of what tests make tiny models of, said as in tiny_families.ts, which has them all:
 * families that need no more than others have, each in another mixture.
 */
import { bool, f32, list, text, u32 } from "../../src/gguf/mod.ts";
import type { TinyFamily } from "./tiny_family.ts";
import { EVERYWHERE, LEADING, LEADING_KEYS, QKV, SECTIONS } from "./tiny_family_parts.ts";

const LATENT = { length: 64, turned: 8, plain: 32, value: 16, isOld: true };

const GRANITE_SWA = {
  blockCount: 3,
  sinks: true,
  keys: {
    "residual_scale": f32(0.4),
    "attention.scale": f32(0.4),
    "logit_scale": f32(1.6),
    "attention.sliding_window": u32(8),
    "attention.sliding_window_pattern": list(Int32Array.of(1, 0, 1)),
    "attention.rope_pattern": list(Int32Array.of(1, 0, 1)),
  },
} as const satisfies TinyFamily;

/** Families, and after a dash forms of them. */
export const WIDER_FAMILIES = {
  "bailingmoe2": {
    blockCount: 3,
    fusedQkv: true,
    headNorms: "shared",
    experts: { ...LEADING, count: 12, hasChoiceBias: true },
    keys: {
      ...LEADING_KEYS,
      "expert_gating_func": u32(2),
      "expert_weights_norm": bool(true),
      "expert_shared_feed_forward_length": u32(32),
      "expert_group_count": u32(4),
      "expert_group_used_count": u32(2),
    },
  },
  "deepseek2-ocr": {
    blockCount: 3,
    headCountKv: 4,
    experts: { ...LEADING, hasChoiceBias: true },
    keys: LEADING_KEYS,
  },
  "hunyuan_vl": {
    headDim: 24,
    headNorms: "shared",
    keys: { "rope.dimension_sections": SECTIONS, "rope.scaling.alpha": f32(50) },
  },
  "granite_swa": {
    ...GRANITE_SWA,
    experts: { count: 8, used: 3, length: 32, shared: 64, isPlain: true, isFused: true },
    keys: { ...GRANITE_SWA.keys, "expert_shared_feed_forward_length": u32(64) },
  },
  "granite_swa-dense": { architecture: "granite_swa", ...GRANITE_SWA },
  "plamo3": {
    blockCount: 9,
    headDim: 24,
    fusedQkv: true,
    neurons: "fused",
    headNorms: "shared",
    postNormNames: ["post_attention_norm", "post_ffw_norm"],
    keys: {
      "attention.sliding_window": u32(8),
      "rope.freq_base": f32(1e6),
    },
  },
  "minicpm3": {
    blockCount: 3,
    tied: true,
    embeddingScale: 12,
    latent: { ...LATENT, query: 48 },
  },
  "plm": { neurons: "plain", tied: true, latent: LATENT },
  "phimoe": {
    normBiases: true,
    biases: [...QKV, "attn_output"],
    outputBias: true,
    experts: { count: 8, used: 3, length: 32 },
    keys: { "expert_feed_forward_length": u32(32) },
  },
  "grok": {
    embeddingScale: 8,
    postNorms: true,
    postNormNames: ["attn_output_norm.weight", "layer_output_norm.weight"],
    experts: { count: 8, used: 3, length: 32, shared: 96, isPlain: true, isDense: true },
    keys: {
      "expert_feed_forward_length": u32(32),
      "feed_forward_length": u32(96),
      "attn_logit_softcapping": f32(1.5),
      "final_logit_softcapping": f32(3),
      "attention.output_scale": f32(0.3),
      "embedding_scale": f32(8),
      "rope.scaling.type": text("yarn"),
      "rope.scaling.factor": f32(8),
      "rope.scaling.original_context_length": u32(32),
      "rope.scaling.yarn_beta_fast": f32(8),
    },
  },
  "bloom": {
    layerNorm: true,
    embeddingNorm: true,
    headCountKv: 4,
    neurons: "plain",
    tied: true,
    fusedQkv: true,
    biases: ["attn_qkv", ...EVERYWHERE],
  },
  "mpt": {
    layerNorm: true,
    normBiases: false,
    neurons: "plain",
    tied: true,
    fusedQkv: true,
    keys: { "attention.max_alibi_bias": f32(4), "attention.clamp_kqv": f32(0.7) },
  },
  "refact": { headCountKv: 1 },
  "jais": {
    layerNorm: true,
    headCountKv: 4,
    fusedQkv: true,
    biases: ["attn_qkv", ...EVERYWHERE, "ffn_gate"],
    keys: { "attention.max_alibi_bias": f32(8) },
  },
  "olmo": { layerNorm: true, normWeights: false, keys: { "attention.clamp_kqv": f32(0.7) } },
  "dbrx": {
    layerNorm: true,
    normBiases: false,
    fusedQkv: true,
    feedForwardNorm: "attn_output_norm",
    experts: { count: 8, used: 3, length: 32 },
    keys: { "attention.clamp_kqv": f32(0.7) },
  },
  "llama4": {
    blockCount: 5,
    experts: { ...LEADING, shared: 32, leading: 0, used: 2 },
    keys: { "expert_feed_forward_length": u32(32), "interleave_moe_layer_step": u32(1) },
  },
  // llama.cpp has chunks of 8,192 tokens only.
  "llama4-chunked": {
    architecture: "llama4",
    blockCount: 4,
    experts: { ...LEADING, shared: 32, leading: 0, used: 1, period: 2 },
    keys: {
      "expert_feed_forward_length": u32(32),
      "feed_forward_length": u32(96),
      "interleave_moe_layer_step": u32(2),
      "attention.sliding_window": u32(8),
    },
  },
} as const satisfies Readonly<Record<string, TinyFamily>>;
