/** The door of `src/metrics`: counting, and showing it to Prometheus. */
export {
  Counter,
  Family,
  type FamilyOptions,
  Histogram,
  Metrics,
  type Reading,
} from "./metrics.ts";
export { METRICS_CONTENT_TYPE, metricsText } from "./text_format.ts";
