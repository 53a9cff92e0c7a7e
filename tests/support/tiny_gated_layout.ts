/** Gated streams, chosen groups and rows that tokens name, in the file of a tiny model. */
import { list, type StoredValue, u32 } from "../../src/gguf/mod.ts";
import type { TinyFamily } from "./tiny_family.ts";
import type { TensorPlan, TinyShape } from "./tiny_layout.ts";

type TinyGated = NonNullable<TinyFamily["gated"]>;

/** Residual streams. */
const STREAMS = 3;
/** Of a head; they are shared in part, and the table has some more. */
const ROWS = 61;
const STEP = 40;
const SPARE = 5;
/** Any of 64 bits; the product with an id is longer. */
const MULTIPLIERS = [0x9e3779b97f4a7c15n, 0xc2b2ae3d27d4eb4fn, 0x165667b19e3779f9n, 0x27d4eb2fn];
/** One that the tests' prompt has. */
export const END_TOKEN = 72;

export function gatedKeys(
  { rank, ratios, indexer, ngrams }: TinyGated,
  { embeddingLength }: TinyShape,
): Record<string, StoredValue> {
  return {
    "hyper_connection.count": u32(STREAMS),
    "hyper_connection.low_rank": u32(rank),
    "attention.compress_ratios": list(Uint32Array.from(ratios)),
    "attention.indexer.head_count": u32(indexer.heads),
    "attention.indexer.key_length": u32(indexer.headDim),
    "attention.indexer.top_k": u32(indexer.keys),
    ...ngrams && ngramKeys(ngrams, embeddingLength),
  };
}

function ngramKeys(
  { length, heads, taps }: NonNullable<TinyGated["ngrams"]>,
  width: number,
): Record<string, StoredValue> {
  const count = (length - 1) * heads;
  return {
    "ple.layers": list(Uint32Array.of(0)),
    "ple.ngram_size": u32(length),
    "ple.heads_per_ngram": u32(heads),
    "ple.conv_kernel": u32(taps),
    "ple.layer_multipliers": list(BigUint64Array.from(MULTIPLIERS.slice(0, length))),
    "ple.head_offsets": list(BigUint64Array.from({ length: count }, (_, i) => BigInt(i * STEP))),
    "ple.head_vocab_sizes": list(
      BigUint64Array.from({ length: count }, (_, i) => BigInt(ROWS - i)),
    ),
    "ple.eos_token_id": u32(END_TOKEN),
    "embedding_length_per_layer_input": u32(width / count),
  };
}

/** What a layer has around both of its blocks, and before them. */
export function planGated(
  plan: TensorPlan,
  shape: TinyShape,
  { rank, ngrams }: TinyGated,
  block: number,
): void {
  const { embeddingLength: width } = shape, all = STREAMS * width;
  for (const name of ["hc_attn", "hc_ffn"]) {
    planMix(plan, name, { width, rank });
    plan.matrix(`${name}_inject`, [all, STREAMS]);
  }
  if (!ngrams || block > 0) return;
  const { length, heads, taps } = ngrams, count = (length - 1) * heads;
  plan.prefix = "";
  plan.matrix(
    "per_layer_token_embd",
    [width / count, (count - 1) * STEP + ROWS + SPARE],
    "embedding",
  );
  plan.prefix = `blk.${block}.`;
  plan.matrix("ple_key", [width, all]);
  plan.matrix("ple_value", [width, width]);
  for (const name of ["key", "query", "conv"]) plan.factors(`ple_norm_${name}.weight`, all);
  plan.matrix("ple_conv1d", [taps, all]);
}

/** What makes one stream of all. */
export function planGatedEnd(
  plan: TensorPlan,
  { embeddingLength: width }: TinyShape,
  { rank }: TinyGated,
): void {
  planMix(plan, "output_hc", { width, rank });
}

function planMix(
  plan: TensorPlan,
  name: string,
  { width, rank }: { readonly width: number; readonly rank: number },
): void {
  const all = STREAMS * width;
  plan.factors(`${name}_norm.weight`, all);
  plan.matrix(`${name}_down`, [all, rank]);
  plan.matrix(`${name}_up`, [rank, all]);
}

/** Of a layer that attends. */
export function planGroupIndexer(
  plan: TensorPlan,
  { embeddingLength: width }: TinyShape,
  { indexer: { heads, headDim } }: TinyGated,
): void {
  plan.matrix("indexer.q_proj", [width, heads * headDim]);
  plan.matrix("indexer.k_proj", [width, headDim]);
  plan.headNorm("indexer.q_norm", [headDim]);
  plan.headNorm("indexer.k_norm", [headDim]);
}
