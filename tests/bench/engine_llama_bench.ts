/** Native llama.cpp through any build of its own benchmark, `llama-bench`. */
import type { Engine, Sample, Work } from "./engine.ts";
import { runJson } from "./run_json.ts";

/** The fields read from each entry of `llama-bench -o json`. */
interface LlamaBenchRun {
  readonly build_commit?: unknown;
  readonly n_prompt?: unknown;
  readonly n_gen?: unknown;
  readonly avg_ts?: unknown;
}

/**
 * A llama-bench binary. By itself it decodes from an empty context, which favours it a little.
 * @throws when there is no file at `path`.
 */
export async function llamaBench(path: string): Promise<Engine> {
  if (!(await Deno.stat(path)).isFile) throw new Error(`"${path}" is no file`);
  return {
    name: "llama-bench",
    settings: "-r 1 -fa 1; decodes from an empty context except where a context is named",
    isOurs: false,
    measuresContexts: true,
    async measure(work) {
      return parseLlamaBench(await runInTurn(path, llamaBenchCalls(work)));
    },
  };
}

/** Arguments of the calls that one measurement takes; a context of its own takes two. */
export function llamaBenchCalls(
  { modelPath, threads, promptIds, genTokens, decodeAtDepth }: Work,
): string[][] {
  const common = ["-m", modelPath, "-t", `${threads}`, "-r", "1", "-fa", "1", "-o", "json"];
  const prompt = ["-p", `${promptIds.length}`];
  const answer = ["-n", `${genTokens}`];
  if (!decodeAtDepth) return [[...common, ...prompt, ...answer]];
  return [
    [...common, ...prompt, "-n", "0"],
    [...common, "-p", "0", ...answer, "-d", `${promptIds.length}`],
  ];
}

/**
 * Speeds of what llama-bench printed.
 * @throws when the prompt's or the answer's speed is not in it.
 */
export function parseLlamaBench(document: unknown): Sample {
  const runs: readonly LlamaBenchRun[] = Array.isArray(document) ? document : [];
  const prompt = runs.find((run) => isPositive(run.n_prompt) && !isPositive(run.n_gen));
  const answer = runs.find((run) => isPositive(run.n_gen) && !isPositive(run.n_prompt));
  const prefillTps = prompt?.avg_ts;
  const decodeTps = answer?.avg_ts;
  if (!isPositive(prefillTps) || !isPositive(decodeTps)) {
    throw new Error(
      "Cannot read llama-bench's report: it has no run of a prompt alone and of an answer alone " +
        "with their avg_ts: is the binary another program?",
    );
  }
  const commit = prompt?.build_commit;
  const version = typeof commit === "string" ? commit : null;
  return { prefillTps, decodeTps, idsHash: null, version };
}

async function runInTurn(path: string, calls: readonly string[][]): Promise<unknown[]> {
  const runs: unknown[] = [];
  for (const args of calls) {
    const document = await runJson(path, args);
    runs.push(...Array.isArray(document) ? document : []);
  }
  return runs;
}

function isPositive(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value > 0;
}
