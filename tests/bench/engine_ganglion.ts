/** This project as an engine of the benchmark, through its own command line. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SPEED_FLAGS } from "../../src/cli/v8_flags.ts";
import type { Spread } from "../../src/cli/spread.ts";
import type { Engine, LoadSample } from "./engine.ts";
import { runJson } from "./run_json.ts";

/** With the V8 flags that the product runs with, or without them. */
export const VARIANTS = ["flags", "plain"] as const;
export type Variant = typeof VARIANTS[number];

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const CLI = join(ROOT, "src", "cli", "main.ts");
const LOADER = join(ROOT, "tests", "bench", "measure_load.ts");
const DENO_RUN = ["run", "--no-prompt", "--allow-read", "--allow-env", "--allow-sys"];

/** The fields read from `ganglion bench --json`. */
interface BenchReport {
  readonly prefill_tps: Spread;
  readonly decode_tps: Spread;
  readonly bytes_per_token: number;
  readonly peak_read_gbps: number;
  readonly ids_hash: string;
}

export function ganglion(variant: Variant, commit: string | null): Engine {
  const flags = variant === "flags" ? SPEED_FLAGS.join(",") : undefined;
  const env = { DENO_V8_FLAGS: flags };
  return {
    name: variant === "flags" ? "ganglion" : `ganglion ${variant}`,
    settings: flags === undefined ? "no V8 flags" : `DENO_V8_FLAGS=${flags}`,
    isOurs: true,
    measuresContexts: true,
    async measure({ modelPath, threads, promptIds, genTokens, seed }) {
      const report = await runJson(Deno.execPath(), [
        ...[...DENO_RUN, CLI, "bench", modelPath, "--json", "--repeat", "1"],
        ...["--threads", `${threads}`, "--seed", `${seed}`],
        ...["--prompt-tokens", `${promptIds.length}`, "--gen-tokens", `${genTokens}`],
      ], { env }) as BenchReport;
      return {
        prefillTps: report.prefill_tps.median,
        decodeTps: report.decode_tps.median,
        idsHash: report.ids_hash,
        version: commit,
        roof: { bytesPerToken: report.bytes_per_token, readGbps: report.peak_read_gbps },
      };
    },
    async measureLoad({ modelPath, threads }) {
      const args = [...DENO_RUN, LOADER, modelPath, `${threads}`];
      return await runJson(Deno.execPath(), args, { env }) as LoadSample;
    },
  };
}
