/** Loading a model for a verb: the flags for it, and progress while it lasts. */
import type { Command } from "commander";
import { Option } from "commander";
import { basename } from "node:path";
import { type LoadedModel, loadModel, type LoadOptions } from "../llm/mod.ts";
import { BUILT_IN_MODEL_ID, BUILT_IN_MODEL_PATH } from "./built_in_model.ts";
import { wholeNumber } from "./option_values.ts";
import { Progress } from "./progress.ts";

/** What `addLoadOptions` parses. */
export interface LoadFlags {
  readonly threads?: number;
  readonly ctxSize?: number;
  readonly kvType?: NonNullable<LoadOptions["kvType"]>;
  readonly dense?: boolean;
}

/** Adds the flags of every verb that loads a model. */
export function addLoadOptions(verb: Command): Command {
  return verb
    .option("--threads <n>", "threads that compute (default: one per core)", threadCount)
    .option("--ctx-size <n>", "tokens of prompt and answer together", wholeNumber({ min: 1 }))
    .addOption(
      new Option("--kv-type <type>", "type of cached keys and values").choices([
        "auto",
        "f16",
        "f32",
      ]),
    )
    .option("--dense", "compute every neuron, also of models whose neurons are mostly silent");
}

/** More threads than this help no machine that this version knows. */
const threadCount = wholeNumber({ min: 1, max: 64 });

/** `LoadOptions` of the flags alone, for planning without loading. */
export function toLoadOptions(flags: LoadFlags): LoadOptions {
  const { threads, ctxSize: contextLength, kvType, dense } = flags;
  return { threads, contextLength, kvType, sparse: dense ? false : undefined };
}

/** Loads the model of a verb, showing progress; `using` closes it. */
export async function loadForVerb(
  path: string,
  options: LoadOptions,
): Promise<LoadedModel & AsyncDisposable> {
  using progress = new Progress(`Loading ${basename(path)}`);
  const model = await loadModel(path, {
    id: path === BUILT_IN_MODEL_PATH ? BUILT_IN_MODEL_ID : undefined,
    ...options,
    onProgress: ({ loadedBytes, totalBytes }) => progress.update(loadedBytes, totalBytes),
  });
  return Object.assign(model, { [Symbol.asyncDispose]: () => model.close() });
}
