/** Statistics for tests, made from a seed. */
import { emptyStats } from "../../src/stats/firing_stats.ts";
import { BUCKETS, type FiringStats, type StatsSubject } from "../../src/stats/types.ts";
import { Rng } from "../support/rng.ts";

export const SUBJECT: StatsSubject = {
  architecture: "llama",
  modelFingerprint: "ab".repeat(32),
  layerCount: 2,
  neuronCount: 5,
  activation: "silu",
  textHash: "cd".repeat(32),
  windowTokens: 128,
  groupCount: 9,
  sparsity: 0.5,
};

/** Some groups of random counts, each at most `most`. */
export function someStats(change: Partial<StatsSubject> = {}, most = 60_000): FiringStats {
  const stats = emptyStats({ ...SUBJECT, ...change });
  const rng = new Rng(3);
  for (const bucket of BUCKETS) {
    stats.units[bucket] = most;
    stats.counts[bucket].forEach((_, i, counts) => counts[i] = rng.int(most + 1));
  }
  stats.loudness?.forEach((_, i, counts) => counts[i] = rng.int(1000) * 2 ** 30);
  stats.groupsDone = 3;
  if (stats.subject.sparsity !== null) {
    stats.thresholds = Array.from({ length: stats.subject.layerCount }, (_, i) => 0.1 + i / 3);
  }
  return stats;
}
