/** A layer's share as the walk uses it: addresses and sizes, bound once when the rank starts. */
import { type Matrix, matrixOf, readsQ8 } from "./matrix.ts";
import type { LayerPlan, VectorPlan } from "./plan_types.ts";

export interface Layer {
  /** The arena it lies in. */
  readonly arena: number;
  /** f32 [embeddingLength]. */
  readonly attentionNorm: number;
  readonly query: Matrix;
  readonly key: Matrix;
  readonly value: Matrix;
  /** f32 [rows of the matrix], or 0 where the model has none. */
  readonly queryBias: number;
  readonly keyBias: number;
  readonly valueBias: number;
  readonly attentionOutput: Matrix;
  readonly feedForwardNorm: number;
  readonly gate: Matrix;
  readonly up: Matrix;
  readonly down: Matrix;
  readonly keys: number;
  readonly values: number;
  /** True when one of query, key, value reads q8 tiles. */
  readonly projectionsReadQ8: boolean;
  /** True when gate or up reads q8 tiles. */
  readonly neuronsReadQ8: boolean;
}

export function bindLayer(plan: LayerPlan): Layer {
  const query = matrixOf(plan.query);
  const key = matrixOf(plan.key);
  const value = matrixOf(plan.value);
  const gate = matrixOf(plan.gate);
  const up = matrixOf(plan.up);
  return {
    arena: plan.arena,
    attentionNorm: plan.attentionNorm.offsetBytes,
    query,
    key,
    value,
    queryBias: addressOf(plan.queryBias),
    keyBias: addressOf(plan.keyBias),
    valueBias: addressOf(plan.valueBias),
    attentionOutput: matrixOf(plan.attentionOutput),
    feedForwardNorm: plan.feedForwardNorm.offsetBytes,
    gate,
    up,
    down: matrixOf(plan.down),
    keys: plan.keysOffsetBytes,
    values: plan.valuesOffsetBytes,
    projectionsReadQ8: readsQ8(query) || readsQ8(key) || readsQ8(value),
    neuronsReadQ8: readsQ8(gate) || readsQ8(up),
  };
}

function addressOf(vector: VectorPlan | null): number {
  return vector === null ? 0 : vector.offsetBytes;
}
