/** The page of figures, and that what is committed is what the figures say. */
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { benchmarksPage, readFigures, type Section } from "./benchmarks_page.ts";
import { fakeReport, fakeSpeed } from "./fake_results.ts";
import { SPEED_HEADING, withReport } from "./page_section.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SECTION: Section = {
  heading: "Speed",
  measured: "2026-11-26",
  machine: "a toaster",
  command: "bench it",
  text: ["Words."],
  columns: ["model", "speed", "ratio"],
  rows: [["tiny", "12.5 (12–13)", "1.25 (1.2–1.3)"]],
  chart: {
    ...{ file: "x.svg", title: "T", subtitle: "S", label: [0], labelSuffix: "!" },
    ratios: [{ heading: "H", column: 2, note: 1 }],
  },
};

Deno.test("docs/benchmarks.md and its charts are what figures.json says", () => {
  for (const [path, text] of benchmarksPage(readFigures())) {
    assertEquals(Deno.readTextFileSync(join(ROOT, path)), text, path);
  }
});

Deno.test("benchmarksPage() says of each table where, when and how it was measured", () => {
  const page = benchmarksPage([SECTION]).get("docs/benchmarks.md") ?? "";
  assertStringIncludes(page, "| tiny | 12.5 (12–13) | 1.25 (1.2–1.3) |");
  assertStringIncludes(page, "Measured on a toaster, 2026-11-26, by `bench it`.");
});

Deno.test("benchmarksPage() draws the ratios of a table", () => {
  const chart = benchmarksPage([SECTION]).get("docs/images/x.svg") ?? "";
  for (const part of ["tiny!", "12.5 tok/s", "1.25"]) assertStringIncludes(chart, part);
});

Deno.test("benchmarksPage() refuses to draw what is no ratio", () => {
  const rows = [["tiny", "12", "much"]];
  assertThrows(() => benchmarksPage([{ ...SECTION, rows }]), Error, '"much"');
});

Deno.test("withReport() makes the table of speeds, and its chart, of what was measured", () => {
  const speeds = [
    fakeSpeed(["ganglion", 1, 100, 30]),
    fakeSpeed(["llama-bench", 1, 80, 20], { version: "b1" }),
    fakeSpeed(["ganglion", 2, 110, 33]),
    fakeSpeed(["llama-bench", 2, 100, 20], { version: "b1" }),
  ];
  const report = fakeReport(["ganglion", "llama-bench"], { speeds });
  const sections = withReport(readFigures(), report);
  assertEquals(sections.length, readFigures().length);
  const [section] = sections.filter(({ heading }) => heading === SPEED_HEADING);
  assertEquals(section.rows, [[
    ...["tiny", "1", "105.0 (100.0–110.0)", "90.0", "1.18 (1.10–1.25)"],
    ...["31.5 (30.0–33.0)", "20.0", "1.57 (1.50–1.65)", "–"],
  ]]);
  assertEquals([section.measured, section.machine], [
    ...["2026-01-02", "2 cores, A <quick> CPU & more"],
  ]);
  const pages = benchmarksPage(sections);
  assertStringIncludes(pages.get("docs/benchmarks.md") ?? "", "| 1.57 (1.50–1.65) | – |");
  assertStringIncludes(pages.get("docs/images/decode.svg") ?? "", "1.57");
});

Deno.test("withReport() says where llama.cpp was not measured, and draws no bars of it", () => {
  const report = fakeReport(["ganglion"], { speeds: [fakeSpeed(["ganglion", 1, 100, 30])] });
  const [section] = withReport(readFigures(), report);
  assertEquals(section.rows[0].slice(3, 5), ["–", "–"]);
  assertStringIncludes(section.text[0], "llama.cpp was not measured: `--peers llama-bench=PATH`");
  benchmarksPage([section]);
  const nothing = fakeReport(["ganglion"], {});
  assertThrows(() => withReport(readFigures(), nothing), Error, "no speed was measured");
});
