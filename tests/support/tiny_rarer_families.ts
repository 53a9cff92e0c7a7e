/**
 * Still more of what tests make tiny models of, said as in tiny_families.ts, which has them all:
 * families that have something of their own, which few others need.
 */
import { bool, f32, list, text, u32 } from "../../src/gguf/mod.ts";
import type { TinyFamily } from "./tiny_family.ts";
import { LEADING, LEADING_KEYS } from "./tiny_family_parts.ts";

const LAGUNA: TinyFamily = {
  blockCount: 5,
  headDim: 24,
  headNorms: "shared",
  experts: { ...LEADING, hasChoiceBias: true },
  keys: {
    ...LEADING_KEYS,
    "expert_shared_feed_forward_length": u32(64),
    "expert_weights_norm": bool(true),
    "rope.scaling.type": text("yarn"),
    "rope.scaling.factor": f32(8),
    "rope.scaling.original_context_length": u32(32),
  },
};

const MIMO2: TinyFamily = {
  blockCount: 4,
  headDim: 24,
  valueDim: 16,
  sinks: [false, true, false, true],
  experts: { count: 8, used: 3, length: 32, leading: 1, hasChoiceBias: true },
  uneven: { heads: [4, 4, 4, 4], headsKv: [2, 4, 2, 4], neurons: [96, 96, 96, 96] },
  keys: {
    "feed_forward_length": u32(96),
    "expert_feed_forward_length": u32(32),
    "attention.sliding_window": u32(8),
    "attention.sliding_window_pattern": list(Int32Array.of(0, 1, 0, 1)),
    "attention.value_scale": f32(0.7),
    "rope.dimension_count": u32(16),
    "rope.freq_base": f32(500),
  },
};

/** Families, and after a dash forms of them. */
export const RARER_FAMILIES = {
  "afmoe": {
    blockCount: 5,
    headDim: 24,
    headNorms: "shared",
    postNorms: true,
    gates: "apart",
    experts: { ...LEADING, hasChoiceBias: true },
    keys: {
      ...LEADING_KEYS,
      "attention.sliding_window": u32(8),
      "expert_weights_norm": bool(true),
    },
  },
  "bitnet": { tied: true, innerNorms: true },
  "muse-glimmer": {
    blockCount: 5,
    headDim: 24,
    headNorms: "shared",
    postNorms: true,
    gates: "apart",
    keys: {
      "attention.sliding_window": u32(8),
      "attention.layer_norm_rms_epsilon": f32(0.05),
      "logit_scale": f32(0.6),
      "final_logit_softcapping": f32(3),
    },
  },
  "laguna": {
    ...LAGUNA,
    gates: "perHead",
    uneven: {
      heads: [2, 6, 6, 6, 2],
      headsKv: [2, 2, 2, 2, 2],
      neurons: [96, 96, 96, 96, 96],
    },
    keys: {
      ...LAGUNA.keys,
      "attention.sliding_window": u32(8),
      "rope.freq_base_swa": f32(5000),
      "rope.dimension_count": u32(16),
      "rope.dimension_count_swa": u32(24),
    },
  },
  "laguna-unwindowed": { ...LAGUNA, architecture: "laguna", gates: "apart" },
  "spark2_5": {
    blockCount: 4,
    headDim: 24,
    gates: "perHead",
    uneven: { heads: [4, 4, 2, 4], headsKv: [2, 1, 2, 2], neurons: [96, 96, 96, 96] },
    keys: {
      "feed_forward_length": u32(96),
      "attention.sliding_window": u32(8),
      "attention.sliding_window_pattern": list(Int32Array.of(1, 0, 1, 0)),
      "rope.freq_base_swa": f32(5000),
      "rope.dimension_count_swa": u32(16),
    },
  },
  "maple": {
    blockCount: 4,
    headDim: 24,
    headNorms: "shared",
    experts: { count: 8, used: 3, length: 32 },
    keys: {
      "expert_feed_forward_length": u32(32),
      "attention.sliding_window": u32(8),
      "attention.sliding_window_pattern": list(Int32Array.of(1, 1, 0, 1)),
      "rope.dimension_count": u32(16),
      "swiglu_clamp_exp": list(Float32Array.of(0.5, 0.5, 0.75, 0.5)),
    },
  },
  "step35": {
    blockCount: 4,
    headDim: 24,
    headNorms: "shared",
    gates: "perHead",
    experts: { ...LEADING, hasChoiceBias: true },
    uneven: { heads: [4, 6, 6, 4], headsKv: [2, 3, 3, 2], neurons: [96, 96, 96, 96] },
    keys: {
      ...LEADING_KEYS,
      "block_count": u32(5),
      "nextn_predict_layers": u32(1),
      "attention.head_count": list(Int32Array.of(4, 6, 6, 4, 6)),
      "attention.head_count_kv": list(Int32Array.of(2, 3, 3, 2, 3)),
      "expert_shared_feed_forward_length": u32(64),
      "expert_weights_norm": bool(true),
      "attention.sliding_window": u32(8),
      "attention.sliding_window_pattern": list(Int32Array.of(0, 1, 1, 0, 1)),
      "rope.freq_base": f32(50000),
      "swiglu_clamp_exp": list(Float32Array.of(0, 0.5, 0, 0.75, 0)),
      "swiglu_clamp_shexp": list(Float32Array.of(0, 0.4, 0.6, 0, 0)),
    },
  },
  "mimo2": MIMO2,
  "mimo2-fused": { ...MIMO2, architecture: "mimo2", fusedQkv: true },
  "mistral4": {
    blockCount: 3,
    latent: { length: 64, turned: 8, plain: 32, value: 16, query: 48 },
    experts: LEADING,
    keys: {
      ...LEADING_KEYS,
      "rope.scaling.type": text("yarn"),
      "rope.scaling.factor": f32(8),
      "rope.scaling.original_context_length": u32(8),
      "rope.scaling.yarn_log_multiplier": f32(0.1),
      "expert_weights_norm": bool(true),
      "attention.temperature_scale": f32(0.4),
      "attention.temperature_length": u32(8),
    },
  },
  "apertus": {
    headDim: 24,
    headNorms: "shared",
    neurons: "plain",
    wholeKeys: {
      "xielu.alpha_n": list(Float32Array.of(0.4, 1.3)),
      "xielu.alpha_p": list(Float32Array.of(0.8, 21)),
      "xielu.beta": list(Float32Array.of(0.5, 0.7)),
      "xielu.eps": f32(-1e-6),
    },
  },
  "openelm": {
    blockCount: 3,
    headDim: 24,
    tied: true,
    fusedQkv: true,
    headNorms: "shared",
    uneven: { heads: [2, 3, 6], headsKv: [1, 1, 3], neurons: [64, 96, 160] },
  },
  "deci": {
    blockCount: 6,
    headDim: 24,
    uneven: {
      heads: [4, 0, 4, 0, 0, 6],
      headsKv: [2, 0, 1, 0, 0, 2],
      neurons: [96, 64, 192, 0, 160, 96],
    },
  },
  "bitnet-b1.58": { innerNorms: true },
} as const satisfies Readonly<Record<string, TinyFamily>>;
