/**
 * PowerInfer's CPU engine through its own benchmark: a llama-bench of 2023, with fewer flags. It
 * reads files of magic PWRI sparsely; how many neurons it computes is up to the file's predictors
 * and threshold.
 */
import type { Engine, Work } from "./engine.ts";
import { parseLlamaBench } from "./engine_llama_bench.ts";
import { runJson } from "./run_json.ts";

/**
 * The llama-bench of a build of PowerInfer.
 * @throws when there is no file at `path`.
 */
export async function powerInfer(path: string): Promise<Engine> {
  if (!(await Deno.stat(path)).isFile) throw new Error(`"${path}" is no file`);
  return {
    name: "powerinfer",
    settings: "-r 1 -ngl 0, the file's threshold; decodes the same token from an empty context",
    isOurs: false,
    measuresContexts: false,
    async measure(work) {
      // Its environment can override the threshold, which would measure another share of neurons.
      const env = { LLAMA_SPARSE_PRED_THRESHOLD: undefined };
      return parseLlamaBench(await runJson(path, powerInferArgs(work), { env }));
    },
  };
}

/** Without `-ngl 0` it refuses sparse models, even where it was built without a GPU. */
function powerInferArgs({ modelPath, threads, promptIds, genTokens }: Work): string[] {
  return [
    ...["-m", modelPath, "-t", `${threads}`, "-r", "1", "-ngl", "0", "-o", "json"],
    ...["-p", `${promptIds.length}`, "-n", `${genTokens}`],
  ];
}
