/** A report as the first table of docs/benchmarks.md, and its chart. Measures nothing. */
import { formatSpread, type Spread } from "../../src/cli/spread.ts";
import { NOT_MEASURED, type Section } from "./benchmarks_page.ts";
import { modelName, type Report } from "./report.ts";
import type { EngineSummary, TaskSummary } from "./results.ts";

/** The section that a report of speeds replaces. */
export const SPEED_HEADING = "Beside native llama.cpp";
/** Who it is measured beside; where it was not, the table has no ratios. */
const PEER = "llama-bench";

/**
 * The sections with the one about speed made of a report; its chart and what stands behind its
 * table are kept.
 * @throws {Error} when there is no such section, or the report has no speeds.
 */
export function withReport(sections: readonly Section[], report: Report): readonly Section[] {
  const old = sections.find(({ heading }) => heading === SPEED_HEADING);
  if (old === undefined) throw new Error(`Cannot replace "${SPEED_HEADING}": it is not there`);
  if (report.speed.length === 0) throw new Error("Cannot make a table: no speed was measured");
  const made: Section = {
    ...old,
    measured: report.date,
    machine: `${report.machine.cores} cores, ${report.machine.cpu}`,
    command: report.command.replaceAll("\n", "; "),
    text: [describe(report)],
    rows: report.speed.map(rowOf),
  };
  return sections.map((each) => each === old ? made : each);
}

function describe({ speed, commit }: Report): string {
  const [{ task, engines }] = speed;
  const rounds = Math.max(...engines.map((engine) => engine.rounds));
  const peer = engines.find(({ engine }) => engine === PEER);
  return `${task.promptTokens} prompt + ${task.genTokens} generated tokens, tokens a second, ` +
    (rounds === 1 ? "one round" : `median (min–max) of ${rounds} interleaved rounds`) +
    ` of ${commit ?? "an unknown commit"}. ` +
    (peer === undefined
      ? `llama.cpp was not measured: \`--peers ${PEER}=PATH\` does.`
      : `llama.cpp is ${peer.version ?? "of an unknown version"}. Ratios are of the same round, ` +
        "because a shared machine's speed drifts.");
}

/** model, threads, prefill, llama.cpp, ratio, decode, llama.cpp, ratio, of the read rate. */
function rowOf({ task, engines: [ours, ...others] }: TaskSummary): string[] {
  const peer = others.find(({ engine }) => engine === PEER);
  return [
    modelName(task.modelPath),
    `${task.threads}`,
    formatSpread(ours.prefillTps),
    medianOf(peer?.prefillTps),
    ratioOf(peer?.prefillRatio),
    formatSpread(ours.decodeTps),
    medianOf(peer?.decodeTps),
    ratioOf(peer?.decodeRatio),
    shareOf(ours),
  ];
}

function medianOf(speed: Spread | undefined): string {
  return speed === undefined ? NOT_MEASURED : speed.median.toFixed(1);
}

function ratioOf(ratio: Spread | null | undefined): string {
  return ratio ? formatSpread(ratio, 2) : NOT_MEASURED;
}

function shareOf({ weightsGbps, readGbps }: EngineSummary): string {
  if (weightsGbps === null || readGbps === null) return NOT_MEASURED;
  return `${(weightsGbps / readGbps * 100).toFixed(0)} %`;
}
