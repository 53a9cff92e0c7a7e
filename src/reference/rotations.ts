/** Angles of rotary embeddings by position. */
import {
  fillRopeTableByAxes,
  growthAt,
  type ModelConfig,
  type QueryTemperature,
  type RopeFrequencies,
} from "../model/mod.ts";
import { rope } from "./ops.ts";
import { positionsOf, type ReferenceGiven } from "./given_rows.ts";

/** Cosines and sines of n tokens, [n, dimensionCount], for each of the model's ropes. */
export function rotationTables(
  { ropes }: ModelConfig,
  frequencies: readonly RopeFrequencies[],
  tokens: { readonly n: number; readonly fromPosition: number },
  given: ReferenceGiven,
): Float64Array[] {
  const { n, fromPosition } = tokens;
  return ropes.map(({ dimensionCount }, index) => {
    const table = new Float64Array(n * dimensionCount);
    for (let t = 0; t < n; t++) {
      const positions = positionsOf(fromPosition + t, given);
      fillRopeTableByAxes(frequencies[index], positions, 0, table, t * dimensionCount);
    }
    return table;
  });
}

/** How many heads, and of which width, a rotary embedding turns; null: none does. */
export interface Turning {
  readonly heads: number;
  readonly headDim: number;
  readonly rope: number | null;
  /** Turns other dimensions. */
  readonly second?: number;
}

/** Heads turned as the layer turns them, if it does; x [n, heads, headDim]; rotations: tables. */
export function turnHeads(
  x: Float64Array,
  by: Turning,
  at: { readonly ropes: ModelConfig["ropes"]; readonly rotations: readonly Float64Array[] },
): Float64Array {
  const { heads, headDim, rope: choice, second } = by;
  if (choice === null) return x;
  const { kind, dimensionCount: rotDim, start } = at.ropes[choice];
  const turned = rope(x, at.rotations[choice], { heads, headDim, rotDim, start, kind });
  return second === undefined ? turned : turnHeads(turned, { heads, headDim, rope: second }, at);
}

/** Queries [n, width] as long as their positions make them. */
export function growQueries(
  query: Float64Array,
  { width, fromPosition, temperature }: {
    readonly width: number;
    readonly fromPosition: number;
    readonly temperature: QueryTemperature | null;
  },
): Float64Array {
  if (temperature === null) return query;
  return query.map((value, i) =>
    value * growthAt(fromPosition + Math.floor(i / width), temperature)
  );
}
