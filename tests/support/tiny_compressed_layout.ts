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
  planMixers(plan, width, { streams: STREAMS, areMixed: true });
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

/** Streams that lie side by side: what blocks give goes to each, and no more. */
export function streamKeys(streams: number): Record<string, StoredValue> {
  return {
    "hyper_connection.count": u32(streams),
    "hyper_connection.magnitude": f32(1.7),
    "hyper_connection.epsilon": f32(0.01),
  };
}

/** What a layer mixes streams by. */
export function planMixers(
  plan: TensorPlan,
  width: number,
  { streams, areMixed }: { readonly streams: number; readonly areMixed: boolean },
): void {
  for (const name of ["hc_attn", "hc_ffn"]) {
    const rows = streams * (areMixed ? 2 + streams : 2);
    plan.matrix(`${name}_fn`, [streams * width, rows]);
    plan.vector(`${name}_base.weight`, rows);
    plan.factors(`${name}_scale.weight`, areMixed ? 3 : 2);
  }
}

/** What makes one stream of all; nothing where there is one. */
export function planHyperEnd(
  plan: TensorPlan,
  width: number,
  { compression, streams = compression ? STREAMS : 0 }: TinyFamily,
): void {
  if (streams === 0) return;
  plan.matrix("output_hc_fn", [streams * width, streams]);
  plan.vector("output_hc_base.weight", streams);
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
