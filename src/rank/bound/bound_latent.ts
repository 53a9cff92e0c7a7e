/** Latent attention as the walk uses it: matrices, those of heads one by one, bound once. */
import { addressOf } from "./bound_norm.ts";
import { bindIndexer, type IndexerMatrices } from "./bound_indexer.ts";
import { type Matrix, matrixOf, partOfRows, readsQ8 } from "./matrix.ts";
import type { LayerPlan } from "../plan/plan_types.ts";
import { lengthOf } from "../plan/shard.ts";

/** Matrices of latent attention, those of heads one by one. */
export interface LatentMatrices {
  readonly queryDown: { readonly matrix: Matrix; readonly norm: number } | null;
  /** [turnedDim, …] of each own head. */
  readonly turnedQueries: readonly Matrix[];
  readonly plainQuery: Matrix;
  /** Address of f32 [length]; and of f32 [turnedDim], or 0. */
  readonly norm: number;
  readonly turnedNorm: number;
  readonly keyUps: readonly Matrix[];
  readonly valueUps: readonly Matrix[];
  /** Null: the layer chooses no keys. */
  readonly indexer: IndexerMatrices | null;
  /** What reads the norm of the residual stream reads q8 tiles; so do queries. */
  readonly readsQ8: boolean;
  readonly queriesReadQ8: boolean;
}

/** gate: what gates heads, or null. */
export function bindLatent(
  { latent, heads }: Pick<LayerPlan, "latent" | "heads">,
  { query, key, gate }: {
    readonly query: Matrix;
    readonly key: Matrix;
    readonly gate: { readonly matrix: Matrix } | null;
  },
): LatentMatrices | null {
  if (latent === null) return null;
  const headCount = lengthOf(heads);
  const { queryDown, plainQuery, norm, turnedNorm, keyUp, valueUp } = latent;
  const down = queryDown &&
    { matrix: matrixOf(queryDown.matrix), norm: queryDown.norm.offsetBytes };
  const indexer = latent.indexer && bindIndexer(latent.indexer);
  const queriesReadQ8 = readsQ8(query) || (indexer?.queriesReadQ8 ?? false);
  return {
    queryDown: down,
    turnedQueries: byHead(query, headCount),
    plainQuery: matrixOf(plainQuery),
    ...{ norm: norm.offsetBytes, turnedNorm: addressOf(turnedNorm) },
    keyUps: byHead(matrixOf(keyUp), headCount),
    valueUps: byHead(matrixOf(valueUp), headCount),
    indexer,
    readsQ8: readsQ8(key) || (indexer?.readsQ8 ?? false) ||
      gate !== null && readsQ8(gate.matrix) ||
      (down ? readsQ8(down.matrix) : queriesReadQ8),
    queriesReadQ8,
  };
}

/** As many packed rows for each head, be they rows or, neuron by neuron, columns. */
function byHead(matrix: Matrix, headCount: number): Matrix[] {
  const isByNeurons = matrix.layout === "neurons";
  const rows = (isByNeurons ? matrix.columnCount : matrix.rowCount) / headCount;
  const heads = Array.from({ length: headCount }, (_, head) => partOfRows(matrix, head, rows));
  if (!isByNeurons) return heads;
  return heads.map((head) => ({ ...head, rowCount: matrix.rowCount, columnCount: rows }));
}
