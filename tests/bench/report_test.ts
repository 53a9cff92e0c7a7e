import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { mergeReports, modelName, referenceEngine } from "./report.ts";
import { reportChart } from "./report_chart.ts";
import { formatReport, reportNotes, reportTables } from "./report_tables.ts";
import { fakeLoad, fakeReport, fakeSpeed, fakeTask } from "./fake_results.ts";
import { checkXml } from "./check_xml.ts";

const SPEEDS = [
  fakeSpeed(["ganglion", 1, 100, 20], { idsHash: "a1", version: "abc1234" }),
  fakeSpeed(["ganglion", 2, 110, 22], { idsHash: "a1" }),
  fakeSpeed(["wllama", 1, 10, 5], { version: "2.3.1" }),
  fakeSpeed(["wllama", 2, 10, 5]),
];

Deno.test("reportTables() puts ratios round by round beside the speeds of peers", () => {
  const [table, ...others] = reportTables(fakeReport(["ganglion", "wllama"], { speeds: SPEEDS }));
  assertEquals(others, []);
  assertEquals(table.rows.map((row) => row.slice(2)), [
    ["ganglion", "105.0 (100.0–110.0)", "", "21.0 (20.0–22.0)", "", ""],
    ["wllama", "10.0", "10.50 (10.00–11.00)", "5.0", "4.20 (4.00–4.40)", ""],
  ]);
});

Deno.test("reportTables() tells what threads, contexts and loading do, where measured", () => {
  const task = fakeTask({ threads: 2 });
  const context = (promptTokens: number) => ({ task: fakeTask({ kind: "context", promptTokens }) });
  const tables = reportTables(fakeReport(["ganglion"], {
    speeds: [
      ...SPEEDS.slice(0, 2),
      fakeSpeed(["ganglion", 1, 150, 40], { task }),
      fakeSpeed(["ganglion", 2, 165, 22], { task }),
      fakeSpeed(["ganglion", 1, 100, 20], context(100)),
      fakeSpeed(["ganglion", 1, 50, 10], context(4000)),
    ],
    loads: [fakeLoad(1, { loadMs: 300, readMs: 100, freshReadMs: 200, fileBytes: 2 ** 20 })],
  }));
  const [, threads, contexts, load] = tables.map(({ rows }) => rows);
  assertEquals(threads, [["tiny", "ganglion", "2 / 1", "1.50", "1.50 (1.00–2.00)"]]);
  assertEquals(contexts[1].slice(3), ["4000", "20.00", "2.00", "20.26", "10.0", "0.50"]);
  assertEquals(load[0].slice(4), ["300", "100", "3.00", "200", "1.50"]);
});

Deno.test("reportNotes() names commit, machine, versions, ids, and who is missing and why", () => {
  const skipped = [{ engine: "llama-bench", reason: "no such file" }];
  const report = fakeReport(["ganglion", "wllama"], { speeds: SPEEDS, skipped });
  const notes = reportNotes(report).join("\n");
  for (
    const part of [
      "commit abc1234, 2026-01-02; A <quick> CPU & more, 2 cores, 2.00 GiB",
      "ganglion abc1234: as ganglion is",
      "wllama 2.3.1: as wllama is",
      "ids of tiny, 1 thread(s): a1",
      "not measured: llama-bench: no such file",
    ]
  ) {
    assertStringIncludes(notes, part);
  }
});

Deno.test("reportNotes() cries when ids differ between rounds or variants", () => {
  const speeds = [
    ...SPEEDS.slice(0, 2),
    fakeSpeed(["ganglion plain", 1, 1, 1], { idsHash: "b2" }),
    fakeSpeed(["ganglion odd", 1, 1, 1], { idsHash: "a1" }),
    fakeSpeed(["ganglion odd", 2, 1, 1], { idsHash: "c3" }),
  ];
  const report = fakeReport(["ganglion", "ganglion plain", "ganglion odd"], { speeds });
  const cries = reportNotes(report).filter((note) => note.startsWith("ATTENTION"));
  assertEquals(cries, [
    "ATTENTION: ids of ganglion odd differ between rounds: tiny, 1 thread(s)",
    "ATTENTION: ids of ganglion plain are others: b2",
  ]);
});

Deno.test("formatReport() prints the same tables as columns and as Markdown", () => {
  const report = fakeReport(["ganglion", "wllama"], { speeds: SPEEDS });
  const text = formatReport(report, { markdown: false });
  const markdown = formatReport(report, { markdown: true });
  assertStringIncludes(text, "tiny   1        wllama    10.0");
  assertStringIncludes(text, "\n\ndeno task bench tiny.gguf --peers wllama\n\n");
  assertStringIncludes(markdown, "| tiny | 1 | wllama | 10.0 | 10.50 (10.00–11.00) |");
  assertStringIncludes(markdown, "```sh\ndeno task bench tiny.gguf --peers wllama\n```");
});

Deno.test("reportChart() divides by the native engine, and is well-formed", () => {
  const speeds = [...SPEEDS, fakeSpeed(["node-llama-cpp", 1, 50, 25])];
  const report = fakeReport(["ganglion", "node-llama-cpp", "wllama"], { speeds });
  const svg = reportChart(report);
  checkXml(svg);
  assertStringIncludes(svg, "native llama.cpp (node-llama-cpp)");
  assertStringIncludes(svg, ">2.00 ×<"); // 100 / 50, round 1
  assertStringIncludes(svg, ">0.80 ×<"); // 20 / 25
  assertStringIncludes(svg, "A &lt;quick&gt; CPU &amp; more");
});

Deno.test("referenceEngine() is the best native peer that was measured, else any, else ours", () => {
  const all = ["ganglion", "wllama", "node-llama-cpp", "llama-bench"];
  const measured = (...names: string[]) =>
    referenceEngine(fakeReport(all, { speeds: names.map((name) => fakeSpeed([name, 1, 1, 1])) }));
  assertEquals(measured(...all), "llama-bench");
  assertEquals(measured("ganglion", "wllama", "node-llama-cpp"), "node-llama-cpp");
  assertEquals(measured("ganglion", "wllama"), "wllama");
  assertEquals(measured("ganglion"), "ganglion");
});

Deno.test("mergeReports() shows runs of one commit together, and refuses others", () => {
  const first = fakeReport(["ganglion", "wllama"], { speeds: SPEEDS });
  const task = fakeTask({ modelPath: "other.gguf" });
  const speeds = [fakeSpeed(["ganglion", 1, 1, 1], { task })];
  const skipped = [{ engine: "wllama", reason: "too large" }];
  const second = fakeReport(["ganglion", "wllama"], { speeds, skipped });
  const merged = mergeReports([first, second]);
  assertEquals(merged.speed.map(({ task }) => modelName(task.modelPath)), ["tiny", "other"]);
  assertEquals([merged.skipped, merged.command], [skipped, `${first.command}\n${second.command}`]);
  assertEquals(mergeReports([first]), first);
  for (
    const other of [
      { ...second, commit: "else" },
      { ...second, machine: { ...second.machine, cpu: "another" } },
      fakeReport(["ganglion plain", "ganglion"], { speeds }),
    ]
  ) {
    assertThrows(() => mergeReports([first, other]), Error, "show each by itself");
  }
});

Deno.test("mergeReports() pairs rounds of the same run, and knows the engines of all", () => {
  const { speed, engines } = mergeReports([
    fakeReport(["ganglion", "wllama"], { speeds: SPEEDS }),
    fakeReport(["ganglion", "llama-bench"], {
      speeds: [fakeSpeed(["ganglion", 1, 40, 9]), fakeSpeed(["llama-bench", 1, 20, 9])],
    }),
  ]);
  assertEquals(engines.map(({ name }) => name), ["ganglion", "wllama", "llama-bench"]);
  const [ours, browser, native] = speed[0].engines;
  assertEquals([ours.rounds, browser.rounds, native.rounds], [3, 2, 1]);
  assertEquals(native.prefillRatio, { min: 2, median: 2, max: 2 });
  assertEquals(browser.prefillRatio, { min: 10, median: 10.5, max: 11 });
});

Deno.test("modelName() is the file's name without its end", () => {
  assertEquals(modelName("/a/b.c/tiny-q4_0.GGUF"), "tiny-q4_0");
  assert(!modelName("x.gguf").includes("."));
});
