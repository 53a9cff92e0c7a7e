/**
 * A predictor that names every neuron: of an expert that too few tokens chose to learn anything. A
 * token that does choose it gets what it would get without predictors, in a little more time.
 */
import { encodeMatrix } from "./encode_matrix.ts";
import { type BlockSamples, firingRates } from "./samples.ts";
import type { PredictorType, TrainedPredictor } from "./trained_predictor.ts";

/**
 * Scores are sums of sizes of the input's dimensions: never below 0, and above any threshold that
 * scores of others reach.
 */
export function allFiring(
  samples: BlockSamples,
  { rank, types }: { rank: number; types: readonly PredictorType[] },
): TrainedPredictor {
  const { inputLength, neuronCount, count } = samples;
  const rows = new Float32Array(rank * inputLength);
  // Units come in pairs, a dimension and its opposite, of which ReLU lets one through.
  for (let k = 0; k < rank; k++) {
    rows[k * inputLength + (k >> 1) % inputLength] = k % 2 === 0 ? 1 : -1;
  }
  const ones = new Float32Array(neuronCount * rank).fill(1);
  const all = Int32Array.from({ length: count }, (_, i) => i);
  const firedShare = firingRates(samples, all).reduce((sum, rate) => sum + rate, 0) / neuronCount;
  return {
    fc1: encodeMatrix(rows, { rows: rank, columns: inputLength }, types),
    fc2: encodeMatrix(ones, { rows: neuronCount, columns: rank }, types),
    quality: { recall: 1, precision: firedShare, predictedShare: 1, firedShare },
  };
}
