/**
 * What files of Nemotron 3 have that others have not: metadata that says by layer which keep
 * states, attend or have experts, and the tensors of those that do not attend. Knows nothing of
 * types and values.
 */
import { bool, f32, list, type MetadataEntry, u32 } from "../gguf/mod.ts";
import type { PlannedTensor, TensorRole } from "./layout.ts";
import type { HybridShape, ModelShape } from "./shapes.ts";

/** Entries that add to, or replace, those that all models have; none where layers are alike. */
export function hybridMetadata(shape: ModelShape): MetadataEntry[] {
  const { architecture: arch, hybrid } = shape;
  if (hybrid === undefined) return [];
  const { layers, states: { heads, headDim, groups, length, taps } } = hybrid;
  const where = (kind: string, count: number) =>
    list(Int32Array.from(layers, (layer) => layer === kind ? count : 0));
  return [
    [`${arch}.attention.head_count_kv`, where("*", shape.headCountKv)],
    [`${arch}.feed_forward_length`, where("E", shape.feedForwardLength)],
    [`${arch}.attention.layer_norm_epsilon`, f32(shape.rmsEpsilon)],
    [`${arch}.ssm.conv_kernel`, u32(taps)],
    [`${arch}.ssm.inner_size`, u32(heads * headDim)],
    [`${arch}.ssm.state_size`, u32(length)],
    [`${arch}.ssm.time_step_rank`, u32(heads)],
    [`${arch}.ssm.group_count`, u32(groups)],
    [`${arch}.moe_latent_size`, u32(hybrid.latentLength)],
    [`${arch}.expert_shared_feed_forward_length`, u32(hybrid.sharedLength)],
    [`${arch}.expert_shared_count`, u32(1)],
    [`${arch}.expert_weights_norm`, bool(true)],
    [`${arch}.expert_weights_scale`, f32(hybrid.weightScale)],
  ];
}

/** Of a layer that keeps states or has experts; none of one that attends. */
export function planHybridLayer(
  shape: ModelShape,
  hybrid: HybridShape,
  block: number,
): PlannedTensor[] {
  const tensor = (name: string, role: TensorRole, dims: readonly number[]): PlannedTensor => (
    { name: `blk.${block}.${name}`, role, type: "F32", dims }
  );
  const norm = tensor("attn_norm.weight", "norm", [shape.embeddingLength]);
  switch (hybrid.layers[block]) {
    case "M":
      return [norm, ...planStates(shape, hybrid, tensor)];
    case "E":
      return [norm, ...planExperts(shape, hybrid, tensor)];
    default:
      return [];
  }
}

type Plan = (name: string, role: TensorRole, dims: readonly number[]) => PlannedTensor;

function planStates(
  { embeddingLength: width }: ModelShape,
  { states: { heads, headDim, groups, length, taps } }: HybridShape,
  tensor: Plan,
): PlannedTensor[] {
  const inner = heads * headDim;
  const convolved = inner + 2 * groups * length;
  return [
    tensor("ssm_in.weight", "matrix", [width, inner + convolved + heads]),
    tensor("ssm_conv1d.weight", "matrix", [taps, convolved]),
    tensor("ssm_conv1d.bias", "bias", [convolved]),
    tensor("ssm_dt.bias", "bias", [heads]),
    tensor("ssm_a", "decay", [1, heads]),
    tensor("ssm_d", "norm", [1, heads]),
    tensor("ssm_norm.weight", "norm", [inner / groups, groups]),
    tensor("ssm_out.weight", "residual", [inner, width]),
  ];
}

function planExperts(
  { embeddingLength: width, feedForwardLength: neurons, experts }: ModelShape,
  { latentLength: latent, sharedLength: shared }: HybridShape,
  tensor: Plan,
): PlannedTensor[] {
  const { count } = experts!;
  return [
    tensor("ffn_gate_inp.weight", "matrix", [width, count]),
    tensor("exp_probs_b.bias", "bias", [count]),
    tensor("ffn_latent_down.weight", "matrix", [width, latent]),
    tensor("ffn_latent_up.weight", "residual", [latent, width]),
    tensor("ffn_up_exps.weight", "up", [latent, neurons, count]),
    tensor("ffn_down_exps.weight", "matrix", [neurons, latent, count]),
    tensor("ffn_up_shexp.weight", "up", [width, shared]),
    tensor("ffn_down_shexp.weight", "residual", [shared, width]),
  ];
}
