/** What each step of streaming is worth, as a table: medians, and gains round by round. */
import { formatBytes } from "../../src/base/units.ts";
import { formatSpread, spreadOf } from "../../src/cli/spread.ts";
import { type Table, tableAsText } from "./table.ts";

/** A step that was measured in a round. */
export interface AblationRun {
  readonly step: string;
  /** From 1. */
  readonly round: number;
  readonly decodeTps: number;
  /** Of the neurons that tokens needed. */
  readonly hitRate: number;
  /** Of a token; waiting is the sum over threads. */
  readonly reads: number;
  readonly readBytes: number;
  readonly waitMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly residentBytes: number;
  readonly idsHash: string;
}

export interface AblationSubject {
  readonly model: string;
  readonly memoryBytes: number;
  readonly genTokens: number;
}

/** A line for each step, in the order in which they were first measured. */
export function formatAblation(runs: readonly AblationRun[], subject: AblationSubject): string {
  const lines = [tableAsText(ablationTable(runs, subject))];
  const parted = stepsOfOtherAnswers(runs);
  if (parted.length > 0) lines.push(`another answer than in the first step: ${parted.join(", ")}`);
  return lines.join("\n");
}

/** As `formatAblation`, in cells. */
export function ablationTable(
  runs: readonly AblationRun[],
  { model, memoryBytes, genTokens }: AblationSubject,
): Table {
  const steps = [...Map.groupBy(runs, ({ step }) => step).entries()];
  const rounds = Math.max(0, ...runs.map(({ round }) => round));
  return {
    title: `${model} within ${formatBytes(memoryBytes)}, ${genTokens} tokens, ` +
      (rounds === 1 ? "one round" : `median (min–max) of ${rounds} interleaved rounds`),
    head: [
      ...["step", "tok/s", "× before", "× first", "found", "reads", "read", "waiting ms"],
      ...["p50 ms", "p99 ms", "resident"],
    ],
    rows: steps.map(([name, own], index) => {
      const median = (of: (run: AblationRun) => number) => spreadOf(own.map(of)).median;
      return [
        name,
        formatSpread(spreadOf(own.map(({ decodeTps }) => decodeTps)), 2),
        index === 0 ? "" : formatGain(own, steps[index - 1][1]),
        index === 0 ? "" : formatGain(own, steps[0][1]),
        `${(100 * median(({ hitRate }) => hitRate)).toFixed(1)} %`,
        `${Math.round(median(({ reads }) => reads))}`,
        formatBytes(median(({ readBytes }) => readBytes)),
        `${Math.round(median(({ waitMs }) => waitMs))}`,
        median(({ p50Ms }) => p50Ms).toFixed(1),
        median(({ p99Ms }) => p99Ms).toFixed(1),
        formatBytes(Math.max(...own.map(({ residentBytes }) => residentBytes))),
      ];
    }),
  };
}

function formatGain(own: readonly AblationRun[], before: readonly AblationRun[]): string {
  const gains = own.flatMap(({ round, decodeTps }) => {
    const other = before.find((each) => each.round === round);
    return other === undefined ? [] : [decodeTps / other.decodeTps];
  });
  return gains.length === 0 ? "–" : formatSpread(spreadOf(gains), 2);
}

/** Only predictors may change an answer, where they miss a neuron. */
function stepsOfOtherAnswers(runs: readonly AblationRun[]): string[] {
  const [first] = runs.map(({ step }) => step);
  const differs = ({ round, idsHash }: AblationRun) =>
    runs.some((each) => each.step === first && each.round === round && each.idsHash !== idsHash);
  return [...new Set(runs.filter(differs).map(({ step }) => step))];
}
