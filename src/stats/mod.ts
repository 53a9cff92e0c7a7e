/** The door of firing statistics: how often neurons fire, counted, kept, shown. */
export { LogitsComparer, type LogitsComparison } from "./compare_logits.ts";
export {
  activeFraction,
  emptyStats,
  hotFraction,
  layerCounts,
  measuredCost,
  thresholdsFor,
} from "./firing_stats.ts";
export { hotColdChart } from "./hot_cold_chart.ts";
export { type Observed, profileText } from "./profile_text.ts";
export { decodeStats, encodeStats, readStats, writeStats } from "./stats_file.ts";
export {
  type Bucket,
  BUCKETS,
  type FiringStats,
  GROUP_WINDOWS,
  type MeasuredCost,
  PREFILL_TOKENS,
  type StatsSubject,
} from "./types.ts";
