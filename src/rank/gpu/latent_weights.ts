/**
 * What a layer with latent attention has on the GPU: products that make queries and the key that
 * all heads share, and the matrices of heads. Knows plans; what is computed is in latent_heads.ts.
 */
import { check } from "../../base/check.ts";
import { ownKeyDim } from "../../model/latent.ts";
import type { LatentConfig } from "../../model/types.ts";
import type { LatentPlan } from "../plan/plan_latent.ts";
import type { LayerPlan, MatrixPlan, VectorPlan } from "../plan/plan_types.ts";
import { eachRange } from "../plan/ranges.ts";
import { lengthOf, type Range } from "../plan/shard.ts";
import { type GpuLoader, loadProducts, type Product, type Stacked } from "./gpu_weights.ts";

export interface LatentWeights {
  /** Makes own queries, [turned, plain] each, of what attention reads or what `queryNorm` gives. */
  readonly query: Stacked;
  /** f32 [queryLength]; null: queries are made of what attention reads. */
  readonly queryNorm: GPUBuffer | null;
  /** f32 [length]. */
  readonly norm: GPUBuffer;
  /** Of own heads one below the other, [length, plainDim] and [valueDim, length] each. */
  readonly keyUp: Stacked;
  readonly valueUp: Stacked;
}

/** Where in a token's row what heads are made of begins: own queries, the key, the short query. */
export function latentColumns(
  latent: LatentConfig,
  heads: number,
): { key: number; shortQuery: number; width: number } {
  const key = heads * ownKeyDim(latent);
  const shortQuery = key + latent.turnedDim + latent.length;
  return { key, shortQuery, width: shortQuery + latent.queryLength };
}

/** @returns also products that read what attention reads, but for queries. */
export async function loadLatent(
  loader: GpuLoader,
  plan: LayerPlan,
  latent: LatentConfig,
): Promise<{ weights: LatentWeights; projections: Product[] }> {
  const { query, key } = plan;
  const heads = lengthOf(plan.heads);
  check(plan.latent !== null && query !== null && key !== null, "the layer has latents");
  const { queryDown, plainQuery, norm, keyUp, valueUp } = plan.latent;
  const { key: column } = latentColumns(latent, heads);
  const matrices = queryDown === null ? [key] : [key, queryDown.matrix];
  const products = await loadProducts(loader, matrices);
  const keyUps = keyUp.isTransposed ? byHead(keyUp, latent.plainDim, heads) : [keyUp];
  return {
    projections: products.map((each) => ({ ...each, column: column + each.column })),
    weights: {
      query: await loader.stack([wholeQueries(query, plainQuery)]),
      queryNorm: queryDown && await loader.vector(queryDown.norm),
      norm: await loader.vector(norm),
      keyUp: await loader.stack(keyUps, { experts: heads }),
      valueUp: await loader.stack([valueUp], { experts: heads }),
    },
  };
}

/** Of each head the turned part, then the plain one. */
function wholeQueries(turned: MatrixPlan, plain: LatentPlan["plainQuery"]): MatrixPlan {
  return {
    ...turned,
    rows: { start: 0, end: lengthOf(turned.rows) + lengthOf(plain.rows) },
    picked: { axis: "rows", ranges: inTurns(rangesOf(turned.picked), rangesOf(plain.picked)) },
    bias: turned.bias && wholeBias(turned.bias, plain.bias),
  };
}

function wholeBias(turned: VectorPlan, plain: VectorPlan | null): VectorPlan {
  check(plain !== null, "both parts of queries are of one matrix");
  const length = lengthOf(turned.range) + lengthOf(plain.range);
  const picked = inTurns([...eachRange(turned.picked ?? [])], [...eachRange(plain.picked ?? [])]);
  return { ...turned, range: { start: 0, end: length }, picked };
}

function rangesOf(picked: MatrixPlan["picked"]): readonly Range[] {
  check(picked?.axis === "rows", "of each head a part of its rows is picked");
  return [...eachRange(picked.ranges)];
}

function inTurns(first: readonly Range[], second: readonly Range[]): Range[] {
  check(first.length === second.length, "each head has both parts");
  return first.flatMap((range, i) => [range, second[i]]);
}

/** Heads whose columns are picked rows of the file, one below the other. */
function byHead(matrix: MatrixPlan, columns: number, heads: number): MatrixPlan[] {
  const ranges = rangesOf(matrix.picked);
  check(ranges.length === heads, "of each head some rows are picked");
  return ranges.map((range) => ({
    ...matrix,
    columns: { start: 0, end: columns },
    picked: { axis: "rows", ranges: [range] },
  }));
}
