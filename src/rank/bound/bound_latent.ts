/** Latent attention as the walk uses it: matrices, those of heads one by one, bound once. */
import { bindIndexer, type IndexerMatrices } from "./bound_indexer.ts";
import { type Matrix, matrixOf, readsQ8 } from "./matrix.ts";
import type { LatentPlan } from "../plan/plan_latent.ts";

/** Matrices of latent attention, those of heads one by one. */
export interface LatentMatrices {
  readonly queryDown: { readonly matrix: Matrix; readonly norm: number } | null;
  /** [turnedDim, …] of each own head. */
  readonly turnedQueries: readonly Matrix[];
  readonly plainQuery: Matrix;
  /** Address of f32 [length]. */
  readonly norm: number;
  readonly keyUps: readonly Matrix[];
  readonly valueUps: readonly Matrix[];
  /** Null: the layer chooses no keys. */
  readonly indexer: IndexerMatrices | null;
  /** What reads the norm of the residual stream reads q8 tiles; so do queries. */
  readonly readsQ8: boolean;
  readonly queriesReadQ8: boolean;
}

export function bindLatent(
  plan: {
    readonly query: Matrix;
    readonly key: Matrix;
    readonly attentionGate: { readonly matrix: Matrix } | null;
    readonly latent: LatentPlan;
  },
  headCount: number,
): LatentMatrices {
  const { queryDown, plainQuery, norm, keyUp, valueUp } = plan.latent;
  const { query, attentionGate: gate } = plan;
  const down = queryDown &&
    { matrix: matrixOf(queryDown.matrix), norm: queryDown.norm.offsetBytes };
  const indexer = plan.latent.indexer && bindIndexer(plan.latent.indexer);
  const queriesReadQ8 = readsQ8(query) || (indexer?.queriesReadQ8 ?? false);
  return {
    queryDown: down,
    turnedQueries: byHead(query, headCount),
    plainQuery: matrixOf(plainQuery),
    norm: norm.offsetBytes,
    keyUps: byHead(matrixOf(keyUp), headCount),
    valueUps: byHead(matrixOf(valueUp), headCount),
    indexer,
    readsQ8: readsQ8(plan.key) || (gate !== null && readsQ8(gate.matrix)) ||
      (indexer?.readsQ8 ?? false) ||
      (down ? readsQ8(down.matrix) : queriesReadQ8),
    queriesReadQ8,
  };
}

/** As many packed rows for each head, be they rows or, neuron by neuron, columns. */
function byHead(matrix: Matrix, headCount: number): Matrix[] {
  const isByNeurons = matrix.layout === "neurons";
  const rows = (isByNeurons ? matrix.columnCount : matrix.rowCount) / headCount;
  return Array.from({ length: headCount }, (_, head) => ({
    ...matrix,
    offsetBytes: matrix.offsetBytes + head * rows * matrix.rowStrideBytes,
    ...isByNeurons ? { columnCount: rows } : { rowCount: rows },
  }));
}
