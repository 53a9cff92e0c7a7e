/**
 * What tests make tiny models of: every family, and the forms that its files have. Says it in the
 * words of GGUF, independently of src/model/families. Numbers are chosen so that every feature
 * shows: caps near the values they cap, windows shorter than prompts, scales far from 1.
 */
import { bool, f32, type StoredValue, text, u32 } from "../../src/gguf/mod.ts";

/** How the files of a family differ from Llama's. What is left out is like Llama's. */
export interface TinyFamily {
  /** `general.architecture`; left out: the name of the family. */
  readonly architecture?: string;
  readonly blockCount?: number;
  /** Left out: width over heads. */
  readonly headDim?: number;
  readonly contextLength?: number;
  readonly tied?: boolean;
  /** Norms with biases that take the mean away. */
  readonly layerNorm?: boolean;
  /** Norms before the blocks; left out: true. */
  readonly preNorms?: boolean;
  readonly postNorms?: boolean;
  /** Weights of [headDim], [heads · headDim], or [heads, headDim]. */
  readonly headNorms?: "shared" | "projection" | "perHead";
  readonly fusedQkv?: boolean;
  /** Names after "blk.N." of tensors that have biases. */
  readonly biases?: readonly string[];
  /** "fused": gate and up in one tensor; "plain": no gate. Left out: two tensors. */
  readonly neurons?: "fused" | "plain";
  /** One norm feeds both blocks. */
  readonly parallel?: boolean;
  readonly experts?: {
    readonly count: number;
    readonly used: number;
    readonly length: number;
    /** Neurons of the shared expert. */
    readonly shared?: number;
    /** A tensor for each expert, as until 2024. */
    readonly isOld?: boolean;
  };
  readonly learnedPositions?: boolean;
  /** Left out: all dimensions of a head. */
  readonly rotatedDims?: number;
  /** Tensors of rotary factors for short and long contexts. */
  readonly longRope?: boolean;
  /**
   * What the family multiplies embeddings by. Tied ones are that much smaller here, and the last
   * norm that much larger: otherwise every token would answer with itself.
   */
  readonly embeddingScale?: number;
  /** Keys without "<architecture>.". */
  readonly keys?: Readonly<Record<string, StoredValue>>;
}

const QKV = ["attn_q", "attn_k", "attn_v"];
const EVERYWHERE = ["attn_output", "ffn_up", "ffn_down"];

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
} as const satisfies Readonly<Record<string, TinyFamily>>;

/** A key of `TINY_FAMILIES`. */
export type TinyFamilyName = keyof typeof TINY_FAMILIES;
