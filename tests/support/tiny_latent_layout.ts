/** Latent attention in the file of a tiny model: keys and tensors. */
import { f32, list, type StoredValue, u32 } from "../../src/gguf/mod.ts";
import type { TinyFamily } from "./tiny_family.ts";
import type { TensorPlan, TinyShape } from "./tiny_layout.ts";

type TinyLatent = NonNullable<TinyFamily["latent"]>;

export function latentKeys(
  { length, turned, plain, value, query, isOld, indexer, windowed }: TinyLatent,
  { headCount }: TinyShape,
): Record<string, StoredValue> {
  const own = (suffix: string) => ({
    [`attention.key_length${suffix}`]: u32(turned + plain),
    [`attention.value_length${suffix}`]: u32(value),
  });
  return {
    "rope.dimension_count": u32(turned),
    "attention.kv_lora_rank": u32(length),
    ...indexer && {
      "attention.indexer.head_count": u32(indexer.heads),
      "attention.indexer.key_length": u32(indexer.headDim),
      "attention.indexer.top_k": u32(indexer.keys ?? 256),
      ...indexer.choosers && {
        "attention.indexer.types": list(Int32Array.from(indexer.choosers, Number)),
      },
    },
    ...query && { "attention.q_lora_rank": u32(query) },
    ...windowed && windowedKeys(windowed, { turned, headCount }),
    ...isOld ? { ...own(""), "attention.head_count_kv": u32(headCount) } : {
      ...own("_mla"),
      "attention.head_count_kv": u32(1),
      "attention.key_length": u32(turned + length),
      "attention.value_length": u32(length),
    },
  };
}

/** Of layers with windows, whose latents are their own. */
function windowedKeys(
  { layers, heads, length, plain, value }: NonNullable<TinyLatent["windowed"]>,
  { turned, headCount }: { readonly turned: number; readonly headCount: number },
): Record<string, StoredValue> {
  return {
    "attention.head_count": list(Int32Array.from(layers, (own) => own ? heads : headCount)),
    "attention.sliding_window": u32(8),
    "attention.sliding_window_pattern": list(Int32Array.from(layers, Number)),
    "attention.kv_lora_rank_swa": u32(length),
    "attention.key_length_swa": u32(turned + length),
    "attention.value_length_swa": u32(length),
    "attention.key_length_mla_swa": u32(turned + plain),
    "attention.value_length_mla_swa": u32(value),
    "attention.indexer.types": list(Int32Array.from(layers, (own) => Number(!own))),
    "rope.freq_base_swa": f32(500),
  };
}

export function planLatent(
  plan: TensorPlan,
  shape: TinyShape,
  { latent, sinks, gates }: TinyFamily & { readonly latent: TinyLatent },
  block: number,
): void {
  const { embeddingLength: width } = shape;
  const { turned, query, isOld, turnedNorm, windowed } = latent;
  const isWindowed = windowed?.layers[block] ?? false;
  const { length, plain, value } = isWindowed ? windowed! : latent;
  const headCount = isWindowed ? windowed!.heads : shape.headCount;
  const indexer = isWindowed ? undefined : latent.indexer;
  if (sinks) plan.sinks(headCount);
  if (gates === "apart") plan.matrix("attn_gate", [width, headCount * value]);
  if (gates === "perHead") plan.matrix("attn_gate", [width, headCount]);
  if (indexer && (indexer.choosers?.[block] ?? true)) {
    const { heads, headDim } = indexer;
    plan.matrix("indexer.attn_q_b", [query!, heads * headDim]);
    plan.matrix("indexer.attn_k", [width, headDim]);
    plan.matrix("indexer.proj", [width, heads]);
    plan.headNorm("indexer.k_norm", [headDim]);
    plan.bias("indexer.k_norm", headDim);
  }
  const queries = headCount * (turned + plain);
  if (query) {
    plan.matrix("attn_q_a", [width, query]);
    plan.headNorm("attn_q_a_norm", [query]);
    plan.matrix("attn_q_b", [query, queries]);
  } else {
    plan.matrix("attn_q", [width, queries]);
  }
  plan.matrix("attn_kv_a_mqa", [width, length + turned]);
  plan.headNorm("attn_kv_a_norm", [length]);
  if (turnedNorm) plan.headNorm("attn_k_norm", [turned]);
  if (isOld) {
    plan.matrix("attn_kv_b", [length, headCount * (plain + value)]);
  } else {
    plan.matrix("attn_k_b", [plain, length, headCount]);
    plan.matrix("attn_v_b", [length, value, headCount]);
  }
  plan.matrix("attn_output", [headCount * value, width], "residual");
}

/** What texts have no use for: what chooses blocks of keys (MiniMax M3), images' (CogVLM). */
export function planUnused(
  plan: TensorPlan,
  shape: TinyShape,
  { blockIndexer, hasImageMatrices }: TinyFamily,
  block: number,
): void {
  const { embeddingLength: width, headCount, headDim, feedForwardLength: neurons } = shape;
  if (blockIndexer && block > 0) {
    plan.matrix("indexer.q_proj", [width, blockIndexer.heads * blockIndexer.headDim]);
    plan.matrix("indexer.k_proj", [width, blockIndexer.headDim]);
    plan.headNorm("indexer.q_norm", [blockIndexer.headDim]);
    plan.headNorm("indexer.k_norm", [blockIndexer.headDim]);
  }
  if (hasImageMatrices) {
    plan.matrix("vis_attn_qkv", [width, 3 * headCount * headDim]);
    plan.matrix("vis_attn_output", [headCount * headDim, width]);
    plan.matrix("vis_gate", [width, neurons]);
    plan.matrix("vis_up", [width, neurons]);
    plan.matrix("vis_down", [neurons, width]);
  }
}
