/**
 * More of what tests make tiny models of: families that came late to this program. Said as in
 * tiny_families.ts, which has them all.
 */
import { bool, f32, text, u32 } from "../../src/gguf/mod.ts";
import type { TinyFamily } from "./tiny_family.ts";
import { EVERYWHERE, LEADING, LEADING_KEYS, QKV, SECTIONS } from "./tiny_family_parts.ts";

/** Families, and after a dash forms of them. */
export const LATE_FAMILIES = {
  "minimax-m2": {
    headDim: 24,
    rotatedDims: 8,
    headNorms: "projection",
    experts: { count: 8, used: 3, length: 32, hasChoiceBias: true },
    keys: { "expert_feed_forward_length": u32(32), "expert_gating_func": u32(2) },
  },
  "exaone-moe": {
    blockCount: 5,
    headNorms: "shared",
    experts: { ...LEADING, hasChoiceBias: true },
    keys: {
      ...LEADING_KEYS,
      "attention.sliding_window": u32(8),
      "expert_gating_func": u32(2),
      "expert_shared_feed_forward_length": u32(64),
      "expert_weights_norm": bool(true),
    },
  },
  "mellum": {
    blockCount: 5,
    headNorms: "shared",
    experts: { count: 8, used: 3, length: 32 },
    keys: {
      "attention.sliding_window": u32(8),
      "expert_feed_forward_length": u32(32),
      "rope.scaling.type": text("yarn"),
      "rope.scaling.factor": f32(8),
      "rope.scaling.original_context_length": u32(32),
    },
  },
  "maincoder": { headNorms: "shared" },
  "hy_v3": {
    blockCount: 3,
    headNorms: "shared",
    experts: { ...LEADING, hasChoiceBias: true, choiceBias: "exp_probs_b" },
    keys: {
      "expert_feed_forward_length": u32(32),
      "feed_forward_length": u32(96),
      "expert_shared_feed_forward_length": u32(64),
      "expert_gating_func": u32(2),
      "expert_weights_norm": bool(true),
      "expert_weights_scale": f32(1.5),
    },
  },
  "jais2": { layerNorm: true, neurons: "plain", biases: [...QKV, ...EVERYWHERE] },
  "codeshell": {
    layerNorm: true,
    neurons: "plain",
    fusedQkv: true,
    biases: ["attn_qkv", ...EVERYWHERE],
  },
  "plamo": { parallel: true },
  "paddleocr": { keys: { "rope.dimension_sections": SECTIONS } },
  "cohere2moe": {
    blockCount: 6,
    layerNorm: true,
    normBiases: false,
    parallel: true,
    tied: true,
    experts: { ...LEADING, leading: 2 },
    keys: {
      ...LEADING_KEYS,
      "attention.sliding_window": u32(8),
      "expert_shared_feed_forward_length": u32(64),
      "leading_dense_block_count": u32(2),
      "logit_scale": f32(0.3),
    },
  },
} as const satisfies Readonly<Record<string, TinyFamily>>;
