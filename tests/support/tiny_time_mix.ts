/** What tiny models of RWKV-7 hold: keys, and the tensors of a layer. */
import { type StoredValue, u32 } from "../../src/gguf/mod.ts";
import type { TinyFamily } from "./tiny_family.ts";
import type { TensorPlan, TinyShape } from "./tiny_layout.ts";

/** Of a family that has some. */
type TinyTimeMix = NonNullable<TinyFamily["timeMix"]>;

/** Keys without "<architecture>.". */
export function timeMixKeys(
  { headDim, ranks, shiftsNeurons, moved }: TinyTimeMix,
): Record<string, StoredValue> {
  if (moved) {
    return {
      "attention.head_count": u32(0),
      "attention.head_count_kv": u32(moved.keyHeads ?? 0),
      "wkv.head_size": u32(headDim),
      "time_mix_extra_dim": u32(moved.rank),
      "time_decay_extra_dim": u32(ranks.decay),
      ...shiftsNeurons ? { "rescale_every_n_layers": u32(1) } : { "token_shift_count": u32(1) },
    };
  }
  return {
    "attention.head_count": u32(0),
    "wkv.head_size": u32(headDim),
    "attention.decay_lora_rank": u32(ranks.decay),
    "attention.iclr_lora_rank": u32(ranks.rate),
    "attention.value_residual_mix_lora_rank": u32(ranks.value),
    ...ranks.gate > 0 && { "attention.gate_lora_rank": u32(ranks.gate) },
    ...!shiftsNeurons && { "token_shift_count": u32(1) },
  };
}

/** The tensors of a layer, but for its neurons where they are as other families'. */
export function planTimeMix(
  plan: TensorPlan,
  { embeddingLength: width, feedForwardLength: neurons }: TinyShape,
  by: { readonly timeMix: TinyTimeMix; readonly block: number },
): void {
  const { timeMix: { ranks, shiftsNeurons, hasNorm, moved }, block } = by;
  if (moved) return planFinch(plan, { width, neurons, timeMix: by.timeMix });
  const lowRank = (letter: string, rank: number) => {
    if (letter !== "g") plan.vector(`time_mix_${letter}0.weight`, width);
    plan.matrix(`time_mix_${letter}1`, [width, rank]);
    plan.matrix(`time_mix_${letter}2`, [rank, width]);
  };
  lowRank("w", ranks.decay);
  lowRank("a", ranks.rate);
  // The first layer has some that nothing uses.
  lowRank("v", block === 0 ? ranks.rate : ranks.value);
  if (ranks.gate > 0) lowRank("g", ranks.gate);
  plan.vector("time_mix_lerp_fused.weight", width, 1, 1, ranks.gate > 0 ? 6 : 5);
  plan.factors("time_mix_k_k.weight", width);
  plan.factors("time_mix_k_a.weight", width);
  plan.vector("time_mix_r_k.weight", width);
  for (const name of ["key", "value", "receptance"]) {
    plan.matrix(`time_mix_${name}`, [width, width]);
  }
  if (hasNorm !== false) {
    plan.factors("time_mix_ln.weight", width);
    plan.bias("time_mix_ln", width);
  }
  plan.matrix("time_mix_output", [width, width], "residual");
  if (!shiftsNeurons) return;
  plan.norm("attn_norm_2", width);
  plan.vector("channel_mix_lerp_k.weight", width, 1, 1);
  plan.matrix("channel_mix_key", [width, neurons]);
  plan.matrix("channel_mix_value", [neurons, width], "residual");
}

/** The same of RWKV-6. */
function planFinch(
  plan: TensorPlan,
  { width, neurons, timeMix }: { width: number; neurons: number; timeMix: TinyTimeMix },
): void {
  const { ranks, headDim, shiftsNeurons } = timeMix;
  const { rank, keyHeads, isOld } = timeMix.moved!;
  plan.matrix("time_mix_w1", [width, 5 * rank]);
  plan.matrix("time_mix_w2", [rank, width, 5]);
  plan.vector("time_mix_lerp_x.weight", width, 1, 1);
  if (!isOld) plan.vector("time_mix_lerp_fused.weight", width, 1, 1, 5);
  else for (const letter of "wkvrg") plan.vector(`time_mix_lerp_${letter}.weight`, width, 1, 1);
  plan.vector("time_mix_decay.weight", width);
  plan.matrix("time_mix_decay_w1", [width, ranks.decay]);
  plan.matrix("time_mix_decay_w2", [ranks.decay, width]);
  const keys = keyHeads ? keyHeads * headDim : width;
  for (const [name, rows] of [["key", keys], ["value", keys], ["receptance", width]] as const) {
    plan.matrix(`time_mix_${name}`, [width, rows]);
    if (keyHeads) plan.bias(`time_mix_${name}`, rows);
  }
  plan.matrix("time_mix_gate", [width, width]);
  plan.matrix("time_mix_output", [width, width], "residual");
  if (!shiftsNeurons) return;
  plan.vector("time_mix_first.weight", headDim, width / headDim);
  plan.factors("time_mix_ln.weight", width);
  plan.bias("time_mix_ln", width);
  plan.norm("attn_norm_2", width);
  plan.vector("channel_mix_lerp_k.weight", width, 1, 1);
  plan.vector("channel_mix_lerp_r.weight", width, 1, 1);
  plan.matrix("channel_mix_key", [width, neurons]);
  plan.matrix("channel_mix_value", [neurons, width], "residual");
  plan.matrix("channel_mix_receptance", [width, width]);
}
