/** What chooses blocks of keys as the walk uses it: matrices and addresses, bound once. */
import type { BlockIndexerPlan } from "../plan/plan_block_indexer.ts";
import { type Matrix, matrixOf, readsQ8 } from "./matrix.ts";

export interface BlockIndexerMatrices {
  readonly query: Matrix;
  readonly key: Matrix;
  /** Addresses of f32 [dimensions]. */
  readonly queryWeight: number;
  readonly keyWeight: number;
  /** What reads the norm of the residual stream reads q8 tiles. */
  readonly readsQ8: boolean;
}

export function bindBlockIndexer(plan: BlockIndexerPlan): BlockIndexerMatrices {
  const [query, key] = [plan.query, plan.key].map(matrixOf);
  return {
    ...{ query, key },
    queryWeight: plan.queryNorm.offsetBytes,
    keyWeight: plan.keyNorm.offsetBytes,
    readsQ8: readsQ8(query) || readsQ8(key),
  };
}
