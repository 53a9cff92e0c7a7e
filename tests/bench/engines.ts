/**
 * The engines that the benchmark compares. Each measurement is a process of its own, so that no
 * two models share the memory; what a process reports leaves its loading out.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { hashIds } from "../../src/cli/bench_prompt.ts";

/** What every engine is asked to do. */
export interface Work {
  readonly modelPath: string;
  readonly threads: number;
  /** Ids of the prompt; engines that choose their own only look at the length. */
  readonly promptIds: readonly number[];
  readonly genTokens: number;
  /** Seed of `promptIds`. */
  readonly seed: number;
}

/** One round of one engine, tokens per second. */
export interface Sample {
  readonly prefillTps: number;
  readonly decodeTps: number;
  /** Fingerprint of the greedy ids, where the engine tells them. */
  readonly idsHash: string | null;
}

export interface Engine {
  readonly name: string;
  measure(work: Work): Promise<Sample>;
}

/** The engine that the others are compared with. */
export const OURS = "ganglion";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const CLI = join(ROOT, "src", "cli", "main.ts");
const PEER = join(ROOT, "tests", "bench", "peer_node_llama_cpp.mjs");

/** This project, through its own command line; V8 flags are inherited from the environment. */
export function ganglion(): Engine {
  return {
    name: OURS,
    async measure(work) {
      const report = await runJson(Deno.execPath(), [
        ...["run", "--no-prompt", "--allow-read", "--allow-env", "--allow-sys", CLI],
        ...["bench", work.modelPath, "--json", "--repeat", "1"],
        ...["--threads", `${work.threads}`, "--seed", `${work.seed}`],
        ...["--prompt-tokens", `${work.promptIds.length}`, "--gen-tokens", `${work.genTokens}`],
      ]);
      return {
        prefillTps: report.prefill_tps.median,
        decodeTps: report.decode_tps.median,
        idsHash: report.ids_hash,
      };
    },
  };
}

/** node-llama-cpp as `installPeer()` left it in `packageFolder`. */
export function nodeLlamaCpp(
  { packageFolder, flashAttention }: { packageFolder: string; flashAttention: boolean },
): Engine {
  return {
    name: "node-llama-cpp",
    async measure({ modelPath, threads, promptIds, genTokens }) {
      const job = { packageFolder, modelPath, threads, promptIds, genTokens, flashAttention };
      const report = await runJson("node", [PEER], { stdin: JSON.stringify(job) });
      return { ...report, idsHash: await hashIds(report.ids) };
    },
  };
}

/** Any llama-bench binary. It decodes from an empty context, which favours it a little. */
export function llamaBench(path: string): Engine {
  return {
    name: "llama-bench",
    async measure({ modelPath, threads, promptIds, genTokens }) {
      const runs: { n_prompt: number; n_gen: number; avg_ts: number }[] = await runJson(path, [
        ...["-m", modelPath, "-t", `${threads}`, "-o", "json", "-r", "1"],
        ...["-p", `${promptIds.length}`, "-n", `${genTokens}`],
      ]);
      return {
        prefillTps: runs.find((run) => run.n_prompt > 0 && run.n_gen === 0)?.avg_ts ?? 0,
        decodeTps: runs.find((run) => run.n_gen > 0 && run.n_prompt === 0)?.avg_ts ?? 0,
        idsHash: null,
      };
    },
  };
}

/**
 * Runs a program that prints one JSON document; its stderr is shown only when it fails.
 * @throws when it cannot be started, fails, or prints something else.
 */
async function runJson(
  program: string,
  args: readonly string[],
  { stdin = "" }: { stdin?: string } = {},
  // The documents are the programs' business; the callers above name the fields they read.
  // deno-lint-ignore no-explicit-any
): Promise<any> {
  const child = new Deno.Command(program, {
    args: [...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(stdin));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  if (!success) {
    throw new Error(`Cannot measure with "${program}": ${new TextDecoder().decode(stderr).trim()}`);
  }
  return JSON.parse(new TextDecoder().decode(stdout));
}
