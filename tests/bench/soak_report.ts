/**
 * What a soak has seen, and whether it is flat: lines through samples, tenths of it, promises.
 * Arithmetic over numbers: knows neither servers nor clocks.
 */
import { percentile } from "./overload_client.ts";
import type { SoakOutcome } from "./soak_traffic.ts";
import type { Table } from "./table.ts";

/** The server's process at a moment of the run. */
export interface SoakSample {
  /** Since the beginning. */
  readonly seconds: number;
  readonly residentBytes: number;
  readonly heapBytes: number;
  readonly handles: number;
  readonly threads: number;
}

/** What is still held when no client asks. */
export interface SoakRest {
  readonly seconds: number;
  /** Share of the cache of keys and values that somebody has. */
  readonly kvRatio: number;
  /** Generations that run or wait, and requests under way. */
  readonly held: number;
}

export type TimedOutcome = SoakOutcome & { readonly seconds: number };

export interface SoakRecord {
  readonly seconds: number;
  readonly samples: readonly SoakSample[];
  readonly rests: readonly SoakRest[];
  readonly outcomes: readonly TimedOutcome[];
  /** Of the server's process in the end; null: it was killed. */
  readonly exitCode: number | null;
}

/** Of the run: heaps grow to their size, code is compiled, the cache fills. */
const WARM_UP_SHARE = 0.3;
const PARTS = 10;
/** Of the mean. */
const FLAT_SHARE = 0.05;
/** Handles and threads come and go with connections and models: so many are no leak. */
const FLAT_COUNT = 2;

/** A line through points by least squares: its rise over the whole range of x, and y's mean. */
export function rise(points: readonly (readonly [x: number, y: number])[]): {
  readonly rise: number;
  readonly mean: number;
} {
  const count = points.length;
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / count;
  const mean = points.reduce((sum, [, y]) => sum + y, 0) / count;
  let xy = 0;
  let xx = 0;
  for (const [x, y] of points) {
    xy += (x - meanX) * (y - mean);
    xx += (x - meanX) ** 2;
  }
  if (xx === 0) return { rise: 0, mean };
  const xs = points.map(([x]) => x);
  return { rise: xy / xx * (Math.max(...xs) - Math.min(...xs)), mean };
}

type Measure = Exclude<keyof SoakSample, "seconds">;

/** How much something grew behind the warm-up, as a share of its mean. */
export function growth({ samples, seconds }: SoakRecord, of: Measure) {
  const warm = samples.filter((sample) => sample.seconds >= WARM_UP_SHARE * seconds);
  const line = rise(warm.map((sample) => [sample.seconds, sample[of]]));
  return { ...line, share: line.mean === 0 ? 0 : line.rise / line.mean };
}

/** What the service promises, and whether it was kept. */
export function soakPromises(record: SoakRecord): readonly (readonly [string, boolean])[] {
  // What falls is no leak: collections give back what earlier load had taken.
  const isFlat = (of: Measure, allowed: number) => {
    const { rise, mean } = growth(record, of);
    return rise <= Math.max(allowed, FLAT_SHARE * mean);
  };
  const { outcomes, rests } = record;
  return [
    ["every answer was the right one", outcomes.every(({ flaw }) => flaw === null)],
    ["resident memory does not grow (5 %)", isFlat("residentBytes", 0)],
    [`handles do not grow (5 %, or ${FLAT_COUNT})`, isFlat("handles", FLAT_COUNT)],
    [`threads do not grow (5 %, or ${FLAT_COUNT})`, isFlat("threads", FLAT_COUNT)],
    ["no request held when nobody asks", rests.every(({ held }) => held === 0)],
    ["no key or value held when nobody asks", rests.every(({ kvRatio }) => kvRatio === 0)],
    ["the server ended in order", record.exitCode === 0],
  ];
}

/** A row for each tenth of the run. */
export function soakTable(record: SoakRecord): Table {
  const partSeconds = record.seconds / PARTS;
  const rows = Array.from({ length: PARTS }, (_, part) => {
    const isIn = ({ seconds }: { readonly seconds: number }) =>
      Math.min(PARTS - 1, Math.floor(seconds / partSeconds)) === part;
    const samples = record.samples.filter(isIn);
    const outcomes = record.outcomes.filter(isIn);
    const median = (of: Measure) => percentile(samples.map((sample) => sample[of]), 0.5);
    const ms = (kind: string, share: number) => {
      const all = outcomes.filter((outcome) => outcome.kind === kind && outcome.ms !== null);
      return all.length === 0 ? "–" : percentile(all.map((each) => each.ms!), share).toFixed(0);
    };
    return [
      `${(part * partSeconds / 60).toFixed(1)}–${((part + 1) * partSeconds / 60).toFixed(1)}`,
      String(outcomes.length),
      String(outcomes.filter(({ flaw }) => flaw !== null).length),
      `${ms("stream", 0.5)} / ${ms("stream", 0.99)}`,
      `${ms("plain", 0.5)} / ${ms("plain", 0.99)}`,
      (median("residentBytes") / 2 ** 20).toFixed(0),
      (median("heapBytes") / 2 ** 20).toFixed(0),
      String(median("handles")),
      String(median("threads")),
    ];
  });
  return { title: "Tenths of the run", head: HEAD, rows };
}

const HEAD = [
  "minutes",
  "requests",
  "flaws",
  "first token ms p50 / p99",
  "whole answer ms p50 / p99",
  "resident MiB",
  "heap MiB",
  "handles",
  "threads",
];
