import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { emptyStats, layerCounts } from "../../src/stats/firing_stats.ts";
import { hotColdChart } from "../../src/stats/hot_cold_chart.ts";
import { checkXml } from "../bench/check_xml.ts";
import { SUBJECT } from "./stats_fixture.ts";

Deno.test("hotColdChart() draws each layer's neurons in bands, marks the hot ones, is XML", () => {
  const stats = emptyStats({ ...SUBJECT, sparsity: null });
  stats.units["1"] = 128;
  layerCounts(stats, "1", 0).set([128, 70, 1, 0, 0]);
  layerCounts(stats, "1", 1).set([16, 16, 16, 16, 16]);
  const svg = hotColdChart({ title: 'a & <b> "c"', subtitle: "s", stats });
  checkXml(svg);
  assertStringIncludes(svg, "a &amp; &lt;b&gt; &quot;c&quot;");

  const [first, second] = svg.split("layer 1");
  // Two of five fire for at least half of the tokens, one for fewer than 1 in 64, two never.
  const plot = 604;
  assertEquals(bars(first).map(([band]) => band), [0, 6, 7]);
  bars(first).forEach(([, width], i) => assertAlmostEquals(width, plot * [2, 1, 2][i] / 5, 0.1));
  assertEquals(bars(second), [[2, plot]]);
  // 80 % of layer 0's 199 firings need two neurons, of layer 1's four.
  assertStringIncludes(first, ">40.0 %</text>");
  assertStringIncludes(second, ">80.0 %</text>");
  assertStringIncludes(second, ">12.5 %</text>");
  assert(svg.includes("prefers-color-scheme: dark"));
});

/** Bands and widths of the bars behind a layer's label. */
function bars(part: string): [band: number, width: number][] {
  const plot = part.slice(part.indexOf("layer 0") < 0 ? 0 : part.indexOf("layer 0"));
  return [...plot.matchAll(/class="band(\d)"[^>]* width="([\d.]+)" height="13"/g)]
    .map(([, band, width]) => [Number(band), Number(width)]);
}
