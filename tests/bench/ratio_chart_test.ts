import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { type Bar, ratioChart } from "./ratio_chart.ts";
import { checkXml } from "./check_xml.ts";

const BAR: Bar = { label: "a", value: 1.1, min: 1, max: 1.2, note: "5 tok/s", isOurs: true };
const CHART = { title: "T", subtitle: "S", groups: [{ heading: "H", bars: [BAR] }], footer: ["F"] };

Deno.test("ratioChart() is well-formed XML, whatever its texts say", () => {
  const text = `<b> & "quoted" 'and' \0 ]]> é 模`;
  const bars = [{ ...BAR, label: text, note: text }];
  const groups = [{ heading: text, bars }];
  const svg = ratioChart({ title: text, subtitle: text, groups, footer: [text] });
  checkXml(svg);
  assertStringIncludes(svg, "&lt;b&gt; &amp; &quot;quoted&quot;");
});

Deno.test("ratioChart() draws a chart of no bars", () => {
  checkXml(ratioChart({ ...CHART, groups: [] }));
});

Deno.test("ratioChart() makes bars as long as their ratios, the line at 1 between them", () => {
  const bars = [BAR, { ...BAR, value: 0.5, min: 0.5, max: 0.5 }, { ...BAR, value: 2, max: 2 }];
  const svg = ratioChart({ ...CHART, groups: [{ heading: "H", bars }] });
  const widths = [...svg.matchAll(/<rect class="ours" x="(\d+)".* width="([\d.]+)" height/g)];
  const [first, half, two] = widths.map(([, , width]) => Number(width));
  assert(Math.abs(half * 4 - two) < 0.5 && Math.abs(first / 1.1 - half * 2) < 0.5, `${widths}`);
  const [, one] = /<line class="one" x1="([\d.]+)"/.exec(svg)!;
  assert(Math.abs(Number(one) - Number(widths[0][1]) - half * 2) < 0.5, one);
});

Deno.test("ratioChart() shows the line at 1 and few marks, for short and for long bars", () => {
  for (const value of [0.01, 0.99, 3, 8.9, 70, 1e5]) {
    const bars = [{ ...BAR, value, min: value, max: value }];
    const svg = ratioChart({ ...CHART, groups: [{ heading: "H", bars }] });
    checkXml(svg);
    const marks = [...svg.matchAll(/<line class="grid"/g)].length;
    assert(marks >= 2 && marks <= 10, `${marks} marks for ${value}`);
    const [, x] = /<line class="one" x1="([\d.]+)"/.exec(svg)!;
    assert(Number(x) > 0 && Number(x) < 860, x);
  }
});

Deno.test("ratioChart() has colours for light and dark readers", () => {
  assertEquals(ratioChart(CHART).match(/prefers-color-scheme: dark/g)?.length, 1);
});

Deno.test("checkXml() refuses what is not well-formed", () => {
  for (
    const text of [
      ...["", "<a>", "</a>", "<a></b>", "<a/><b/>", "x<a/>", "<a>&</a>", "<a>&bad;</a>"],
      ...['<a b="1" b="2"/>', "<a b=1/>", "<a><b></a></b>", "<a>1 < 2</a>", '<a b="&"/>'],
    ]
  ) {
    assertThrows(() => checkXml(text), Error, undefined, text);
  }
  checkXml('<a b="&lt;"><c/>text &amp; more</a>');
});
