/** Experts in the file of a tiny model: tensors. */
import type { TensorRole } from "../../src/synth/layout.ts";
import type { TinyFamily } from "./tiny_family.ts";
import { APART_NORMS } from "./tiny_layered.ts";
import type { TensorPlan } from "./tiny_layout.ts";

/** Those of a layer; rank: of their predictors, or 0. */
export function planExperts(
  plan: TensorPlan,
  width: number,
  by: NonNullable<TinyFamily["experts"]> & {
    readonly rank: number;
    /** Of a table of the experts that tokens use; 0: they choose. */
    readonly listedRows: number;
  },
): void {
  const { count, length, hasChoiceBias, choiceBias, hasBiases, isOld, isFused, rank } = by;
  const read = by.latent ?? width;
  const each = (name: string, dims: readonly number[], role?: TensorRole) => {
    if (!isOld) return plan.matrix(`${name}_exps`, [...dims, count], role);
    for (let expert = 0; expert < count; expert++) plan.matrix(`${name}.${expert}`, dims, role);
  };
  plan.matrix("ffn_gate_inp", [width, count], "gate");
  if (by.isApart) {
    plan.factors("ffn_gate_inp.scale", width);
    plan.factors("ffn_down_exps.scale", count);
    for (const name of APART_NORMS) plan.factors(`${name}.weight`, width);
  }
  if (by.listedRows) plan.table("ffn_gate_tid2eid.weight", by.used, by.listedRows);
  else if (hasChoiceBias) plan.vector(choiceBias ?? "exp_probs_b.bias", count);
  if (isFused) plan.matrix("ffn_gate_up_exps", [read, 2 * length, count]);
  else {
    if (!by.isUngated) each("ffn_gate", [read, length], "gate");
    each("ffn_up", [read, length]);
  }
  each("ffn_down", [length, read], "residual");
  if (by.latent) {
    const name = by.isNemotrons ? "ffn_latent" : "ffn_routed";
    plan.matrix(`${name}_down`, [width, by.latent]);
    if (!by.isNemotrons) plan.headNorm(`${name}_norm`, [by.latent]);
    plan.matrix(`${name}_up`, [by.latent, width], "residual");
  }
  if (by.hasInputNorm) plan.norm("ffn_norm_exps", width);
  if (by.companions) {
    const { groupSize, length: neurons } = by.companions;
    plan.matrix("ffn_gate_chexps", [width, neurons, count / groupSize], "gate");
    plan.matrix("ffn_up_chexps", [width, neurons, count / groupSize]);
    plan.matrix("ffn_down_chexps", [neurons, width, count / groupSize], "residual");
  }
  if (hasBiases) {
    if (hasBiases === true) plan.bias("ffn_gate_inp", count);
    if (!by.isUngated) plan.bias("ffn_gate_exps", length, count);
    plan.bias("ffn_up_exps", length, count);
    plan.bias("ffn_down_exps", read, count);
  }
  if (rank > 0) {
    plan.matrix("ffn_fc1_exps", [width, rank, count]);
    plan.matrix("ffn_fc2_exps", [rank, length, count]);
  }
  planShared(plan, width, by);
}

function planShared(
  plan: TensorPlan,
  width: number,
  { shared, isPlain, isDense, isApart, isFused, isUngated }: NonNullable<TinyFamily["experts"]>,
): void {
  if (!shared) return;
  const suffix = isDense || isApart ? "" : "_shexp";
  if (isApart) {
    plan.matrix("ffn_gate", [width, shared], "gate");
    plan.matrix("ffn_up", [width, shared]);
    return plan.matrix("ffn_down", [shared, width], "residual");
  }
  if (!isPlain) plan.matrix("ffn_gate_inp_shexp", [width], "gate");
  if (!isFused && !isUngated) plan.matrix(`ffn_gate${suffix}`, [width, shared], "gate");
  plan.matrix(`ffn_up${suffix}`, [width, isFused ? 2 * shared : shared]);
  plan.matrix(`ffn_down${suffix}`, [shared, width], "residual");
}
