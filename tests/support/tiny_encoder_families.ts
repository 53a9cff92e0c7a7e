/**
 * Encoders among the tiny models: they make vectors of texts and predict nothing, so what all other
 * families are asked is not asked of them. Said as in tiny_families.ts.
 */
import { bool, f32, u32 } from "../../src/gguf/mod.ts";
import type { TinyFamily } from "./tiny_family.ts";
import { QKV } from "./tiny_family_parts.ts";

const ENCODER = { isEncoder: true, headCountKv: 4, tied: true } as const;
const CLS = { "attention.causal": bool(false), "pooling_type": u32(2) };
const MEAN = { "attention.causal": bool(false), "pooling_type": u32(1) };
const RANK = { "attention.causal": bool(false), "pooling_type": u32(4) };
const ALL = [...QKV, "attn_output", "ffn_up", "ffn_down"];
/** What all of BERT's kin have. */
const BERT = {
  ...ENCODER,
  ...{ layerNorm: true, embeddingNorm: true, tokenKinds: 2, preNorms: false, sumNorms: true },
} as const;

const MODERN_BERT = {
  ...ENCODER,
  ...{ blockCount: 4, layerNorm: true, normBiases: false, embeddingNorm: true },
  ...{ lacksFirstNorm: true, fusedQkv: true },
  neurons: "fused",
  ranker: { dense: 64, output: 1, hasNorm: true },
  keys: {
    "attention.sliding_window": u32(16),
    "rope.freq_base": f32(160000),
    "rope.freq_base_swa": f32(10000),
  },
} as const;

/** Families, and after a dash forms of them. */
export const ENCODER_FAMILIES = {
  "bert": { ...BERT, learnedPositions: true, neurons: "plain", biases: ALL, keys: CLS },
  "bert-ranker": {
    ...BERT,
    architecture: "bert",
    ...{ learnedPositions: true, neurons: "plain", biases: ALL },
    ranker: { dense: 64, output: 1, hasBiases: true },
    keys: RANK,
  },
  "nomic-bert": { ...BERT, fusedQkv: true, keys: { ...MEAN, "rope.freq_base": f32(1000) } },
  "nomic-bert-moe": {
    ...BERT,
    ...{ blockCount: 3, fusedQkv: true, neurons: "plain", tokenKinds: 1 },
    biases: ["attn_qkv", "attn_output", "ffn_up", "ffn_down"],
    experts: { count: 8, used: 2, length: 96, period: 2, isUngated: true },
    keys: { ...MEAN, "moe_every_n_layers": u32(2) },
  },
  "jina-bert-v2": { ...BERT, biases: [...QKV, "attn_output", "ffn_down"], keys: MEAN },
  "jina-bert-v2-fused": {
    ...BERT,
    architecture: "jina-bert-v2",
    neurons: "fused",
    biases: [...QKV, "attn_output", "ffn_down"],
    keys: MEAN,
  },
  "jina-bert-v2-plain": {
    ...BERT,
    architecture: "jina-bert-v2",
    neurons: "plain",
    biases: ALL,
    keys: MEAN,
  },
  "jina-bert-v3": {
    ...BERT,
    ...{ fusedQkv: true, neurons: "plain", tokenKinds: 1 },
    biases: ["attn_qkv", "attn_output", "ffn_up", "ffn_down"],
    keys: MEAN,
  },
  "modern-bert": { ...MODERN_BERT, keys: { ...MODERN_BERT.keys, ...CLS } },
  "modern-bert-ranker": {
    ...MODERN_BERT,
    architecture: "modern-bert",
    keys: { ...MODERN_BERT.keys, ...RANK },
  },
  "neo-bert": {
    ...ENCODER,
    ...{ fusedQkv: true, neurons: "fused", outputNorm: "enc.output_norm" },
    keys: CLS,
  },
  "t5encoder": {
    ...{ ...ENCODER, headDim: 24, neurons: "plain", scoreBuckets: 32 },
    outputNorm: "enc.output_norm",
    keys: { "pooling_type": u32(1), "attention.relative_buckets_count": u32(32) },
  },
  "t5encoder-gated": {
    ...{ ...ENCODER, architecture: "t5encoder", scoreBuckets: 12 },
    outputNorm: "enc.output_norm",
    keys: { "pooling_type": u32(1), "attention.relative_buckets_count": u32(12) },
  },
  "eurobert": { ...ENCODER, headCountKv: 2, keys: MEAN },
  "llama-embed": { ...ENCODER, headCountKv: 2, keys: MEAN },
  "gemma-embedding": {
    ...ENCODER,
    ...{ blockCount: 7, headCountKv: 1, headDim: 24, embeddingScale: 8 },
    ...{ headNorms: "shared", postNorms: true, projections: [128, 64] },
    keys: {
      ...MEAN,
      "attention.sliding_window": u32(12),
      "dense_2_feat_in": u32(64),
      "dense_2_feat_out": u32(128),
      "dense_3_feat_in": u32(128),
      "dense_3_feat_out": u32(64),
    },
  },
} as const satisfies Readonly<Record<string, TinyFamily>>;

/** A key of `ENCODER_FAMILIES`. */
export type TinyEncoderName = keyof typeof ENCODER_FAMILIES;
