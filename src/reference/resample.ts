/** Attention of learned queries to a tower's rows: formulas, in f64. */
import type { ResamplerConfig, ResamplerTensors } from "../model/resampler_types.ts";
import type { NormTensors } from "../model/types.ts";
import { layerNorm } from "./activation_ops.ts";
import type { ReferenceBlocks } from "./blocks.ts";
import { add, filled } from "./ops.ts";
import type { ReferenceWeights } from "./weights.ts";

/** What makes them. */
interface Parts {
  readonly config: ResamplerConfig;
  readonly tensors: ResamplerTensors;
  readonly blocks: ReferenceBlocks;
  readonly weights: ReferenceWeights;
}

/** output · softmax(q · kᵀ / √headDim) · v, [queryCount, E]. */
export function resample(
  rows: Float64Array,
  positions: Int32Array,
  { config, tensors, blocks, weights }: Parts,
): Float64Array {
  const { width, headDim, queryCount, epsilon } = config;
  const normal = (x: Float64Array, { weight, bias }: NormTensors) =>
    layerNorm(x, {
      weight: weights.vector(weight!),
      bias: bias && weights.vector(bias),
      epsilon,
    });
  const made = normal(blocks.project(rows, tensors.input), tensors.inputNorm);
  const count = made.length / width;
  const queries = blocks.project(
    normal(Float64Array.from(weights.vector(tensors.queries)), tensors.queryNorm),
    tensors.query,
  );
  const keys = blocks.project(add(made, placesOf(positions, count, width)), tensors.key);
  const values = blocks.project(made, tensors.value);
  const mixed = new Float64Array(queryCount * width);
  for (let query = 0; query < queryCount; query++) {
    for (let head = 0; head < width; head += headDim) {
      const scores = Array.from({ length: count }, (_, row) => {
        let sum = 0;
        for (let i = 0; i < headDim; i++) {
          sum += queries[query * width + head + i] * keys[row * width + head + i];
        }
        return sum / Math.sqrt(headDim);
      });
      const most = Math.max(...scores);
      const shares = scores.map((score) => Math.exp(score - most));
      const all = shares.reduce((sum, share) => sum + share, 0);
      shares.forEach((share, row) => {
        for (let i = 0; i < headDim; i++) {
          mixed[query * width + head + i] += share / all * values[row * width + head + i];
        }
      });
    }
  }
  return blocks.project(mixed, tensors.output);
}

/** Sines and cosines of columns, then of rows, [count, E]. */
function placesOf(positions: Int32Array, count: number, width: number): Float64Array {
  const quarter = width / 4;
  return filled(count * width, (i) => {
    const [row, number] = [Math.floor(i / width), i % width];
    const place = positions[3 * row + (number < 2 * quarter ? 2 : 1)];
    const angle = place / 10000 ** (number % quarter / quarter);
    return number % (2 * quarter) < quarter ? Math.sin(angle) : Math.cos(angle);
  });
}
