/** What a tiny model whose layers differ has more, or not, in each of them. */
import { list, type StoredValue, u32 } from "../../src/gguf/mod.ts";
import type { TinyFamily } from "./tiny_family.ts";
import type { TensorPlan, TinyShape } from "./tiny_layout.ts";

type TinyLayered = NonNullable<TinyFamily["layered"]>;

/** Of experts and the dense block beside them, without ".weight". */
export const APART_NORMS = ["pre_ffw_norm_2", "post_ffw_norm_1", "post_ffw_norm_2"];

export function layeredKeys(layered: TinyLayered, shape: TinyShape): Record<string, StoredValue> {
  const { windowed, windowedDim, headsKv, neurons, sharing = 0, inputLength = 0 } = layered;
  const { altUp } = layered;
  return {
    "attention.sliding_window": u32(8),
    "attention.sliding_window_pattern": list(Int32Array.from(windowed, Number)),
    ...altUp === undefined
      ? {
        "attention.key_length_swa": u32(windowedDim),
        "attention.value_length_swa": u32(windowedDim),
        "rope.dimension_count_swa": u32(windowedDim),
      }
      : {
        "altup.active_idx": u32(0),
        "altup.num_inputs": u32(altUp.streams),
        "activation_sparsity_scale": list(Float32Array.from(altUp.cutoffs)),
      },
    "rope.dimension_count": u32(shape.headDim),
    "attention.shared_kv_layers": u32(sharing),
    "embedding_length_per_layer_input": u32(inputLength),
    ...headsKv && { "attention.head_count_kv": list(Int32Array.from(headsKv)) },
    ...neurons && { "feed_forward_length": list(Int32Array.from(neurons)) },
  };
}

export function unevenKeys(
  { heads, headsKv, neurons }: NonNullable<TinyFamily["uneven"]>,
): Record<string, StoredValue> {
  return {
    "attention.head_count": list(Int32Array.from(heads)),
    "attention.head_count_kv": list(Int32Array.from(headsKv)),
    "feed_forward_length": list(Int32Array.from(neurons)),
  };
}

/** The model as the layer has it. */
export function layerShape(
  shape: TinyShape,
  { layered, uneven }: TinyFamily,
  block: number,
): TinyShape {
  if (uneven) {
    return {
      ...shape,
      headCount: uneven.heads[block],
      headCountKv: uneven.headsKv[block],
      feedForwardLength: uneven.neurons[block],
    };
  }
  if (!layered) return shape;
  const { windowed, windowedDim, headsKv, neurons } = layered;
  return {
    ...shape,
    headDim: windowed[block] ? windowedDim : shape.headDim,
    headCountKv: headsKv?.[block] ?? shape.headCountKv,
    feedForwardLength: neurons?.[block] ?? shape.feedForwardLength,
  };
}

export function hasKeys({ layered }: TinyFamily, shape: TinyShape, block: number): boolean {
  return layered?.keepsKeys === true || block < shape.blockCount - (layered?.sharing ?? 0);
}

export function hasValues(family: TinyFamily, shape: TinyShape, block: number): boolean {
  const { layered } = family;
  const areKeys = layered?.valuesAreKeys === true && !layered.windowed[block];
  return hasKeys(family, shape, block) && !areKeys;
}

/** Factors of rotation of a fourth of the dimensions are 1; what tokens give all layers. */
export function planModelInputs(
  plan: TensorPlan,
  { embeddingLength: width, headDim, blockCount, vocabSize }: TinyShape,
  { inputLength, altUp }: TinyLayered,
): void {
  if (!altUp) plan.factors("rope_freqs.weight", headDim / 2);
  else {
    plan.matrix("altup_proj", [width, width, altUp.streams - 1]);
    plan.matrix("altup_unembd_proj", [width, width, altUp.streams - 1]);
  }
  if (!inputLength) return;
  const all = blockCount * inputLength;
  plan.matrix("per_layer_token_embd", [all, vocabSize], "embedding");
  plan.matrix("per_layer_model_proj", [width, all]);
  plan.factors("per_layer_proj_norm.weight", inputLength);
}

export function planLayerEnd(
  plan: TensorPlan,
  { embeddingLength: width }: TinyShape,
  { inputLength, altUp }: TinyLayered,
): void {
  if (altUp) planAltUp(plan, width, altUp);
  else plan.factors("layer_output_scale.weight", 1);
  if (!inputLength) return;
  plan.matrix("inp_gate", [width, inputLength], "gate");
  plan.matrix("proj", [inputLength, width], "residual");
  plan.factors("post_norm.weight", width);
}

function planAltUp(
  plan: TensorPlan,
  width: number,
  { streams, rank }: NonNullable<TinyLayered["altUp"]>,
): void {
  plan.matrix("altup_router", [width, streams]);
  plan.factors("altup_router_norm.weight", width);
  plan.vector("altup_predict_coef.weight", streams, streams * streams);
  plan.vector("altup_correct_coef.weight", streams, streams);
  plan.factors("altup_correct_scale.weight", width);
  plan.matrix("laurel_l", [width, rank]);
  plan.matrix("laurel_r", [rank, width]);
  plan.factors("laurel_post_norm.weight", width);
}

/**
 * What the router reads is divided by the width: its rows are longer by as much. Layers add less
 * than elsewhere, or what rounding makes different grows from layer to layer.
 */
export function sizeOfStreams(name: string, { embeddingLength }: TinyShape): number {
  if (name.endsWith(".altup_router.weight")) return embeddingLength;
  if (/post_(\w+_)?norm/.test(name)) return 0.5;
  return /altup_(predict|correct)_coef|attn_q_norm/.test(name) ? 0.2 : 1;
}
