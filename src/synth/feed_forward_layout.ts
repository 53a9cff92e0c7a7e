/**
 * The tensors of a feed-forward block: dense or of experts, with or without predictors. Knows names
 * and dimensions; nothing of types and values.
 */
import type { Extras, PlannedTensor, TensorRole } from "./layout.ts";
import type { ModelShape } from "./shapes.ts";

/** In the order in which values are made: a predictor comes behind the gate that it predicts. */
export function planFeedForward(
  shape: ModelShape,
  block: string,
  { predictorRank, downByNeuron = false }: Extras,
): PlannedTensor[] {
  const { embeddingLength: width, feedForwardLength: neurons, experts } = shape;
  const suffix = experts ? "_exps" : "";
  const matrix = (name: string, dims: readonly number[], role: TensorRole): PlannedTensor => ({
    name: `${block}.${name}${suffix}.weight`,
    role,
    type: "F32",
    dims: experts ? [...dims, experts.count] : dims,
  });
  const plain = (name: string, dims: readonly number[], role: TensorRole): PlannedTensor => (
    { name: `${block}.${name}.weight`, role, type: "F32", dims }
  );
  const isGptOss = shape.architecture === "gpt-oss";
  const biases = isGptOss ? planBiases(shape, block) : [];
  // PowerInfer's names; with experts, which it knows none of, they become those of an FFN.
  const predictor = (name: string) => experts ? `ffn_${name}` : name;
  return [
    plain(isGptOss ? "post_attention_norm" : "ffn_norm", [width], "norm"),
    ...experts ? [plain("ffn_gate_inp", [width, experts.count], "matrix")] : [],
    matrix("ffn_gate", [width, neurons], "gate"),
    matrix("ffn_up", [width, neurons], "up"),
    downByNeuron
      ? matrix("ffn_down_t", [width, neurons], "residualByNeuron")
      : matrix("ffn_down", [neurons, width], "residual"),
    ...biases,
    ...predictorRank === undefined ? [] : [
      matrix(predictor("fc1"), [width, predictorRank], "predictorIn"),
      matrix(predictor("fc2"), [predictorRank, neurons], "predictorOut"),
    ],
  ];
}

/** Of the router and of each expert: of a token's expert a row. */
function planBiases(shape: ModelShape, block: string): PlannedTensor[] {
  const { embeddingLength: width, feedForwardLength: neurons, experts } = shape;
  const bias = (name: string, ...dims: number[]): PlannedTensor => (
    { name: `${block}.${name}.bias`, role: "bias", type: "F32", dims }
  );
  const { count } = experts!;
  return [
    bias("ffn_gate_inp", count),
    bias("ffn_gate_exps", neurons, count),
    bias("ffn_up_exps", neurons, count),
    bias("ffn_down_exps", width, count),
  ];
}
