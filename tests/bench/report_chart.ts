/** A report as a chart: every engine's speed divided by that of the native one. */
import type { Sample } from "./engine.ts";
import { type Bar, type BarGroup, ratioChart } from "./ratio_chart.ts";
import { modelName, NATIVE_ENGINES, referenceEngine, type Report } from "./report.ts";
import { ratioOf, type TaskSummary } from "./results.ts";

/** The phases of a run, and their speeds in a sample. */
const PHASES = [
  { name: "prefill", speed: (sample: Sample) => sample.prefillTps },
  { name: "decode", speed: (sample: Sample) => sample.decodeTps },
] as const;

/** The chart as an SVG document. */
export function reportChart(report: Report): string {
  const reference = referenceEngine(report);
  const { promptTokens, genTokens } = report.speed[0]?.task ?? { promptTokens: 0, genTokens: 0 };
  const { machine, commit, date } = report;
  return ratioChart({
    title: "Speed against " +
      (NATIVE_ENGINES.includes(reference) ? `native llama.cpp (${reference})` : reference),
    subtitle: `tok/s divided by those of ${reference} in the same round; median and range; ` +
      `${promptTokens} prompt + ${genTokens} generated tokens; longer is better`,
    groups: report.speed.flatMap((summary) =>
      PHASES.map((phase): BarGroup => ({
        heading: `${modelName(summary.task.modelPath)}, ${summary.task.threads} ` +
          `${summary.task.threads === 1 ? "thread" : "threads"}, ${phase.name}`,
        bars: barsOf({ report, summary, reference, speed: phase.speed }),
      }))
    ),
    footer: [
      `${machine.cpu}, ${machine.cores} cores; commit ${commit ?? "unknown"}, ${date}`,
      ...report.command.split("\n").flatMap(linesOf),
    ],
  });
}

function barsOf(
  { report, summary, reference, speed }: {
    report: Report;
    summary: TaskSummary;
    reference: string;
    speed: (sample: Sample) => number;
  },
): Bar[] {
  const ofTask = report.speeds.filter(({ task }) => isSame(task, summary.task));
  const roundsOf = (name: string) => ofTask.filter(({ engine }) => engine === name);
  return summary.engines.flatMap(({ engine, prefillTps, decodeTps }) => {
    const ratio = ratioOf(roundsOf(engine), roundsOf(reference), speed);
    if (ratio === null) return [];
    const median = speed === PHASES[0].speed ? prefillTps.median : decodeTps.median;
    return [{
      label: engine,
      value: ratio.median,
      min: ratio.min,
      max: ratio.max,
      note: `${median.toFixed(1)} tok/s`,
      isOurs: report.engines.some(({ name, isOurs }) => name === engine && isOurs),
    }];
  });
}

function isSame(a: TaskSummary["task"], b: TaskSummary["task"]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** A command in lines that fit below the chart. */
function linesOf(command: string): string[] {
  const lines = [""];
  for (const word of command.split(" ")) {
    const line = lines[lines.length - 1];
    if (line !== "" && line.length + word.length > 120) lines.push(`  ${word}`);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines;
}
