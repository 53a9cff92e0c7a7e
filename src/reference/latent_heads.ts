/**
 * Queries, keys and values of all heads from latents, as DeepSeek-V2 defines them: each head has
 * its own keys and values, made anew of every token's latent. The engine never makes these.
 */
import { check } from "../base/check.ts";
import {
  configOf,
  headMatrices,
  type HeadRows,
  type LatentTensors,
  type LayerTensors,
  type MatrixTensor,
  type ModelConfig,
  ownKeyDim,
  type VectorTensor,
} from "../model/mod.ts";
import { matmul, rmsNorm } from "./ops.ts";
import type { ReferenceWeights } from "./weights.ts";

/** Heads before they are turned: their first dimensions will be. */
export interface OwnHeads {
  /** [n, heads, turned + plain], keys alike. */
  readonly query: Float64Array;
  readonly key: Float64Array;
  /** [n, heads, valueDim]. */
  readonly value: Float64Array;
}

/** Heads of the model as it is defined: with latents all have keys and values of their own. */
export function ownShape(
  config: ModelConfig,
  layer: number,
): { readonly kvHeads: number; readonly keyDim: number; readonly valueDim: number } {
  const { latent, headCount, headCountKv, headDim, valueDim } = configOf(config, layer);
  return latent === null
    ? { kvHeads: headCountKv, keyDim: headDim, valueDim }
    : { kvHeads: headCount, keyDim: ownKeyDim(latent), valueDim: latent.valueDim };
}

/** h: what attention reads, [n, d]. */
export function latentHeads(
  h: Float64Array,
  tensors: LayerTensors,
  { config, weights }: { config: ModelConfig; weights: ReferenceWeights },
): OwnHeads {
  const { latent: shape, headCount, norm: { epsilon } } = config;
  const { latent } = tensors;
  check(shape !== null && latent !== null, "the model has latents");
  const { length, turnedDim, plainDim, valueDim } = shape;
  const project = (x: Float64Array, matrix: MatrixTensor) => weights.multiply(matrix, x);
  const norm = (x: Float64Array, weight: VectorTensor) =>
    rmsNorm(x, weights.vector(weight), epsilon);

  const short = queryInput(h, latent, { config, weights });
  const matrices = headMatrices(tensors);
  const stored = project(short, matrices.query); // [n, heads, plain + turned]
  const both = project(h, matrices.key); // [n, latent + turned]
  const n = both.length / (length + turnedDim);

  const keyDim = ownKeyDim(shape);
  const query = new Float64Array(n * headCount * keyDim);
  const key = new Float64Array(n * headCount * keyDim);
  const value = new Float64Array(n * headCount * valueDim);
  for (let t = 0; t < n; t++) {
    const own = both.subarray(t * (length + turnedDim), (t + 1) * (length + turnedDim));
    const c = norm(own.slice(0, length), latent.norm);
    const { turnedNorm } = latent, shared = own.slice(length);
    const turned = turnedNorm === undefined ? shared : norm(shared, turnedNorm);
    for (let head = 0; head < headCount; head++) {
      const at = (t * headCount + head) * keyDim;
      query.set(stored.subarray(at + plainDim, at + keyDim), at);
      query.set(stored.subarray(at, at + plainDim), at + turnedDim);
      key.set(turned, at);
      key.set(plainKey(c, head, latent, weights), at + turnedDim);
      const rows = weights.matrix(rowsOfHead(latent.valueUp, head));
      value.set(matmul(rows, c, length), (t * headCount + head) * valueDim);
    }
  }
  return { query, key, value };
}

/** What queries are made of, [n, queryLength], or [n, d]. */
export function queryInput(
  h: Float64Array,
  { queryDown }: LatentTensors,
  { config: { norm }, weights }: { config: ModelConfig; weights: ReferenceWeights },
): Float64Array {
  if (queryDown === null) return h;
  const { matrix } = queryDown;
  const made = weights.multiply(matrix, h);
  return rmsNorm(made, weights.vector(queryDown.norm), norm.epsilon);
}

/** The plain part of a head's key, [plainDim]; c: a token's latent. */
function plainKey(
  c: Float64Array,
  head: number,
  { keyUp, isKeyUpTransposed }: LatentTensors,
  weights: ReferenceWeights,
): Float64Array {
  const rows = rowsOfHead(keyUp, head);
  return matmul(isKeyUpTransposed ? weights.matrix(rows) : weights.transposed(rows), c, c.length);
}

function rowsOfHead({ matrix, step, start, count }: HeadRows, head: number): MatrixTensor {
  return { ...matrix, rowStart: matrix.rowStart + head * step + start, rows: count };
}
