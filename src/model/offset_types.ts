/** What scores count of how far a key is away in an image: part of types.ts. */
import type { VectorTensor } from "./types.ts";

/**
 * query · rows[r - r' + n - 1] and query · columns[c - c' + n - 1] are added to the score of a key
 * in row r' and column c' for a query in row r and column c, of a window or an image of n rows or
 * columns: [count, headDim] each, count being 2n - 1, or read in between where it is another.
 */
export interface OffsetTensors {
  readonly rows: VectorTensor;
  readonly columns: VectorTensor;
}
