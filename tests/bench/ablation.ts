/**
 * What each step of streaming is worth: `ganglion bench` of a packed model within a memory budget,
 * without all of them, then with one after another, in interleaved rounds. Reads bypass the page
 * cache where the system lets them (Linux); the file leaves it before every run in any case.
 *
 *   deno task bench:ablation m.ganglion --memory 3420MiB --rounds 3 --json out.json
 */
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { openModelFile } from "../../src/bundle/mod.ts";
import { Interrupt } from "../../src/cli/interrupt.ts";
import { SPEED_FLAGS } from "../../src/cli/v8_flags.ts";
import { describeModel, summarizePredictors } from "../../src/model/mod.ts";
import { type AblationOptions, parseAblationArgs } from "./ablation_options.ts";
import { type AblationRun, formatAblation } from "./ablation_report.ts";
import { type AblationStep, ablationSteps } from "./ablation_steps.ts";
import { evict } from "./page_cache.ts";
import { runJson } from "./run_json.ts";
import { runMain } from "./run_main.ts";
import { inTurn } from "./schedule.ts";

/** The fields read from `ganglion bench --json`. */
interface BenchReport {
  readonly decode_tps: { readonly median: number };
  readonly cache_hit_rate: number | null;
  readonly disk_reads_per_token: number;
  readonly disk_bytes_per_token: number;
  readonly disk_wait_ms: number;
  readonly token_ms: { readonly p50: number; readonly p99: number };
  readonly memory_bytes: { readonly slots: number; readonly resident: number };
  readonly ids_hash: string;
}

const CLI = join(fileURLToPath(new URL("../..", import.meta.url)), "src", "cli", "main.ts");
const DENO_RUN = ["run", "--no-prompt", "--allow-read", "--allow-env", "--allow-sys"];

if (import.meta.main) await runMain(() => main(parseAblationArgs(Deno.args)));

/** Measures everything, and prints a table; what was measured so far is saved after every run. */
async function main(options: AblationOptions): Promise<void> {
  const { modelPath, rounds, json } = options;
  const steps = ablationSteps(hasPredictors(modelPath));
  using interrupt = new Interrupt();
  const runs: AblationRun[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const step of inTurn(steps, round)) {
      await evict([modelPath]);
      const run = await measure(step, round, options);
      interrupt.signal.throwIfAborted();
      runs.push(run);
      console.error(`round ${round}/${rounds}: ${step.name}: ${run.decodeTps.toFixed(2)} tok/s`);
      if (json !== undefined) {
        await Deno.writeTextFile(json, JSON.stringify({ options, runs }, null, 2) + "\n");
      }
    }
  }
  // In the order of the steps, whichever began.
  const ordered = steps.flatMap(({ name }) => runs.filter(({ step }) => step === name));
  console.log(formatAblation(ordered, { ...options, model: basename(modelPath) }));
}

/** @throws {Error} when it is no packed model. */
function hasPredictors(path: string): boolean {
  const { file, packed } = openModelFile(path);
  if (packed !== null) return summarizePredictors(file, describeModel(file)) !== null;
  throw new Error(`Cannot measure "${path}": it is not packed: see \`ganglion pack\``);
}

async function measure(
  { name, args }: AblationStep,
  round: number,
  options: AblationOptions,
): Promise<AblationRun> {
  const { modelPath, memoryBytes, promptTokens, genTokens, threads, ioThreads } = options;
  const report = await runJson(Deno.execPath(), [
    ...[...DENO_RUN, CLI, "bench", modelPath, "--json", "--repeat", "1", "--seed", `${round}`],
    ...["--memory", `${memoryBytes}`],
    ...["--prompt-tokens", `${promptTokens}`, "--gen-tokens", `${genTokens}`],
    ...threads === undefined ? [] : ["--threads", `${threads}`],
    ...ioThreads === undefined ? [] : ["--io-threads", `${ioThreads}`],
    ...args,
  ], { env: { DENO_V8_FLAGS: SPEED_FLAGS.join(",") } }) as BenchReport;
  if (report.memory_bytes.slots === 0) {
    throw new Error(
      `Cannot measure "${name}": within that --memory the model fits, or not even its gates do: ` +
        "`ganglion plan` says what it needs",
    );
  }
  return {
    step: name,
    round,
    decodeTps: report.decode_tps.median,
    hitRate: report.cache_hit_rate ?? 0,
    reads: report.disk_reads_per_token,
    readBytes: report.disk_bytes_per_token,
    waitMs: report.disk_wait_ms,
    p50Ms: report.token_ms.p50,
    p99Ms: report.token_ms.p99,
    residentBytes: report.memory_bytes.resident,
    idsHash: report.ids_hash,
  };
}
