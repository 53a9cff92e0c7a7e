/** A report as tables and notes. */
import { formatSpread, type Spread } from "../../src/cli/spread.ts";
import { formatBytes } from "../../src/base/units.ts";
import { modelName, type Report } from "./report.ts";
import { type EngineSummary, ratioOf } from "./results.ts";
import { type Table, tableAsMarkdown, tableAsText } from "./table.ts";

/** The whole report, in aligned columns or as Markdown. */
export function formatReport(report: Report, { markdown }: { markdown: boolean }): string {
  const tables = reportTables(report).map(markdown ? tableAsMarkdown : tableAsText);
  const notes = reportNotes(report);
  if (!markdown) return [...tables, report.command, notes.join("\n")].join("\n\n");
  return [
    ...tables,
    "```sh\n" + report.command + "\n```",
    notes.map((note) => `* ${note}`).join("\n"),
  ].join("\n\n");
}

/** Tables that have at least one row. */
export function reportTables(report: Report): Table[] {
  return [
    ...speedTables(report),
    scalingTable(report),
    contextTable(report),
    loadTable(report),
  ].filter(({ rows }) => rows.length > 0);
}

/** Everything that has to be known beside the figures and the command, a sentence each. */
export function reportNotes(report: Report): string[] {
  const { machine, commit, date } = report;
  return [
    `commit ${commit ?? "unknown"}, ${date}; ${machine.cpu}, ${machine.cores} cores, ` +
    `${formatBytes(machine.memoryBytes)}, ${machine.os}, Deno ${machine.deno} ` +
    `(V8 ${machine.v8}), load average ${machine.loadAverage.toFixed(2)} before the run`,
    ...report.engines.map(({ name, settings }) => `${name}${versionOf(report, name)}: ${settings}`),
    ...idNotes(report),
    ...report.contexts.length === 0
      ? []
      : report.engines.filter(({ measuresContexts }) => !measuresContexts)
        .map(({ name }) => `${name} is not measured at contexts: a round would take minutes`),
    ...report.skipped.map(({ engine, reason }) => `not measured: ${engine}: ${reason}`),
  ];
}

function versionOf({ speed }: Report, name: string): string {
  const version = speed.flatMap(({ engines }) => engines)
    .find(({ engine }) => engine === name)?.version;
  return version ? ` ${version}` : "";
}

/** One table for each pair of lengths; all models and threads in it. */
function speedTables({ speed }: Report): Table[] {
  const lengths = Map.groupBy(
    speed,
    ({ task }) => `${task.promptTokens} prompt + ${task.genTokens} generated tokens`,
  );
  return lengths.entries().map(([title, tasks]): Table => {
    const rounds = Math.max(...tasks.flatMap(({ engines }) => engines.map((each) => each.rounds)));
    return {
      title: `${title}, ` +
        (rounds === 1 ? "one round" : `median (min–max) of ${rounds} interleaved rounds`),
      head: [
        ...["model", "threads", "engine", "prefill tok/s", "ours / it", "decode tok/s"],
        ...["ours / it", "GB/s of weights"],
      ],
      rows: tasks.flatMap(({ task, engines }) =>
        engines.map((engine, index) => [
          modelName(task.modelPath),
          `${task.threads}`,
          engine.engine,
          formatSpread(engine.prefillTps),
          index === 0 ? "" : formatRatio(engine.prefillRatio),
          formatSpread(engine.decodeTps),
          index === 0 ? "" : formatRatio(engine.decodeRatio),
          formatRoof(engine),
        ])
      ),
    };
  }).toArray();
}

/** "18.2, 77 % of 23.6": what decoding reads, and what a kernel that only reads reaches. */
function formatRoof({ weightsGbps, readGbps }: EngineSummary): string {
  if (weightsGbps === null || readGbps === null) return "";
  const share = (weightsGbps / readGbps * 100).toFixed(0);
  return `${weightsGbps.toFixed(1)}, ${share} % of ${readGbps.toFixed(1)}`;
}

/** What more threads bring, against the smallest number of them. */
function scalingTable({ speeds }: Report): Table {
  const ofSpeed = speeds.filter(({ task }) => task.kind === "speed");
  const groups = Map.groupBy(
    ofSpeed,
    ({ task, engine }) => JSON.stringify([task.modelPath, engine]),
  ).values();
  return {
    title: "More threads against fewer, round by round",
    head: ["model", "engine", "threads", "prefill", "decode"],
    rows: groups.toArray().flatMap((group) => {
      const byThreads = Map.groupBy(group, ({ task }) => task.threads);
      const [fewest, ...more] = [...byThreads.keys()].sort((a, b) => a - b);
      return more.map((threads) => {
        const [above, below] = [byThreads.get(threads)!, byThreads.get(fewest)!];
        return [
          modelName(group[0].task.modelPath),
          group[0].engine,
          `${threads} / ${fewest}`,
          formatRatio(ratioOf(above, below, (sample) => sample.prefillTps)),
          formatRatio(ratioOf(above, below, (sample) => sample.decodeTps)),
        ];
      });
    }),
  };
}

function contextTable({ contexts }: Report): Table {
  return {
    title: "Behind a context of some length",
    head: [
      ...["model", "threads", "engine", "context", "prompt ms/token"],
      ...[`against ${contexts[0]?.promptBaseTokens}`, "added tokens, ms each", "decode tok/s"],
      "against the shortest",
    ],
    rows: contexts.map((each) => [
      modelName(each.modelPath),
      `${each.threads}`,
      each.engine,
      `${each.contextTokens}`,
      formatSpread(each.promptMsPerToken, 2),
      formatRatio(each.promptRatio),
      each.addedMsPerToken ? formatSpread(each.addedMsPerToken, 2) : "",
      formatSpread(each.decodeTps),
      formatRatio(each.decodeRatio),
    ]),
  };
}

function loadTable({ load }: Report): Table {
  return {
    title: "Loading from a warm page cache, beside reading the file: with one thread into a " +
      "buffer, with all threads into fresh memory",
    head: ["model", "threads", "engine", "file", "load ms", "read", "/ read", "fresh", "/ fresh"],
    rows: load.map(({ task, engine, fileBytes, loadMs, readMs, ratio, ...fresh }) => [
      modelName(task.modelPath),
      `${task.threads}`,
      engine,
      formatBytes(fileBytes),
      formatSpread(loadMs, 0),
      formatSpread(readMs, 0),
      formatRatio(ratio),
      fresh.freshReadMs ? formatSpread(fresh.freshReadMs, 0) : "",
      formatRatio(fresh.freshRatio),
    ]),
  };
}

/** Fingerprints of our greedy ids, and whoever does not keep to them. */
function idNotes({ speed, engines }: Report): string[] {
  const ours = new Set(engines.filter(({ isOurs }) => isOurs).map(({ name }) => name));
  return speed.flatMap(({ task, engines }) => {
    const where = `${modelName(task.modelPath)}, ${task.threads} thread(s)`;
    const known = engines.filter((each) => ours.has(each.engine));
    const hash = known[0]?.idsHash;
    return [
      ...hash ? [`ids of ${where}: ${hash}`] : [],
      ...known.filter(({ idsAgree }) => !idsAgree)
        .map(({ engine }) => `ATTENTION: ids of ${engine} differ between rounds: ${where}`),
      ...known.filter(({ idsAgree, idsHash }) => idsAgree && hash && idsHash !== hash)
        .map(({ engine, idsHash }) => `ATTENTION: ids of ${engine} are others: ${idsHash}`),
    ];
  });
}

function formatRatio(ratio: Spread | null): string {
  return ratio ? formatSpread(ratio, 2) : "";
}
