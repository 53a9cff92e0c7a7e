/** Angles of rotary embeddings by position. */
import { fillRopeTable, type ModelConfig, type RopeFrequencies } from "../model/mod.ts";

/** Cosines and sines of n tokens, [n, dimensionCount], for each of the model's ropes. */
export function rotationTables(
  { ropes }: ModelConfig,
  frequencies: readonly RopeFrequencies[],
  n: number,
  fromPosition: number,
): Float64Array[] {
  return ropes.map(({ dimensionCount }, index) => {
    const table = new Float64Array(n * dimensionCount);
    for (let t = 0; t < n; t++) {
      fillRopeTable(frequencies[index], fromPosition + t, table, t * dimensionCount);
    }
    return table;
  });
}
