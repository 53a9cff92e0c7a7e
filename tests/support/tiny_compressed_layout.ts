/** Compressed keys, mixed streams and listed experts in the file of a tiny model. */
import { f32, list, type StoredValue, u32 } from "../../src/gguf/mod.ts";
import type { TinyFamily } from "./tiny_family.ts";
import type { TensorPlan, TinyShape } from "./tiny_layout.ts";
import type { Rng } from "./rng.ts";

type TinyCompression = NonNullable<TinyFamily["compression"]>;

/** Residual streams. */
const STREAMS = 4;

export function compressionKeys(
  { ratios, query, groups, groupLength, indexer, rounds, listed }: TinyCompression,
): Record<string, StoredValue> {
  return {
    "attention.q_lora_rank": u32(query),
    "attention.output_group_count": u32(groups),
    "attention.output_lora_rank": u32(groupLength),
    "attention.compress_rope_freq_base": f32(40000),
    "attention.compress_ratios": list(Int32Array.from(ratios)),
    "attention.indexer.head_count": u32(indexer.heads),
    "attention.indexer.key_length": u32(indexer.headDim),
    "attention.indexer.top_k": u32(indexer.keys),
    "hyper_connection.count": u32(STREAMS),
    "hyper_connection.sinkhorn_iterations": u32(rounds),
    "hyper_connection.epsilon": f32(1e-6),
    "hash_layer_count": u32(listed),
  };
}

export function planCompressed(
  plan: TensorPlan,
  { embeddingLength: width, headCount, headDim }: TinyShape,
  { ratios, query, groups, groupLength, indexer }: TinyCompression,
  block: number,
): void {
  plan.sinks(headCount);
  plan.matrix("attn_q_a", [width, query]);
  plan.headNorm("attn_q_a_norm", [query]);
  plan.matrix("attn_q_b", [query, headCount * headDim]);
  plan.matrix("attn_kv", [width, headDim]);
  plan.headNorm("attn_kv_a_norm", [headDim]);
  plan.matrix("attn_output_a", [headCount / groups * headDim, groups * groupLength]);
  plan.matrix("attn_output_b", [groups * groupLength, width], "residual");
  planMixer(plan, "hc_attn", width);
  planMixer(plan, "hc_ffn", width);
  const ratio = ratios[block];
  if (ratio === 0) return;
  const compressor = (name: string, dim: number) => {
    const rows = ratio === 4 ? 2 * dim : dim;
    plan.matrix(`${name}_kv`, [width, rows]);
    plan.matrix(`${name}_gate`, [width, rows]);
    plan.vector(`${name}_ape.weight`, rows, ratio);
    plan.headNorm(`${name}_norm`, [dim]);
  };
  compressor("attn_compressor", headDim);
  if (ratio !== 4) return;
  plan.matrix("indexer.proj", [width, indexer.heads]);
  plan.matrix("indexer.attn_q_b", [query, indexer.heads * indexer.headDim]);
  compressor("indexer_compressor", indexer.headDim);
}

function planMixer(plan: TensorPlan, name: string, width: number): void {
  plan.matrix(`${name}_fn`, [STREAMS * width, STREAMS * (2 + STREAMS)]);
  plan.vector(`${name}_base.weight`, STREAMS * (2 + STREAMS));
  plan.factors(`${name}_scale.weight`, 3);
}

/** What makes one stream of all. */
export function planHyperEnd(plan: TensorPlan, width: number): void {
  plan.matrix("output_hc_fn", [STREAMS * width, STREAMS]);
  plan.vector("output_hc_base.weight", STREAMS);
  plan.factors("output_hc_scale.weight", 1);
}

/** The experts of each token, no one twice: i32 [vocab, used]. */
export function listedExperts(
  rng: Rng,
  { tokens, used, count }: Readonly<Record<"tokens" | "used" | "count", number>>,
): Uint8Array {
  const table = new Int32Array(tokens * used);
  for (let token = 0; token < tokens; token++) {
    const all = Array.from({ length: count }, (_, expert) => expert);
    for (let i = 0; i < used; i++) {
      table[token * used + i] = all.splice(rng.int(all.length), 1)[0];
    }
  }
  return new Uint8Array(table.buffer);
}
