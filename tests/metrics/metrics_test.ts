import { assertEquals, assertThrows } from "@std/assert";
import { Histogram, Metrics, metricsText } from "../../src/metrics/mod.ts";

Deno.test("Histogram puts a value into the first bucket whose bound it does not pass", () => {
  const histogram = new Histogram([1, 2]);
  for (const value of [0, 1, 1.5, 2, 2.1, Infinity]) histogram.observe(value);
  histogram.observe(0.5, 10);
  assertEquals([...histogram.counts], [12, 2, 2]);
  assertEquals([histogram.count, histogram.sum], [16, Infinity]);
  const times = new Histogram([1]);
  times.observe(0.5, 10);
  assertEquals([times.count, times.sum], [10, 5]);
  assertThrows(() => new Histogram([2, 1]));
});

Deno.test("metricsText() writes what Prometheus reads", () => {
  const metrics = new Metrics();
  const requests = metrics.counter({
    name: "x_requests_total",
    help: "Requests,\nby \\ route.",
    labels: ["route", "status"],
  });
  requests.of("/v1", "200").add(2);
  requests.of("/v1", "200").add();
  requests.of('a"b\\c\nd', "404").add();
  const seconds = metrics.histogram({ name: "x_seconds", help: "Time.", bounds: [0.1, 1] });
  for (const value of [0.05, 0.5, 5]) seconds.of().observe(value);
  metrics.gauge({ name: "x_up", help: "Up." }, () => 1);
  metrics.gauge({ name: "x_load", help: "Load.", labels: ["model"] }, () => [[["m"], NaN]]);
  metrics.alias("x_seconds", { name: "y:seconds", help: "Same." });
  assertEquals(
    metricsText(metrics),
    `# HELP x_requests_total Requests,\\nby \\\\ route.
# TYPE x_requests_total counter
x_requests_total{route="/v1",status="200"} 3
x_requests_total{route="a\\"b\\\\c\\nd",status="404"} 1
# HELP x_seconds Time.
# TYPE x_seconds histogram
x_seconds_bucket{le="0.1"} 1
x_seconds_bucket{le="1"} 2
x_seconds_bucket{le="+Inf"} 3
x_seconds_sum 5.55
x_seconds_count 3
# HELP x_up Up.
# TYPE x_up gauge
x_up 1
# HELP x_load Load.
# TYPE x_load gauge
x_load{model="m"} NaN
# HELP y:seconds Same.
# TYPE y:seconds histogram
y:seconds_bucket{le="0.1"} 1
y:seconds_bucket{le="1"} 2
y:seconds_bucket{le="+Inf"} 3
y:seconds_sum 5.55
y:seconds_count 3
`,
  );
});

Deno.test("Metrics.alias() renames labels, and needs a family", () => {
  const metrics = new Metrics();
  metrics.counter({ name: "a_total", help: "A.", labels: ["model"] }).of("m").add();
  metrics.alias("a_total", { name: "b_total", help: "B.", labels: ["model_name"] });
  assertEquals(metricsText(metrics).split("\n").at(-2), `b_total{model_name="m"} 1`);
  assertThrows(() => metrics.alias("none", { name: "c", help: "C." }));
  assertThrows(() => metrics.alias("a_total", { name: "d", help: "D.", labels: [] }));
});
