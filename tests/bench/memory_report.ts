/** Runs under a memory limit as a table: medians, and ratios round by round. */
import { formatBytes } from "../../src/base/units.ts";
import { formatSpread, spreadOf } from "../../src/cli/spread.ts";
import type { LimitedRun } from "./limited_run.ts";
import { type Table, tableAsText } from "./table.ts";

/** A run of a round, without what it printed. */
export interface MemoryMeasurement extends Omit<LimitedRun, "stdout" | "stderr"> {
  /** From 1. */
  readonly round: number;
}

/** A line for each command, in the order in which they were first measured. */
export function formatMemoryReport(runs: readonly MemoryMeasurement[]): string {
  return tableAsText(memoryTable(runs));
}

/** As `formatMemoryReport`, in cells. */
export function memoryTable(runs: readonly MemoryMeasurement[]): Table {
  const groups = Map.groupBy(runs, ({ name }) => name);
  const [first] = groups.values();
  const rounds = Math.max(0, ...runs.map(({ round }) => round));
  return {
    title: `Under a limit of ${formatBytes(runs[0]?.limitBytes ?? 0)}, ` +
      (rounds === 1 ? "one round" : `median (min–max) of ${rounds} interleaved rounds`),
    head: [
      ...["command", "prefill tok/s", "decode tok/s", "first / it", "wall s", "peak", "anonymous"],
      ...["read from disk", "limit met", "ended"],
    ],
    rows: groups.entries().map(([name, group], index) => [
      name,
      formatSpeeds(group.map(({ prefillTps }) => prefillTps)),
      formatSpeeds(group.map(({ decodeTps }) => decodeTps)),
      index === 0 ? "" : formatRatios(first, group),
      formatSpread(spreadOf(group.map(({ wallSeconds }) => wallSeconds))),
      formatMost(group.map(({ peakBytes }) => peakBytes)),
      formatMost(group.map(({ anonymousPeakBytes }) => anonymousPeakBytes)),
      formatBytes(spreadOf(group.map(({ diskReadBytes }) => diskReadBytes)).median),
      `${spreadOf(group.map(({ limitHits }) => limitHits)).median} times`,
      [...new Set(group.map(describeEnd))].join(", "),
    ]).toArray(),
  };
}

/** How a run ended, in a word or two. */
export function describeEnd(
  { timedOut, oomKills, exitCode }: Pick<LimitedRun, "timedOut" | "oomKills" | "exitCode">,
): string {
  if (timedOut) return "too slow";
  if (oomKills > 0) return "out of memory";
  return exitCode === 0 ? "well" : `code ${exitCode}`;
}

/** Slow machines need digits behind the point. */
function formatSpeeds(speeds: readonly (number | null)[]): string {
  const known = speeds.filter((speed) => speed !== null);
  if (known.length === 0) return "–";
  const spread = spreadOf(known);
  return formatSpread(spread, spread.median < 10 ? 2 : 1);
}

function formatRatios(
  above: readonly MemoryMeasurement[],
  below: readonly MemoryMeasurement[],
): string {
  const ratios = above.flatMap(({ round, decodeTps }) => {
    const other = below.find((each) => each.round === round)?.decodeTps;
    return decodeTps && other ? [decodeTps / other] : [];
  });
  return ratios.length === 0 ? "–" : formatSpread(spreadOf(ratios), 2);
}

function formatMost(bytes: readonly (number | null)[]): string {
  const known = bytes.filter((each) => each !== null);
  return known.length === 0 ? "unknown" : formatBytes(Math.max(...known));
}
