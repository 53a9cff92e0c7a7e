/** The page of figures, and that what is committed is what the figures say. */
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { benchmarksPage, readFigures, type Section } from "./benchmarks_page.ts";

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
