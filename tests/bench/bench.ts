/**
 * Speed beside others: our engine and its peers in turn on the same files, with the same threads,
 * prompt and answer lengths. Rounds are interleaved because a shared machine's speed drifts; the
 * ratio of each round's pair is what holds.
 *
 *   deno task bench [MODEL…] [--threads 1,2] [--peers node-llama-cpp,llama-bench=PATH,wllama] …
 */
import { CommanderError } from "commander";
import { dirname, join } from "node:path";
import { benchPrompt } from "../../src/cli/bench_prompt.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { synthesize } from "../../src/synth/mod.ts";
import { readFigures, writeFigures } from "./benchmarks_page.ts";
import { chooseEngines, reasonOf } from "./choose_engines.ts";
import type { Engine } from "./engine.ts";
import { benchCacheFolder } from "./install_peer.ts";
import { describeCommit, describeMachine } from "./machine.ts";
import { type BenchOptions, parseBenchArgs } from "./options.ts";
import { withReport } from "./page_section.ts";
import {
  createReport,
  mergeReports,
  modelName,
  type Report,
  type Results,
  type Setup,
} from "./report.ts";
import { reportChart } from "./report_chart.ts";
import { formatReport } from "./report_tables.ts";
import { tasksOf, type Turn, turnsOf } from "./schedule.ts";

if (import.meta.main) {
  try {
    const options = parseBenchArgs(Deno.args);
    const report = options.from.length > 0
      ? mergeReports(options.from.map(readReport))
      : await measureAll(options, Deno.args);
    if (options.svg !== undefined) writeFile(options.svg, reportChart(report));
    if (options.page) writeFigures(withReport(readFigures(), report));
    console.log(formatReport(report, options));
  } catch (error) {
    if (!(error instanceof CommanderError)) console.error(`Cannot measure: ${reasonOf(error)}`);
    Deno.exitCode = error instanceof CommanderError ? error.exitCode : 1;
  }
}

/** Measures everything; the report so far is saved after every measurement. */
async function measureAll(options: BenchOptions, args: readonly string[]): Promise<Report> {
  const models = options.models.length > 0 ? options.models : [await syntheticModel(options)];
  const commit = await describeCommit();
  const { engines, skipped } = await chooseEngines(options, commit);
  for (const { engine, reason } of skipped) console.error(`Not measured: ${engine}: ${reason}`);
  const setup: Setup = {
    command: ["deno task bench", ...args.map(quoteForShell)].join(" "),
    date: new Date().toISOString().slice(0, 10),
    commit,
    machine: describeMachine(),
    engines,
  };
  const results: Results = { speeds: [], loads: [], skipped };
  const save = () => {
    if (options.json === undefined) return;
    writeFile(options.json, JSON.stringify(createReport(setup, results), null, 2) + "\n");
  };
  for (const modelPath of models) {
    await measureModel({ modelPath, engines, results, save }, options);
  }
  return createReport(setup, results);
}

/** All rounds of one model; a peer that fails at a task is left out of its further rounds. */
async function measureModel(
  { modelPath, engines, results, save }: {
    modelPath: string;
    engines: readonly Engine[];
    results: Results;
    save: () => void;
  },
  options: BenchOptions,
): Promise<void> {
  const { vocabSize } = describeModel(openGguf(modelPath)).config;
  const failed = new Set<string>();
  const tasks = tasksOf(modelPath, options);
  for (const turn of turnsOf({ tasks, engines, rounds: options.repeat })) {
    const { engine, task, round } = turn;
    const what = `${engine.name}, ${modelName(modelPath)}, ${task.threads} thread(s), ` +
      (task.kind === "load" ? "loading" : `${task.promptTokens} + ${task.genTokens} tokens`);
    if (failed.has(what)) continue;
    try {
      const figures = await measure(turn, { vocabSize, seed: options.seed }, results);
      console.error(`round ${round}/${options.repeat}: ${what}: ${figures}`);
    } catch (error) {
      if (engine.isOurs) throw error;
      failed.add(what);
      results.skipped.push({ engine: what, reason: `round ${round}: ${reasonOf(error)}` });
      console.error(`Not measured: ${what}: ${reasonOf(error)}`);
    }
    save();
  }
}

/** Measures, and adds to the results; returns the figures for whoever watches. */
async function measure(
  { engine, task, round }: Turn<Engine>,
  { vocabSize, seed }: { vocabSize: number; seed: number },
  { speeds, loads }: Results,
): Promise<string> {
  const { modelPath, threads, genTokens } = task;
  if (task.kind === "load") {
    const sample = await engine.measureLoad!({ modelPath, threads });
    loads.push({ engine: engine.name, round, task, sample });
    return `${sample.loadMs.toFixed(0)} ms, reading ${sample.readMs.toFixed(0)} ms`;
  }
  const promptIds = benchPrompt({ vocabSize, count: task.promptTokens, seed });
  const decodeAtDepth = task.kind === "context";
  const work = { modelPath, threads, promptIds, genTokens, seed, decodeAtDepth };
  const sample = await engine.measure(work);
  speeds.push({ engine: engine.name, round, task, sample });
  const { prefillTps, decodeTps } = sample;
  return `prefill ${prefillTps.toFixed(1)}, decode ${decodeTps.toFixed(1)} tok/s`;
}

/** Makes the synthetic model in the cache folder, unless an earlier run did. */
async function syntheticModel(
  { shape, quant }: Pick<BenchOptions, "shape" | "quant">,
): Promise<string> {
  const folder = benchCacheFolder();
  const path = join(folder, `${shape}-${quant.toLowerCase()}.gguf`);
  if (await Deno.stat(path).then(() => true, () => false)) return path;
  console.error(`Making ${path}`);
  await Deno.mkdir(folder, { recursive: true });
  await synthesize({ shape, quant, seed: 1, out: path });
  return path;
}

/** What an earlier run wrote with --json. */
function readReport(path: string): Report {
  const report: Report = JSON.parse(Deno.readTextFileSync(path));
  if (Array.isArray(report.speeds) && Array.isArray(report.engines)) return report;
  throw new Error(`"${path}" is no report: name a file that --json wrote`);
}

/** Writes a file, and the folders that it lies in. */
function writeFile(path: string, text: string): void {
  Deno.mkdirSync(dirname(path), { recursive: true });
  Deno.writeTextFileSync(path, text);
}

/** An argument as a shell reads it back. */
function quoteForShell(argument: string): string {
  if (/^[\w@%+=:,./-]+$/.test(argument)) return argument;
  return `'${argument.replaceAll("'", `'\\''`)}'`;
}
