import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { CommanderError } from "commander";
import { benchVerb } from "../../src/cli/verbs/bench.ts";
import { ALL_STEPS } from "../../src/rank/plan/plan_units.ts";
import { parseAblationArgs } from "./ablation_options.ts";
import { type AblationRun, ablationTable, formatAblation } from "./ablation_report.ts";
import { ablationSteps } from "./ablation_steps.ts";
import { silently } from "./silently.ts";

Deno.test("ablationSteps() begins without all and adds one step at a time, as bench knows them", () => {
  const steps = ablationSteps(true);
  const [none, bundles, cache, pipeline, predictor] = steps.map(({ args }) => {
    const { without = {}, predictor } = optionsOf(args);
    return { ...ALL_STEPS, ...without, predictor };
  });
  const off = { bundles: false, cache: false, pipeline: false, predictor: "off" };
  assertEquals(none, off);
  assertEquals(bundles, { ...off, bundles: true });
  assertEquals(cache, { ...bundles, cache: true });
  assertEquals(pipeline, { ...cache, pipeline: true });
  assertEquals(predictor, { ...pipeline, predictor: "on" });
  assertEquals(ablationSteps(false), steps.slice(0, 4));
});

Deno.test("ablationTable() says what each step gains over the one before and the first", () => {
  const { title, rows } = ablationTable([
    fakeRun({}),
    fakeRun({ round: 2, decodeTps: 3 }),
    fakeRun({ step: "+ bundles", decodeTps: 4 }),
    fakeRun({ step: "+ bundles", round: 2, decodeTps: 9 }),
    fakeRun({ step: "+ cache", decodeTps: 8, hitRate: 0.875, reads: 10.4, waitMs: 0 }),
    fakeRun({ step: "+ cache", round: 2, decodeTps: 9, hitRate: 0.875, reads: 10.4, waitMs: 0 }),
  ], SUBJECT);
  assertEquals(
    title,
    "m.ganglion within 1.00 GiB, 64 tokens, median (min–max) of 2 interleaved rounds",
  );
  const rest = ["300.0", "410.0", "512.0 MiB"];
  assertEquals(rows, [
    ["no bundles", "2.50 (2.00–3.00)", "", "", "0.0 %", "300", "1.0 MiB", "250", ...rest],
    ["+ bundles", "6.50 (4.00–9.00)", "2.50 (2.00–3.00)", "2.50 (2.00–3.00)", "0.0 %", "300"]
      .concat("1.0 MiB", "250", ...rest),
    ["+ cache", "8.50 (8.00–9.00)", "1.50 (1.00–2.00)", "3.50 (3.00–4.00)", "87.5 %", "10"]
      .concat("1.0 MiB", "0", ...rest),
  ]);
});

Deno.test("formatAblation() says which steps answered otherwise", () => {
  const [first, second] = [fakeRun({}), fakeRun({ step: "+ bundles" })];
  assertEquals(formatAblation([first, second], SUBJECT).includes("another answer"), false);
  const other = fakeRun({ step: "+ predictor", idsHash: "ef" });
  const text = formatAblation([first, second, other], SUBJECT);
  assertStringIncludes(text, "another answer than in the first step: + predictor");
});

Deno.test("parseAblationArgs() wants a model and its memory", () => {
  assertEquals(parseAblationArgs(["m.ganglion", "--memory", "2GiB", "--rounds", "3"]), {
    ...{ modelPath: "m.ganglion", memoryBytes: 2 ** 31, rounds: 3 },
    ...{ promptTokens: 16, genTokens: 64 },
  });
  for (const args of [["m.ganglion"], ["--memory", "2GiB"], ["m", "--memory", "x"]]) {
    assertThrows(() => silently(() => parseAblationArgs(args)), CommanderError);
  }
});

const SUBJECT = { model: "m.ganglion", memoryBytes: 2 ** 30, genTokens: 64 };

function fakeRun(changes: Partial<AblationRun>): AblationRun {
  return {
    ...{ step: "no bundles", round: 1, decodeTps: 2, hitRate: 0, reads: 300, readBytes: 2 ** 20 },
    ...{ waitMs: 250, p50Ms: 300, p99Ms: 410, residentBytes: 2 ** 29, idsHash: "ab" },
    ...changes,
  };
}

/** What `bench` makes of arguments. */
function optionsOf(args: readonly string[]) {
  const verb = benchVerb();
  verb.parseOptions([...args]);
  return verb.opts();
}
