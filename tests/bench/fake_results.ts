/** Made-up measurements for the tests of what is done with them. */
import type { LoadSample, Sample } from "./engine.ts";
import { createReport, type Report } from "./report.ts";
import type { Measurement } from "./results.ts";
import type { Task } from "./schedule.ts";

/** A task of kind `speed`; fields of `changes` instead. */
export function fakeTask(changes: Partial<Task> = {}): Task {
  const lengths = { promptTokens: 64, genTokens: 16 };
  return { kind: "speed", modelPath: "/models/tiny.gguf", threads: 1, ...lengths, ...changes };
}

/** One round of one engine that reads `prefillTps` and writes `decodeTps` tokens per second. */
export function fakeSpeed(
  [engine, round, prefillTps, decodeTps]: [string, number, number, number],
  { task = fakeTask(), ...sample }: Partial<Sample> & { task?: Task } = {},
): Measurement<Sample> {
  const unknown = { idsHash: null, version: null };
  return { engine, round, task, sample: { prefillTps, decodeTps, ...unknown, ...sample } };
}

/** One loading of ours. */
export function fakeLoad(round: number, sample: LoadSample): Measurement<LoadSample> {
  return { engine: "ganglion", round, task: fakeTask({ kind: "load" }), sample };
}

/** A report of these measurements, made on no machine; engines by name, ours first. */
export function fakeReport(
  engines: readonly string[],
  results: Partial<Pick<Report, "speeds" | "loads" | "skipped">>,
): Report {
  return createReport({
    command: "deno task bench tiny.gguf --peers wllama",
    date: "2026-01-02",
    commit: "abc1234",
    machine: {
      cpu: "A <quick> CPU & more",
      cores: 2,
      memoryBytes: 2 ** 31,
      os: "none",
      deno: "1",
      v8: "2",
      loadAverage: 0.5,
    },
    engines: engines.map((name) => ({
      name,
      settings: `as ${name} is`,
      isOurs: name.startsWith("ganglion"),
      measuresContexts: name !== "wllama",
    })),
  }, { speeds: [], loads: [], skipped: [], ...results });
}
