/** A finished or growing benchmark: everything measured, its summaries, and where it was made. */
import { basename } from "node:path";
import type { Skipped } from "./choose_engines.ts";
import { type ContextSummary, summariseContexts } from "./contexts.ts";
import type { Engine, LoadSample, Sample } from "./engine.ts";
import type { Machine } from "./machine.ts";
import {
  type LoadSummary,
  type Measurement,
  summarise,
  summariseLoads,
  type TaskSummary,
} from "./results.ts";

/** What was measured, raw. */
export interface Results {
  readonly speeds: Measurement<Sample>[];
  readonly loads: Measurement<LoadSample>[];
  readonly skipped: Skipped[];
}

/** What does not change while measuring. */
export interface Setup {
  /** The command that makes this report again; several, a line each. */
  readonly command: string;
  /** ISO date, without the time. */
  readonly date: string;
  readonly commit: string | null;
  readonly machine: Machine;
  readonly engines: readonly Pick<Engine, "name" | "settings" | "isOurs" | "measuresContexts">[];
}

export interface Report extends Setup, Results {
  /** Tasks of kind `speed`. */
  readonly speed: readonly TaskSummary[];
  readonly contexts: readonly ContextSummary[];
  readonly load: readonly LoadSummary[];
}

export function createReport(setup: Setup, results: Results): Report {
  const speeds = results.speeds.filter(({ task }) => task.kind === "speed");
  const { command, date, commit, machine } = setup;
  return {
    ...{ command, date, commit, machine },
    engines: setup.engines.map(({ name, settings, isOurs, measuresContexts }) => (
      { name, settings, isOurs, measuresContexts }
    )),
    ...results,
    speed: summarise(speeds, setup.engines[0].name),
    contexts: summariseContexts(results.speeds),
    load: summariseLoads(results.loads),
  };
}

/**
 * Several runs as one report, in their order; rounds of later ones count on.
 * @throws when they are not of the same commit, machine and first engine.
 */
export function mergeReports(reports: readonly Report[]): Report {
  const [first, ...others] = reports;
  const origin = ({ commit, machine, engines }: Report) =>
    JSON.stringify([commit, machine.cpu, machine.cores, engines[0].name]);
  for (const other of others) {
    if (origin(other) !== origin(first)) {
      throw new Error(
        `The reports of "${first.command}" and "${other.command}" are of other commits, machines ` +
          "or first engines: show each by itself",
      );
    }
  }
  const engines = new Map(reports.flatMap((each) => each.engines.map((of) => [of.name, of])));
  return createReport({
    ...first,
    command: reports.map(({ command }) => command).join("\n"),
    engines: [...engines.values()],
  }, {
    speeds: countOn(reports.map(({ speeds }) => speeds)),
    loads: countOn(reports.map(({ loads }) => loads)),
    skipped: reports.flatMap(({ skipped }) => skipped),
  });
}

/** Measurements of several runs, so numbered that no two runs share a round. */
function countOn<S>(runs: readonly (readonly Measurement<S>[])[]): Measurement<S>[] {
  let before = 0;
  return runs.flatMap((run) => {
    const numbered = run.map((each) => ({ ...each, round: each.round + before }));
    before = Math.max(before, ...numbered.map(({ round }) => round));
    return numbered;
  });
}

/** A model's name in tables and charts. */
export function modelName(path: string): string {
  return basename(path).replace(/\.gguf$/i, "");
}

/** Peers that are native llama.cpp, the best build first. */
export const NATIVE_ENGINES: readonly string[] = ["llama-bench", "node-llama-cpp"];

/** The native engine that charts hold others against, or who comes nearest to that. */
export function referenceEngine({ speed, engines }: Pick<Report, "speed" | "engines">): string {
  const measured = new Set(speed.flatMap((task) => task.engines.map(({ engine }) => engine)));
  const peers = engines.filter(({ name, isOurs }) => !isOurs && measured.has(name));
  return NATIVE_ENGINES.find((name) => peers.some((peer) => peer.name === name)) ??
    peers[0]?.name ?? engines[0].name;
}
