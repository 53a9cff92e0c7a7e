/** Statistics that are empty, and what can be read from full ones. */
import { check } from "../base/check.ts";
import { LOUDNESS_BINS, loudnessQuantile } from "./loudness.ts";
import {
  type Bucket,
  BUCKETS,
  type FiringStats,
  type MeasuredCost,
  type StatsSubject,
} from "./types.ts";

/** A neuron is hot when it is one of the most frequent that together make this share of firings. */
export const HOT_SHARE_OF_FIRINGS = 0.8;

export function emptyStats(subject: StatsSubject): FiringStats {
  const size = subject.layerCount * subject.neuronCount;
  const each = <T>(make: () => T) =>
    Object.fromEntries(BUCKETS.map((bucket) => [bucket, make()])) as Record<Bucket, T>;
  return {
    subject,
    groupsDone: 0,
    thresholds: null,
    units: each(() => 0),
    counts: each(() => new Uint32Array(size)),
    loudness: subject.sparsity === null
      ? null
      : new Float64Array(subject.layerCount * LOUDNESS_BINS),
    measured: [],
  };
}

/** A layer's counts, [neurons], a view. */
export function layerCounts(stats: FiringStats, bucket: Bucket, layer: number): Uint32Array {
  const { layerCount, neuronCount } = stats.subject;
  check(layer >= 0 && layer < layerCount, "a layer of the model");
  return stats.counts[bucket].subarray(layer * neuronCount, (layer + 1) * neuronCount);
}

/** Share of a layer's neurons that fire in a unit of the bucket, on average. */
export function activeFraction(stats: FiringStats, bucket: Bucket, layer: number): number {
  const { neuronCount } = stats.subject;
  const fired = layerCounts(stats, bucket, layer).reduce((sum, count) => sum + count, 0);
  return stats.units[bucket] === 0 ? 0 : fired / stats.units[bucket] / neuronCount;
}

/** Share of a layer's neurons, the most frequent ones, that make 80 % of its firings. */
export function hotFraction(stats: FiringStats, layer: number): number {
  const counts = layerCounts(stats, "1", layer).toSorted((a, b) => b - a);
  const wanted = HOT_SHARE_OF_FIRINGS * counts.reduce((sum, count) => sum + count, 0);
  let firings = 0;
  let neurons = 0;
  while (firings < wanted) firings += counts[neurons++];
  return neurons / counts.length;
}

/**
 * The loudness below which neurons can be left out so that a share of them is, by layer.
 * @throws {Error} when the statistics are of neurons that are zero of themselves.
 */
export function thresholdsFor(stats: FiringStats, sparsity: number): number[] {
  const { subject: { activation, layerCount }, loudness } = stats;
  if (loudness === null) {
    throw new Error(
      `Cannot choose thresholds for ${activation} neurons: these are skipped exactly where they ` +
        "are zero, or belong to experts: leave --sparsity out",
    );
  }
  return Array.from({ length: layerCount }, (_, layer) =>
    loudnessQuantile(
      loudness.subarray(layer * LOUDNESS_BINS, (layer + 1) * LOUDNESS_BINS),
      sparsity,
    ));
}

/** What `verify` measured at this sparsity last, or null. */
export function measuredCost(stats: FiringStats, sparsity: number): MeasuredCost | null {
  return stats.measured.findLast((each) => each.sparsity === sparsity) ?? null;
}
