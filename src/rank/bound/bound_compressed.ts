/** Heads whose keys are compressed as the walk uses them: bound once. */
import { floats } from "./arena_views.ts";
import { type Matrix, matrixOf, partOfRows, readsQ8 } from "./matrix.ts";
import type { CompressedPlan, CompressorPlan } from "../plan/plan_compressed.ts";
import { lengthOf } from "../plan/shard.ts";

/** What makes keys of several tokens'. */
export interface Compressor {
  readonly key: Matrix;
  readonly gate: Matrix;
  /** [ratio, rows of key], and [dimensions]. */
  readonly places: Float32Array;
  readonly norm: Float32Array;
}

export interface CompressedMatrices {
  /** norm: address of f32 [queryLength]. */
  readonly queryDown: { readonly matrix: Matrix; readonly norm: number };
  /** Of own groups, [groupLength, heads of a group · headDim] each. */
  readonly groups: readonly Matrix[];
  readonly keys: Compressor | null;
  readonly indexer: {
    readonly query: Matrix;
    readonly weights: Matrix;
    readonly keys: Compressor;
  } | null;
  /** What reads the norm of the residual stream reads q8 tiles; so do queries. */
  readonly readsQ8: boolean;
  readonly queriesReadQ8: boolean;
}

export function bindCompressed(
  plan: { readonly query: Matrix; readonly key: Matrix; readonly compressed: CompressedPlan },
  { groupLength, memory }: { readonly groupLength: number; readonly memory: WebAssembly.Memory },
): CompressedMatrices {
  const { queryDown, groups, keys, indexer } = plan.compressed;
  const bound = {
    queryDown: { matrix: matrixOf(queryDown.matrix), norm: queryDown.norm.offsetBytes },
    groups: byGroup(matrixOf(groups), groupLength),
    keys: keys && bindCompressor(keys, memory),
    indexer: indexer && {
      query: matrixOf(indexer.query),
      weights: matrixOf(indexer.weights),
      keys: bindCompressor(indexer.keys, memory),
    },
  };
  const reading = [plan.key, bound.queryDown.matrix];
  for (const each of [bound.keys, bound.indexer?.keys]) {
    if (each) reading.push(each.key, each.gate);
  }
  if (bound.indexer) reading.push(bound.indexer.weights);
  return {
    ...bound,
    readsQ8: reading.some(readsQ8),
    queriesReadQ8: readsQ8(plan.query) || bound.indexer !== null && readsQ8(bound.indexer.query),
  };
}

function bindCompressor(
  { key, gate, places, norm }: CompressorPlan,
  memory: WebAssembly.Memory,
): Compressor {
  return {
    ...{ key: matrixOf(key), gate: matrixOf(gate) },
    places: floats(memory, places.offsetBytes, lengthOf(places.range)),
    norm: floats(memory, norm.offsetBytes, lengthOf(norm.range)),
  };
}

function byGroup(matrix: Matrix, rows: number): Matrix[] {
  const count = matrix.rowCount / rows;
  return Array.from({ length: count }, (_, group) => partOfRows(matrix, group, rows));
}
