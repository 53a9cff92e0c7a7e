/**
 * Which blocks of keys heads attend to where they choose some ("MiniMax Sparse Attention"), as
 * formulas. Knows nothing of attention.
 */
import type { LayerTensors, MatrixTensor, ModelConfig, VectorTensor } from "../model/mod.ts";
import type { RopeConfig } from "../model/mod.ts";
import { rmsNorm, rope } from "./ops.ts";
import type { ReferenceWeights } from "./weights.ts";

/** What new tokens of a layer bring. */
export interface BlockIndexerInput {
  readonly config: ModelConfig;
  readonly layer: LayerTensors;
  readonly weights: ReferenceWeights;
  /** What attention reads, [n, d]. */
  readonly h: Float64Array;
  /** Cosines and sines, [n, dimensionCount]. */
  readonly rotation: Float64Array;
  readonly rope: RopeConfig;
}

/** Numbers of the cache that stay, and keys of new tokens, [n, headDim]. */
export function blockKeys(
  input: BlockIndexerInput,
  fromPosition: number,
): [kept: number, keys: Float64Array] {
  const { key, keyNorm } = input.layer.blockIndexer!;
  const { headDim } = input.config.blockIndexer!;
  return [fromPosition * headDim, heads(key, { norm: keyNorm, count: 1 }, input)];
}

/**
 * The positions that a new token attends to by a key/value head, ascending; of equal blocks the
 * first ones. keys: of all positions, [p0 + n, headDim]; token t sees the first p0 + t + 1.
 */
export function chosenBlocks(
  keys: Float64Array,
  input: BlockIndexerInput,
): (t: number, kvHead: number) => number[] {
  const { config: { headCountKv: count, blockIndexer } } = input;
  const { headDim, blockPositions: width, blockCount, lastBlocks } = blockIndexer!;
  const { query, queryNorm } = input.layer.blockIndexer!;
  const queries = heads(query, { norm: queryNorm, count }, input);
  const p0 = (keys.length - queries.length / count) / headDim;
  return (t, kvHead) => {
    const end = p0 + t + 1;
    const best = new Float64Array(Math.ceil(end / width)).fill(-Infinity);
    for (let p = 0; p < end; p++) {
      let dot = 0;
      for (let i = 0; i < headDim; i++) {
        dot += queries[(t * count + kvHead) * headDim + i] * keys[p * headDim + i];
      }
      best[Math.floor(p / width)] = Math.max(best[Math.floor(p / width)], dot);
    }
    best.fill(Infinity, Math.max(0, best.length - lastBlocks));
    const order = Array.from(best, (_, block) => block);
    order.sort((a, b) => best[a] === best[b] ? a - b : best[b] - best[a]);
    const chosen = new Set(order.slice(0, blockCount));
    return Array.from({ length: end }, (_, p) => p)
      .filter((p) => chosen.has(Math.floor(p / width)));
  };
}

/** Normalised and turned, [n, count, headDim]. */
function heads(
  matrix: MatrixTensor,
  { norm, count }: { readonly norm: VectorTensor; readonly count: number },
  { config, weights, h, rotation, rope: { kind, dimensionCount: rotDim } }: BlockIndexerInput,
): Float64Array {
  const { headDim } = config.blockIndexer!;
  const made = weights.multiply(matrix, h);
  const normed = rmsNorm(made, weights.vector(norm), config.norm.epsilon);
  return rope(normed, rotation, { heads: count, headDim, rotDim, kind });
}
