/** What becomes of a text's rows: formulas, in f64. Judges the pooler and src/llm/text_head.ts. */
import type { ModelConfig, Pooling, TextHeadTensors } from "../model/types.ts";
import { activate, layerNorm } from "./activation_ops.ts";
import type { ReferenceBlocks } from "./blocks.ts";
import { filled, softmax } from "./ops.ts";
import type { ReferenceWeights } from "./weights.ts";

interface Parts {
  readonly config: ModelConfig;
  readonly weights: ReferenceWeights;
  readonly blocks: ReferenceBlocks;
}

/** Of rows [n, embeddingLength] the first, the last, or what they are in the mean. */
export function poolRows(rows: Float64Array, length: number, pooling: Pooling): Float64Array {
  if (pooling === "first") return rows.slice(0, length);
  if (pooling === "last") return rows.slice(rows.length - length);
  const n = rows.length / length;
  return filled(length, (i) => {
    let sum = 0;
    for (let t = 0; t < n; t++) sum += rows[t * length + i];
    return sum / n;
  });
}

/** The text's vector, of its pooled rows x. */
export function projectText(
  x: Float64Array,
  head: TextHeadTensors | undefined,
  { blocks }: Parts,
): Float64Array {
  return (head?.projections ?? []).reduce((vector, matrix) => blocks.project(vector, matrix), x);
}

/** How well the second text of a pair goes with the first, of its pooled rows x. */
export function scoreText(
  x: Float64Array,
  { ranker }: TextHeadTensors,
  { config, weights, blocks }: Parts,
): number {
  const { dense, activation, norm, output, isSoftmax } = ranker!;
  let hidden = x;
  if (dense !== null) {
    const product = blocks.project(x, dense);
    hidden = activation === "tanh" ? product.map(Math.tanh) : activate(activation, product);
  }
  if (norm !== null) {
    const of = { weight: weights.vector(norm), bias: null, epsilon: config.norm.epsilon };
    hidden = layerNorm(hidden, of);
  }
  const rows = output === null ? hidden : blocks.project(hidden, output);
  return isSoftmax ? softmax(rows)[0] : rows[0];
}
