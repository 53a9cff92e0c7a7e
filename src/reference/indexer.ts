/**
 * Which keys tokens attend to where an indexer chooses them (DeepSeek-AI 2025, "DeepSeek-V3.2",
 * 2.1), as formulas. Knows nothing of attention.
 */
import type { IndexerConfig, IndexerTensors, RopeConfig } from "../model/mod.ts";
import { layerNorm } from "./activation_ops.ts";
import { filled, rope } from "./ops.ts";
import type { ReferenceWeights } from "./weights.ts";

/** What new tokens of a layer bring. */
export interface IndexerInput {
  readonly config: IndexerConfig;
  readonly tensors: IndexerTensors;
  readonly weights: ReferenceWeights;
  /** What attention reads, [n, d], and what queries are made of, [n, queryLength]. */
  readonly h: Float64Array;
  readonly short: Float64Array;
  /** Cosines and sines, [n, dimensionCount]. */
  readonly rotation: Float64Array;
  readonly rope: Pick<RopeConfig, "dimensionCount">;
}

/** Keys of new tokens, [n, headDim]. */
export function indexedKeys(input: IndexerInput): Float64Array {
  const { config: { epsilon }, tensors: { key, keyNorm }, weights, h } = input;
  const made = weights.multiply(key, h);
  const weight = weights.vector(keyNorm.weight), bias = weights.vector(keyNorm.bias);
  return turned(layerNorm(made, { weight, bias, epsilon }), 1, input);
}

/**
 * The positions that each new token attends to, ascending; of equal scores the first ones. keys:
 * of all positions, [p0 + n, headDim], of which token t sees the first p0 + t + 1.
 */
export function chosenKeys(keys: Float64Array, input: IndexerInput): Uint32Array[] {
  const { config: { headCount, headDim, keyCount }, tensors, weights, h, short } = input;
  const made = weights.multiply(tensors.query, short);
  const query = turned(made, headCount, input);
  const counts = weights.multiply(tensors.weights, h);
  const n = counts.length / headCount;
  const p0 = keys.length / headDim - n;
  return Array.from({ length: n }, (_, t) => {
    const scores = filled(p0 + t + 1, (p) => {
      let score = 0;
      for (let head = 0; head < headCount; head++) {
        let dot = 0;
        for (let i = 0; i < headDim; i++) {
          dot += query[(t * headCount + head) * headDim + i] * keys[p * headDim + i];
        }
        score += counts[t * headCount + head] * Math.max(0, dot);
      }
      return score;
    });
    const order = Uint32Array.from(scores, (_, p) => p);
    order.sort((a, b) => scores[b] - scores[a] || a - b);
    return order.subarray(0, keyCount).sort();
  });
}

/** Heads of which some dimensions are turned, [n, heads, headDim]. */
function turned(
  x: Float64Array,
  heads: number,
  { config, rotation, rope: { dimensionCount: rotDim } }: IndexerInput,
): Float64Array {
  const { headDim, start, pairs: kind } = config;
  return rope(x, rotation, { heads, headDim, rotDim, start, kind });
}
