/** What tiny models hold for state spaces: keys, and the tensors of a layer. */
import { bool, list, type StoredValue, u32 } from "../../src/gguf/mod.ts";
import type { TinyFamily } from "./tiny_family.ts";
import type { TensorPlan, TinyShape } from "./tiny_layout.ts";

/** Of a family that has some. */
export type TinyStateSpace = NonNullable<TinyFamily["stateSpace"]>;

/** Keys without "<architecture>.", and those that say which layers do what. */
export function stateSpaceKeys(
  stateSpace: TinyStateSpace,
  { headCount, headCountKv, feedForwardLength, blockCount }: TinyShape,
  experts: TinyFamily["experts"],
): Record<string, StoredValue> {
  const { inner, state, rank, groups, layers, normalizes, isApart, deltas, isOfHeads } = stateSpace;
  const interval = { "full_attention_interval": u32(layers.indexOf("heads") + 1) };
  if (stateSpace.isLightning) return interval;
  const attends = layers.includes("heads");
  const neurons = experts?.length ?? feedForwardLength;
  const counts = (count: number, kind: TinyStateSpace["layers"][number]) =>
    list(Int32Array.from({ length: blockCount }, (_, i) => layers[i] === kind ? count : 0));
  const hasNone = !attends && !layers.includes("both");
  return {
    ...deltas && deltas !== "keys"
      ? interval
      : attends && { "attention.head_count_kv": counts(headCountKv, "heads") },
    ...isOfHeads &&
      { "attention.head_count": counts(headCount, "heads"), "ssm.group_count": u32(0) },
    ...hasNone && { "attention.head_count": u32(0), "feed_forward_length": u32(0) },
    ...isApart && { "feed_forward_length": counts(neurons, "neurons") },
    "ssm.conv_kernel": u32(4),
    ...deltas === "keys" && { "kda.head_dim": u32(state) },
    "ssm.inner_size": u32(inner),
    "ssm.state_size": u32(state),
    "ssm.time_step_rank": u32(rank),
    ...groups && { "ssm.group_count": u32(groups) },
    ...normalizes === "bare" && { "ssm.dt_b_c_rms": bool(true) },
  };
}

/** The tensors of a layer's state space. */
export function planStateSpace(
  plan: TensorPlan,
  { embeddingLength: width }: TinyShape,
  own: TinyStateSpace,
): void {
  const { inner, state, rank, groups, hasNorm, normalizes, deltas, isOfHeads } = own;
  if (own.isLightning) return planLightning(plan, width, inner);
  if (deltas === "keys") return planKeyDeltas(plan, width, own);
  if (deltas) return planDeltas(plan, width, { inner, state, rank, groups: groups!, deltas });
  if (isOfHeads) return planChannelHeads(plan, width, { inner, state, rank });
  const convolved = inner + 2 * (groups ?? 0) * state;
  const heads = groups ? rank : 0;
  plan.matrix("ssm_in", [width, inner + convolved + heads]);
  plan.matrix("ssm_conv1d", [4, convolved]);
  plan.bias("ssm_conv1d", convolved);
  if (!groups) {
    plan.matrix("ssm_x", [inner, rank + 2 * state]);
    if (normalizes === "weighted") {
      plan.headNorm("ssm_dt_norm", [rank]);
      plan.headNorm("ssm_b_norm", [state]);
      plan.headNorm("ssm_c_norm", [state]);
    }
    plan.matrix("ssm_dt", [rank, inner]);
  }
  plan.bias("ssm_dt", groups ? heads : inner);
  plan.vector("ssm_a", ...groups ? [1, heads] : [state, inner]);
  plan.factors("ssm_d", ...groups ? [1, heads] : [inner]);
  if (groups && hasNorm !== false) plan.headNorm("ssm_norm", [inner / groups, groups]);
  plan.matrix("ssm_out", [inner, width], "residual");
}

/** The same of PLaMo 2, whose norms have no suffix. */
function planChannelHeads(
  plan: TensorPlan,
  width: number,
  { inner, state, rank: heads }: Pick<TinyStateSpace, "inner" | "state" | "rank">,
): void {
  const steps = Math.max(64, width / 16);
  plan.matrix("ssm_in", [width, 2 * inner]);
  plan.matrix("ssm_conv1d", [4, inner]);
  plan.matrix("ssm_x", [inner, steps + 2 * state]);
  for (const [name, length] of [["dt", steps], ["b", state], ["c", state]] as const) {
    plan.wholeNorm(`ssm_${name}_norm`, length);
  }
  plan.matrix("ssm_dt", [steps, heads]);
  plan.bias("ssm_dt", heads);
  plan.vector("ssm_a", heads);
  plan.factors("ssm_d", heads);
  plan.matrix("ssm_out", [inner, width], "residual");
  plan.wholeNorm("post_attention_norm", width);
}

/** The same of MiniMax 01. */
function planLightning(plan: TensorPlan, width: number, inner: number): void {
  plan.headNorm("attn_norm_2", [inner]);
  plan.matrix("attn_qkv", [width, 3 * inner]);
  plan.matrix("attn_gate", [width, inner]);
  plan.matrix("attn_output", [inner, width], "residual");
}

/** The same of Kimi Linear. */
function planKeyDeltas(
  plan: TensorPlan,
  width: number,
  { inner, state, rank: heads, whole, isFlat }: TinyStateSpace,
): void {
  for (const letter of ["q", "k", "v"]) {
    plan.matrix(`attn_${letter}`, [width, inner]);
    plan.matrix(`ssm_conv1d_${letter}`, [4, 1, inner]);
  }
  for (const [name, all] of [["ssm_f", whole?.steps], ["ssm_g", whole?.gate]] as const) {
    if (all) plan.matrix(all, [width, inner]);
    else {
      plan.matrix(`${name}_a`, [width, state]);
      plan.matrix(`${name}_b`, [state, inner]);
    }
  }
  plan.matrix("ssm_beta", [width, heads]);
  plan.bias("ssm_dt", inner);
  plan.vector("ssm_a", ...isFlat ? [heads] : [1, heads]);
  plan.headNorm("ssm_norm", [state]);
  plan.matrix("attn_output", [inner, width], "residual");
}

/** The same where states are corrected. */
function planDeltas(
  plan: TensorPlan,
  width: number,
  by: Pick<Required<TinyStateSpace>, "inner" | "state" | "rank" | "groups" | "deltas">,
): void {
  const { inner, state, rank: heads, groups, deltas } = by;
  const convolved = inner + 2 * groups * state;
  plan.matrix("attn_qkv", [width, convolved]);
  plan.matrix("attn_gate", [width, inner]);
  if (deltas === "mixed") plan.matrix("ssm_ba", [width, 2 * heads]);
  else {
    plan.matrix("ssm_beta", [width, heads]);
    plan.matrix("ssm_alpha", [width, heads]);
  }
  plan.matrix("ssm_conv1d", [4, convolved]);
  plan.bias("ssm_dt", heads);
  plan.vector("ssm_a", heads);
  plan.headNorm("ssm_norm", [inner / heads]);
  plan.matrix("ssm_out", [inner, width], "residual");
}
