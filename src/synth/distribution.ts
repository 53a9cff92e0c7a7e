/**
 * How large random weights must be for a model to behave: activations stay of size 1 through any
 * number of blocks, and logits have a deviation of 2, so that the best is seldom a close call.
 */
import type { PlannedTensor } from "./layout.ts";

/** Mean and standard deviation of a tensor's weights. */
export interface Distribution {
  readonly mean: number;
  readonly deviation: number;
}

const LOGITS_DEVIATION = 2;

/**
 * Rows of deviation 1/√K give products of size 1. The output projection sees inputs of size 1, so
 * its deviation times √K is that of the logits.
 */
export function weightDistribution(tensor: PlannedTensor, model: { tied: boolean }): Distribution {
  const fan = 1 / Math.sqrt(tensor.dims[0]);
  switch (tensor.role) {
    case "norm":
      return { mean: 1, deviation: 0.1 };
    case "bias":
      return { mean: 0, deviation: 0.3 };
    case "decay":
      return { mean: -4, deviation: 0.5 };
    case "gate":
    case "up":
    case "matrix":
    case "predictorIn":
    case "predictorOut":
      return { mean: 0, deviation: fan };
    case "residual":
      // The output row of the last token answers to its own embedding: blocks must drown that out.
      return { mean: 0, deviation: model.tied ? 4 * fan : fan };
    case "residualByNeuron":
      return { mean: 0, deviation: 1 / Math.sqrt(tensor.dims[1]) };
    case "output":
      return { mean: 0, deviation: LOGITS_DEVIATION * fan };
    case "embedding":
      return { mean: 0, deviation: model.tied ? LOGITS_DEVIATION * fan : 1 };
  }
}
