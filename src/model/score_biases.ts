/**
 * Biases of attention scores by distance, as T5 has them (Raffel et al. 2020, 2.1): near distances
 * have a bucket each, farther ones share some, on a logarithmic scale, and each head has a number
 * for each bucket. Both directions have half of the buckets. Pure arithmetic.
 */
import type { VectorTensor } from "./types.ts";

/** Farther positions have the last bucket of their direction. */
const FARTHEST = 128;

/** Where a model's biases are. */
export interface ScoreBiases {
  /** Of both directions together. */
  readonly bucketCount: number;
  /** [buckets, heads]. */
  readonly table: VectorTensor;
  /** The same of layers that write: all are of the direction in which they look. Or left out. */
  readonly written?: VectorTensor;
}

/** Its tables: the one of both directions, and behind it that of one, where there is one. */
export function biasTables({ table, written }: ScoreBiases): readonly VectorTensor[] {
  return written === undefined ? [table] : [table, written];
}

/**
 * The bucket of a position so far behind a token's own; before it distances are negative.
 * isOneWay: nothing behind is seen, all buckets are of what is before.
 */
export function bucketOf(distance: number, bucketCount: number, isOneWay = false): number {
  const half = isOneWay ? bucketCount : Math.floor(bucketCount / 2);
  const first = distance > 0 && !isOneWay ? half : 0;
  const away = isOneWay ? Math.max(0, -distance) : Math.abs(distance);
  const exact = Math.floor(half / 2);
  if (away < exact) return first + away;
  // In floats of 32 bits, as models were trained with: there borders of buckets are.
  const share = Math.fround(Math.log(away / exact)) / Math.log(FARTHEST / exact);
  return first + Math.min(half - 1, exact + Math.floor(Math.fround(share * (half - exact))));
}
