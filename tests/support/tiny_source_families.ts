/**
 * Models that answer a source among the tiny ones: what all other families are asked is asked of
 * one text that goes on. Said as in tiny_families.ts.
 */
import { u32 } from "../../src/gguf/mod.ts";
import type { TinyFamily } from "./tiny_family.ts";

const T5 = {
  ...{ architecture: "t5", headCountKv: 4, outputNorm: "dec.output_norm" },
} as const;

/** Families, and after a dash forms of them. */
export const SOURCE_FAMILIES = {
  "t5": {
    ...{ ...T5, tied: true, headDim: 24, neurons: "plain", scoreBuckets: 32 },
    ...{ blockCount: 3, writingBlocks: 2 },
    keys: {
      "attention.relative_buckets_count": u32(32),
      "decoder_block_count": u32(2),
      "decoder_start_token_id": u32(0),
    },
  },
  "t5-gated": {
    ...{ ...T5, scoreBuckets: 12, writingBlocks: 2 },
    keys: { "attention.relative_buckets_count": u32(12), "decoder_start_token_id": u32(0) },
  },
} as const satisfies Readonly<Record<string, TinyFamily>>;

/** A key of `SOURCE_FAMILIES`. */
export type TinySourceName = keyof typeof SOURCE_FAMILIES;
