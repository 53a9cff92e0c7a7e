/** Tensors of a layer of Kimi Delta Attention. Knows names and shapes; reads no weights. */
import { check } from "../../base/check.ts";
import type { LayerReader } from "./layer_reader.ts";
import type { KeyDeltaTensors, LowRankTensors, VectorTensor } from "../types.ts";

/**
 * The layer's tensors, checked.
 * @throws {ModelFormatError | UnsupportedModelError} as `readTensors` does.
 */
export function keyDeltaTensors({ checker, at, config, family }: LayerReader): KeyDeltaTensors {
  const { stateSpace, embeddingLength: width } = config;
  check(stateSpace !== null, "the model has states");
  const { innerLength: inner, stateLength: rank, headCount: heads, taps } = stateSpace;
  const matrix = (name: string, rows: number, columns: number) =>
    checker.matrix(`${at}${name}.weight`, { rows, columns });
  const { wholeMatrices: whole } = family.stateSpace!;
  const made = (
    name: string,
    wholeName: string | undefined,
    bias: VectorTensor | null,
  ): LowRankTensors =>
    wholeName === undefined
      ? { first: matrix(`${name}_a`, rank, width), second: matrix(`${name}_b`, inner, rank), bias }
      : { first: null, second: matrix(wholeName, inner, width), bias };
  const taken = (letter: string) =>
    checker.stackedVectors(`${at}ssm_conv1d_${letter}.weight`, taps, inner);
  return {
    query: matrix("attn_q", inner, width),
    key: matrix("attn_k", inner, width),
    value: matrix("attn_v", inner, width),
    output: matrix("attn_output", width, inner),
    convolutions: { query: taken("q"), key: taken("k"), value: taken("v") },
    steps: made("ssm_f", whole?.steps, checker.vector(`${at}ssm_dt.bias`, inner)),
    decay: checker.rowCount(`${at}ssm_a`) === heads
      ? checker.vector(`${at}ssm_a`, 1, heads)
      : checker.vector(`${at}ssm_a`, heads),
    rates: matrix("ssm_beta", heads, width),
    gate: made("ssm_g", whole?.gate, null),
    norm: checker.vector(`${at}ssm_norm.weight`, rank),
  };
}
