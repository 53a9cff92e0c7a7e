/**
 * More of what tests make tiny models of, said as in tiny_families.ts, which has them all: families
 * whose layers are put together as no others' are.
 */
import { bool, f32, u32 } from "../../src/gguf/mod.ts";
import type { TinyFamily } from "./tiny_family.ts";

/** Tokens of a model of Chameleon that has some beside those of images, which are 4 to 8195. */
export const CHAMELEON_VOCABULARY = 8300;

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
  "chameleon": { headNorms: "perHead", headBiases: true },
  "chameleon-behind": {
    architecture: "chameleon",
    preNorms: false,
    postNormNames: ["attn_norm.weight", "ffn_norm.weight"],
    headNorms: "perHead",
    keys: { "swin_norm": bool(true) },
  },
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
  "talkie-scaled": {
    architecture: "talkie",
    normWeights: false,
    headGains: true,
    blockScales: "all",
    keys: { "logit_scale": f32(0.7) },
  },
} as const satisfies Readonly<Record<string, TinyFamily>>;
