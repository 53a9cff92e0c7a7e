/** What the files of several tiny families have in common. */
import { f32, list, u32 } from "../../src/gguf/mod.ts";
import type { TinyFamily } from "./tiny_family.ts";

/** Queries, keys and values, as biases are called. */
export const QKV = ["attn_q", "attn_k", "attn_v"];
/** The other matrices of an ungated layer. */
export const EVERYWHERE = ["attn_output", "ffn_up", "ffn_down"];

/** Dense layers before mixtures, and an expert without a gate that everybody uses. */
export const LEADING: NonNullable<TinyFamily["experts"]> = {
  count: 8,
  used: 3,
  length: 32,
  shared: 64,
  isPlain: true,
  leading: 1,
};

/** The keys of `LEADING`. */
export const LEADING_KEYS = {
  "expert_feed_forward_length": u32(32),
  "feed_forward_length": u32(96),
  "expert_shared_count": u32(2),
  "leading_dense_block_count": u32(1),
  "expert_weights_scale": f32(1.5),
};

/** Of dimensions that turn by positions of several kinds. */
export const SECTIONS = list(Int32Array.of(3, 3, 2, 0));
