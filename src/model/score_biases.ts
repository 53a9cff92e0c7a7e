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
}

/** The bucket of a position so far behind a token's own; before it distances are negative. */
export function bucketOf(distance: number, bucketCount: number): number {
  const half = Math.floor(bucketCount / 2);
  const first = distance > 0 ? half : 0;
  const away = Math.abs(distance);
  const exact = Math.floor(half / 2);
  if (away < exact) return first + away;
  // In floats of 32 bits, as models were trained with: there borders of buckets are.
  const share = Math.fround(Math.log(away / exact)) / Math.log(FARTHEST / exact);
  return first + Math.min(half - 1, exact + Math.floor(Math.fround(share * (half - exact))));
}
