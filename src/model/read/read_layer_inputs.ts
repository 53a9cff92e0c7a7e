/**
 * Tensors of what tokens give layers beside the residual stream, and of layers' scales. Knows names
 * and shapes; reads no weights.
 */
import type { LayerReader } from "./layer_reader.ts";
import type { TensorChecker } from "./tensor_checker.ts";
import type { LayerInputTensors, ModelConfig, TokenInputTensors, VectorTensor } from "../types.ts";

/** Null where the model has none. */
export function tokenInputTensors(
  checker: TensorChecker,
  { layerInputLength: length, blockCount, embeddingLength, vocabSize }: ModelConfig,
): TokenInputTensors | null {
  if (length === 0) return null;
  const all = blockCount * length;
  return {
    table: checker.matrix("per_layer_token_embd.weight", { rows: vocabSize, columns: all }),
    projection: checker.matrix("per_layer_model_proj.weight", {
      rows: all,
      columns: embeddingLength,
    }),
    norm: checker.vector("per_layer_proj_norm.weight", length),
  };
}

/** Null where the model has none. */
export function layerInputTensors({ checker, config, at }: LayerReader): LayerInputTensors | null {
  const { layerInputLength: length, embeddingLength: width } = config;
  if (length === 0) return null;
  return {
    gate: checker.matrix(`${at}inp_gate.weight`, { rows: length, columns: width }),
    output: checker.matrix(`${at}proj.weight`, { rows: width, columns: length }),
    norm: { weight: checker.vector(`${at}post_norm.weight`, width), bias: null },
  };
}

/** Null where the family, or the file, has none. */
export function outputScale({ checker, family, at }: LayerReader): VectorTensor | null {
  const name = `${at}layer_output_scale.weight`;
  return family.mayHaveLayerInputs && checker.has(name) ? checker.vector(name, 1) : null;
}
