/** Matrices of one layer and parts of them. Knows biases; not what a matrix is for. */
import type { BiasedMatrix, Family } from "../family.ts";
import type { MatrixShape, TensorChecker } from "./tensor_checker.ts";
import type { MatrixTensor, ModelConfig } from "../types.ts";

/** What reading the tensors of a layer takes. */
export interface LayerReader {
  readonly checker: TensorChecker;
  readonly config: ModelConfig;
  readonly family: Family;
  /** Number of the layer. */
  readonly index: number;
  /** "blk.N.": what the names of the layer's tensors begin with. */
  readonly at: string;
}

/** Some rows of a matrix, with their biases. */
export function rowsOf(matrix: MatrixTensor, start: number, rows: number): MatrixTensor {
  const { bias } = matrix;
  return {
    ...matrix,
    rowStart: matrix.rowStart + start,
    rows,
    bias: bias && { ...bias, start: bias.start + start, length: rows },
  };
}

/** A matrix of the layer with its bias, if there is one: all layers are like the first. */
export function readMatrix(
  { checker, family, at }: LayerReader,
  name: BiasedMatrix,
  shape: MatrixShape,
): MatrixTensor {
  // Behind a norm inside of a block there is nothing to add: such a file is refused.
  const mayBeBiased = !family.hasInnerNorms || name !== "attn_output" && name !== "ffn_down";
  const isBiased = mayBeBiased &&
    (family.requiredBiases.includes(name) || checker.has(`blk.0.${name}.bias`));
  return {
    ...checker.matrix(`${at}${name}.weight`, shape),
    bias: isBiased ? checker.vector(`${at}${name}.bias`, shape.rows) : null,
  };
}
