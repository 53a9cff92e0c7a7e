/**
 * Metrics in Prometheus' text exposition format, version 0.0.4. Source:
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */
import type { Histogram, Metrics, Shown } from "./metrics.ts";

/** The content type of `metricsText`. */
export const METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Everything that `metrics` holds, as a scraper reads it. */
export function metricsText(metrics: Metrics): string {
  return metrics.shown().map(familyText).join("");
}

function familyText(shown: Shown): string {
  const { name, help, type, labels } = shown;
  let text = `# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}\n` +
    `# TYPE ${name} ${type}\n`;
  if (shown.type === "gauge") {
    for (const [values, value] of shown.read()) text += sample(name, labels, values, value);
  } else if (shown.type === "counter") {
    for (const { values, of } of shown.family.all()) text += sample(name, labels, values, of.value);
  } else {
    for (const { values, of } of shown.family.all()) text += buckets(name, labels, values, of);
  }
  return text;
}

function buckets(
  name: string,
  labels: readonly string[],
  values: readonly string[],
  { bounds, counts, sum, count }: Histogram,
): string {
  const withBound = [...labels, "le"];
  let text = "";
  let below = 0;
  for (let i = 0; i <= bounds.length; i++) {
    below += counts[i];
    const bound = i < bounds.length ? number(bounds[i]) : "+Inf";
    text += sample(`${name}_bucket`, withBound, [...values, bound], below);
  }
  return text + sample(`${name}_sum`, labels, values, sum) +
    sample(`${name}_count`, labels, values, count);
}

function sample(
  name: string,
  labels: readonly string[],
  values: readonly string[],
  value: number,
): string {
  const pairs = labels.map((label, i) => `${label}="${escaped(values[i])}"`).join(",");
  return `${name}${pairs === "" ? "" : `{${pairs}}`} ${number(value)}\n`;
}

function escaped(value: string): string {
  return value.toWellFormed().replaceAll("\\", "\\\\").replaceAll('"', '\\"')
    .replaceAll("\n", "\\n");
}

function number(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}
