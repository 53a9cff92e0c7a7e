/**
 * Models that fill in a text among the tiny ones: all rows depend on all, so what other families
 * are asked token by token is not asked of them. Said as in tiny_families.ts.
 */
import { bool, u32 } from "../../src/gguf/mod.ts";
import type { TinyFamily } from "./tiny_family.ts";
import { QKV } from "./tiny_family_parts.ts";

/** What stands for a place where nothing is said yet. */
export const TINY_MASK = 511;

const CAUSAL = { "attention.causal": bool(false) };
const MASK = { "tokenizer.ggml.mask_token_id": u32(TINY_MASK) };
const EXPERTS = { headNorms: "shared", experts: { count: 8, used: 3, length: 32 } } as const;

/** Families, and after a dash forms of them. */
export const FILL_FAMILIES = {
  "llada": {
    headCountKv: 4,
    keys: CAUSAL,
    wholeKeys: { ...MASK, "diffusion.shift_logits": bool(false) },
  },
  "llada-moe": {
    ...EXPERTS,
    keys: { ...CAUSAL, "expert_feed_forward_length": u32(32) },
    wholeKeys: { ...MASK, "diffusion.shift_logits": bool(false) },
  },
  // Files of these two do not say which row speaks of a mask.
  "dream": { biases: QKV, keys: CAUSAL, wholeKeys: MASK },
  "rnd1": {
    ...{ ...EXPERTS, headDim: 24 },
    keys: { ...CAUSAL, "expert_feed_forward_length": u32(32) },
    wholeKeys: MASK,
  },
} as const satisfies Readonly<Record<string, TinyFamily>>;

/** A key of `FILL_FAMILIES`. */
export type TinyFillName = keyof typeof FILL_FAMILIES;
