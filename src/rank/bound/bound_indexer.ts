/** An indexer as the walk uses it: matrices and addresses, bound once. */
import type { IndexerPlan } from "../plan/plan_indexer.ts";
import { type Matrix, matrixOf, readsQ8 } from "./matrix.ts";

export interface IndexerMatrices {
  readonly query: Matrix;
  readonly key: Matrix;
  /** Addresses of f32 [dimensions]. */
  readonly keyWeight: number;
  readonly keyBias: number;
  readonly weights: Matrix;
  /** What reads the norm of the residual stream reads q8 tiles; so do queries. */
  readonly readsQ8: boolean;
  readonly queriesReadQ8: boolean;
}

export function bindIndexer(plan: IndexerPlan): IndexerMatrices {
  const { keyNorm } = plan;
  const [query, key, weights] = [plan.query, plan.key, plan.weights].map(matrixOf);
  return {
    ...{ query, key, weights },
    keyWeight: keyNorm.weight.offsetBytes,
    keyBias: keyNorm.bias.offsetBytes,
    readsQ8: readsQ8(key) || readsQ8(weights),
    queriesReadQ8: readsQ8(query),
  };
}
