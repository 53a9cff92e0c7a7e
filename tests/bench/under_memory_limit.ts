/**
 * Speed where memory is scarce: commands in a memory cgroup, each run with the page cache dropped
 * before, in interleaved rounds. Whatever a command prints of its speed is found (`bench --json`,
 * `llama-bench -o json`, "9.1 tok/s"). Linux, as root.
 *
 *   deno task bench:memory --limit 2560MiB --evict m.gguf --rounds 3 --json out.json \
 *     --run "ganglion=deno run …" --run "llama.cpp=llama-bench -m m.gguf -o json …"
 */
import { dirname, join } from "node:path";
import { Interrupt } from "../../src/cli/interrupt.ts";
import { type LimitedRun, runLimited } from "./limited_run.ts";
import { findCgroupRoot, readOrEmpty } from "./memory_cgroup.ts";
import { type MemoryBenchOptions, parseMemoryBenchArgs } from "./memory_options.ts";
import { describeEnd, formatMemoryReport, type MemoryMeasurement } from "./memory_report.ts";
import { dropAllCaches, evict } from "./page_cache.ts";
import { runMain } from "./run_main.ts";
import { inTurn } from "./schedule.ts";

if (import.meta.main) await runMain(() => main(parseMemoryBenchArgs(Deno.args)));

/** Measures everything, and prints a table; what was measured so far is saved after every run. */
async function main(options: MemoryBenchOptions): Promise<void> {
  const root = findCgroupRoot(await readOrEmpty("/proc/self/mounts"));
  if (options.evict.length === 0 && !options.dropCaches) {
    console.error(
      "The page cache is kept: what lies there is not counted against the limit (--evict FILE)",
    );
  }
  using interrupt = new Interrupt();
  const measured: MemoryMeasurement[] = [];
  for (let round = 1; round <= options.rounds; round++) {
    for (const command of inTurn(options.commands, round)) {
      await evict(options.evict);
      if (options.dropCaches) await dropAllCaches();
      const run = await runLimited(command, { root, signal: interrupt.signal, ...options });
      measured.push(withoutOutput(run, round));
      console.error(progressOf(run, `round ${round}/${options.rounds}: ${command.name}`));
      await save({ run, round, measured }, options);
    }
  }
  console.log(formatMemoryReport(measured));
}

function withoutOutput(
  { stdout: _stdout, stderr: _stderr, ...rest }: LimitedRun,
  round: number,
): MemoryMeasurement {
  return { round, ...rest };
}

/** A line, and what a command said last that did not end well. */
function progressOf(run: LimitedRun, what: string): string {
  const speed = run.decodeTps === null ? "no speed" : `decode ${run.decodeTps.toFixed(2)} tok/s`;
  const line = `${what}: ${speed}, ${run.wallSeconds.toFixed(1)} s, ended ${describeEnd(run)}`;
  if (run.exitCode === 0) return line;
  return [line, ...run.stderr.trim().split("\n").slice(-5)].join("\n  ");
}

async function save(
  { run, round, measured }: {
    run: LimitedRun;
    round: number;
    measured: readonly MemoryMeasurement[];
  },
  { json, outputs }: Pick<MemoryBenchOptions, "json" | "outputs">,
): Promise<void> {
  if (json !== undefined) await writeFile(json, JSON.stringify({ runs: measured }, null, 2) + "\n");
  if (outputs === undefined) return;
  await writeFile(join(outputs, `${run.name}.${round}.out`), run.stdout);
  await writeFile(join(outputs, `${run.name}.${round}.err`), run.stderr);
}

/** Writes a file, and makes the folders that it lies in. */
async function writeFile(path: string, text: string): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.writeTextFile(path, text);
}
