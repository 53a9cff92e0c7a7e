/**
 * What a benchmark measured, and its summary: medians, and ratios round by round, because the
 * machine of one round is not the machine of the next. Knows nothing of tables or charts.
 */
import { type Spread, spreadOf } from "../../src/cli/spread.ts";
import type { LoadSample, Sample } from "./engine.ts";
import type { Task } from "./schedule.ts";

/** One measurement, as it came. */
export interface Measurement<S> {
  readonly engine: string;
  readonly round: number;
  readonly task: Task;
  readonly sample: S;
}

/** All rounds of one engine at one task. */
export interface EngineSummary {
  readonly engine: string;
  readonly version: string | null;
  readonly rounds: number;
  /** Tokens per second. */
  readonly prefillTps: Spread;
  readonly decodeTps: Spread;
  /** Ours divided by this engine's speed, round by round; null when no round has both. */
  readonly prefillRatio: Spread | null;
  readonly decodeRatio: Spread | null;
  /** Fingerprint of greedy ids; null where unknown, and where rounds disagree. */
  readonly idsHash: string | null;
  readonly idsAgree: boolean;
  /** GB/s of weights that decoding reads, and that kernels that only read reach. */
  readonly weightsGbps: number | null;
  readonly readGbps: number | null;
}

/** All engines at one task, in the order in which they were first measured in round 1. */
export interface TaskSummary {
  readonly task: Task;
  readonly engines: readonly EngineSummary[];
}

/** All rounds of one engine's loading. */
export interface LoadSummary {
  readonly task: Task;
  readonly engine: string;
  readonly loadMs: Spread;
  readonly readMs: Spread;
  /** Loading divided by reading, round by round. */
  readonly ratio: Spread;
  /** The same of reading into fresh memory; null where a round lacks it. */
  readonly freshReadMs: Spread | null;
  readonly freshRatio: Spread | null;
  readonly fileBytes: number;
}

/** A summary per task, in the order of measurement; ratios are of the engine named `ours`. */
export function summarise(
  measurements: readonly Measurement<Sample>[],
  ours: string,
): TaskSummary[] {
  return Map.groupBy(measurements, ({ task }) => keyOf(task)).values().map((ofTask) => {
    const ofOurs = ofTask.filter(({ engine }) => engine === ours);
    const engines = Map.groupBy(ofTask, ({ engine }) => engine).values()
      .map((rounds) => summariseEngine(rounds, ofOurs)).toArray();
    return { task: ofTask[0].task, engines };
  }).toArray();
}

/** A summary per task and engine. */
export function summariseLoads(measurements: readonly Measurement<LoadSample>[]): LoadSummary[] {
  return Map.groupBy(measurements, ({ task, engine }) => `${engine} ${keyOf(task)}`).values()
    .map((rounds) => ({
      task: rounds[0].task,
      engine: rounds[0].engine,
      ...freshReadsOf(rounds),
      loadMs: spreadOf(rounds.map(({ sample }) => sample.loadMs)),
      readMs: spreadOf(rounds.map(({ sample }) => sample.readMs)),
      ratio: spreadOf(rounds.map(({ sample }) => sample.loadMs / sample.readMs)),
      fileBytes: rounds[0].sample.fileBytes,
    })).toArray();
}

function freshReadsOf(
  rounds: readonly Measurement<LoadSample>[],
): Pick<LoadSummary, "freshReadMs" | "freshRatio"> {
  const reads = rounds.flatMap(({ sample: { loadMs, freshReadMs } }) =>
    freshReadMs === undefined ? [] : [{ loadMs, freshReadMs }]
  );
  if (reads.length < rounds.length) return { freshReadMs: null, freshRatio: null };
  return {
    freshReadMs: spreadOf(reads.map(({ freshReadMs }) => freshReadMs)),
    freshRatio: spreadOf(reads.map(({ loadMs, freshReadMs }) => loadMs / freshReadMs)),
  };
}

/** `above` divided by `below` in every round that has both; null when none has. */
export function ratioOf<S>(
  above: readonly Measurement<S>[],
  below: readonly Measurement<S>[],
  value: (sample: S, task: Task) => number,
): Spread | null {
  const ratios = above.flatMap(({ round, sample, task }) => {
    const other = below.find((each) => each.round === round);
    return other ? [value(sample, task) / value(other.sample, other.task)] : [];
  });
  return ratios.length === 0 ? null : spreadOf(ratios);
}

function summariseEngine(
  rounds: readonly Measurement<Sample>[],
  ours: readonly Measurement<Sample>[],
): EngineSummary {
  const samples = rounds.map(({ sample }) => sample);
  const decodeTps = spreadOf(samples.map((sample) => sample.decodeTps));
  const roofs = samples.flatMap(({ roof }) => roof ? [roof] : []);
  const idsAgree = new Set(samples.map(({ idsHash }) => idsHash)).size === 1;
  return {
    engine: rounds[0].engine,
    version: samples[0].version,
    rounds: samples.length,
    prefillTps: spreadOf(samples.map((sample) => sample.prefillTps)),
    decodeTps,
    prefillRatio: ratioOf(ours, rounds, (sample) => sample.prefillTps),
    decodeRatio: ratioOf(ours, rounds, (sample) => sample.decodeTps),
    idsHash: idsAgree ? samples[0].idsHash : null,
    idsAgree,
    weightsGbps: roofs.length === 0 ? null : roofs[0].bytesPerToken * decodeTps.median / 1e9,
    readGbps: roofs.length === 0 ? null : spreadOf(roofs.map((roof) => roof.readGbps)).median,
  };
}

function keyOf({ kind, modelPath, threads, promptTokens, genTokens }: Task): string {
  return JSON.stringify([kind, modelPath, threads, promptTokens, genTokens]);
}
