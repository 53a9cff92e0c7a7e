/** Tiny families with latent attention. */
import { bool, f32, text, u32 } from "../../src/gguf/mod.ts";
import type { TinyFamily } from "./tiny_family.ts";
import { LEADING, LEADING_KEYS } from "./tiny_family_parts.ts";

const LATENT = { length: 64, turned: 8, plain: 32, value: 16 };

const YARN = {
  "rope.scaling.type": text("yarn"),
  "rope.scaling.factor": f32(8),
  "rope.scaling.original_context_length": u32(8),
};

/** Forms of DeepSeek's second architecture. */
export const TINY_LATENT_FAMILIES = {
  // llama.cpp takes those of 26 layers for models whose queries are made at once.
  "deepseek2": {
    blockCount: 26,
    latent: LATENT,
    experts: { ...LEADING, leading: 24 },
    keys: {
      ...LEADING_KEYS,
      ...YARN,
      "leading_dense_block_count": u32(24),
      "rope.scaling.yarn_log_multiplier": f32(0.0707),
    },
  },
  "deepseek2-old": {
    architecture: "deepseek2",
    blockCount: 3,
    latent: { ...LATENT, query: 48, isOld: true },
    experts: LEADING,
    keys: LEADING_KEYS,
  },
  "deepseek2-grouped": {
    architecture: "deepseek2",
    blockCount: 3,
    latent: { ...LATENT, query: 48 },
    experts: { ...LEADING, count: 12, hasChoiceBias: true },
    keys: {
      ...LEADING_KEYS,
      ...YARN,
      "expert_gating_func": u32(2),
      "expert_weights_norm": bool(true),
      "expert_group_count": u32(4),
      "expert_group_used_count": u32(2),
    },
  },
  "deepseek2-dense": {
    architecture: "deepseek2",
    latent: { ...LATENT, query: 32 },
    keys: {
      "leading_dense_block_count": u32(2),
      "expert_feed_forward_length": u32(96),
      "expert_shared_count": u32(0),
    },
  },
} as const satisfies Readonly<Record<string, TinyFamily>>;
