/** Angles of rotary embeddings by position. */
import {
  fillRopeTableByAxes,
  growthAt,
  type ModelConfig,
  type QueryTemperature,
  type RopeFrequencies,
} from "../model/mod.ts";
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
