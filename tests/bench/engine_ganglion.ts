/** This project as an engine of the benchmark, through its own command line. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SPEED_FLAGS } from "../../src/cli/v8_flags.ts";
import type { Spread } from "../../src/cli/spread.ts";
import type { Engine, LoadSample } from "./engine.ts";
import { runJson } from "./run_json.ts";

/**
 * With the V8 flags that the product runs with, or without them; with them, and all neurons
 * computed, or those that a predictor would have left out looked at.
 */
export const VARIANTS = ["flags", "plain", "dense", "unpredicted"] as const;
export type Variant = typeof VARIANTS[number];

/** What a variant adds to the command line. */
const VARIANT_ARGS: Readonly<Record<Variant, readonly string[]>> = {
  flags: [],
  plain: [],
  dense: ["--dense"],
  unpredicted: ["--predictor", "off"],
};

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
  const flags = variant === "plain" ? undefined : SPEED_FLAGS.join(",");
  const env = { DENO_V8_FLAGS: flags };
  const variantArgs = VARIANT_ARGS[variant];
  const setting = flags === undefined ? "no V8 flags" : `DENO_V8_FLAGS=${flags}`;
  return {
    name: variant === "flags" ? "ganglion" : `ganglion ${variant}`,
    settings: [setting, ...variantArgs].join(" "),
    isOurs: true,
    measuresContexts: true,
    async measure({ modelPath, threads, promptIds, genTokens, seed }) {
      const report = await runJson(Deno.execPath(), [
        ...[...DENO_RUN, CLI, "bench", modelPath, "--json", "--repeat", "1"],
        ...["--threads", `${threads}`, "--seed", `${seed}`],
        ...["--prompt-tokens", `${promptIds.length}`, "--gen-tokens", `${genTokens}`],
        ...variantArgs,
      ], { env }) as BenchReport;
      return {
        prefillTps: report.prefill_tps.median,
        decodeTps: report.decode_tps.median,
        idsHash: report.ids_hash,
        version: commit,
        roof: { bytesPerToken: report.bytes_per_token, readGbps: report.peak_read_gbps },
      };
    },
    // The loader knows none of these arguments.
    measureLoad: variantArgs.length > 0 ? undefined : async ({ modelPath, threads }) => {
      const args = [...DENO_RUN, LOADER, modelPath, `${threads}`];
      return await runJson(Deno.execPath(), args, { env }) as LoadSample;
    },
  };
}
