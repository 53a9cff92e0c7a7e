/**
 * How fast reads of a size go with a number of workers, between what was measured. Knows nothing of
 * neurons.
 */
import { KERNEL_READ_SECONDS } from "./calibration.ts";
import type { DiskProfile, RandomReads } from "./machine_profile.ts";

export interface ReadSpeed {
  readonly readsPerS: number;
  /** Core seconds of a read. */
  readonly cpuSeconds: number;
  /** Seconds until a read that finds idle workers is there. */
  readonly latencySeconds: number;
}

/** Numbers of workers that were measured, ascending. */
export function measuredWorkers({ random }: DiskProfile): number[] {
  return [...new Set(random.map(({ workers }) => workers))].sort((a, b) => a - b);
}

/**
 * Reads of `sizeBytes` by `workers`, or by the kernel, 0: as fast as by the most workers that were
 * measured, for less of a core. Time grows with the size in a straight line between measured
 * sizes, at the sequential rate beyond them; a size below the smallest costs what that costs.
 */
export function readSpeed(disk: DiskProfile, sizeBytes: number, workers: number): ReadSpeed {
  if (workers === 0) {
    const byMost = readSpeed(disk, sizeBytes, Math.max(...measuredWorkers(disk)));
    return { ...byMost, cpuSeconds: Math.min(byMost.cpuSeconds, KERNEL_READ_SECONDS) };
  }
  const bySize = [...new Set(disk.random.map((each) => each.sizeBytes))].sort((a, b) => a - b)
    .map((size) => atWorkers(disk.random.filter((each) => each.sizeBytes === size), workers));
  const above = bySize.findIndex((each) => each.sizeBytes >= sizeBytes);
  const [low, high] = above === 0
    ? [bySize[0], bySize[0]]
    : above < 0
    ? [bySize[bySize.length - 1], null]
    : [bySize[above - 1], bySize[above]];
  const part = high === null || high === low
    ? 0
    : (sizeBytes - low.sizeBytes) / (high.sizeBytes - low.sizeBytes);
  const mix = (of: (each: RandomReads) => number) =>
    of(low) + (high === null ? 0 : (of(high) - of(low)) * part);
  const beyond = high === null ? (sizeBytes - low.sizeBytes) / disk.sequentialBytesPerS : 0;
  const seconds = mix(({ readsPerS }) => 1 / readsPerS) + beyond;
  return {
    readsPerS: 1 / seconds,
    cpuSeconds: mix(({ readsPerS, cpuShare }) => cpuShare / readsPerS),
    latencySeconds: Math.min(...bySize.map((each) => each.workers / each.readsPerS)) + beyond,
  };
}

/** What a read takes, whatever its size: of a core, and of the disk's turns. See NOTES.md. */
const READ_COST_SECONDS = 15e-6;

/** Bytes that are better read than left out: a read that is spared pays for them. */
export function mergeGapBytes({ sequentialBytesPerS }: DiskProfile): number {
  return READ_COST_SECONDS * sequentialBytesPerS;
}

/** What was measured with the nearest numbers of workers, in a straight line between them. */
function atWorkers(measured: readonly RandomReads[], workers: number): RandomReads {
  const sorted = measured.toSorted((a, b) => a.workers - b.workers);
  const above = sorted.findIndex((each) => each.workers >= workers);
  if (above === 0) {
    // Fewer workers than were measured read less, in proportion.
    const [least] = sorted;
    const share = workers / least.workers;
    return {
      ...least,
      workers,
      readsPerS: least.readsPerS * share,
      cpuShare: least.cpuShare * share,
    };
  }
  if (above < 0) return sorted[sorted.length - 1];
  const [low, high] = [sorted[above - 1], sorted[above]];
  const part = (workers - low.workers) / (high.workers - low.workers);
  return {
    sizeBytes: low.sizeBytes,
    workers,
    readsPerS: low.readsPerS + (high.readsPerS - low.readsPerS) * part,
    cpuShare: low.cpuShare + (high.cpuShare - low.cpuShare) * part,
  };
}
