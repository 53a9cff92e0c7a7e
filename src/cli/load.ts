/** Loading a model for a verb: the flags for it, and progress while it lasts. */
import type { Command } from "commander";
import { InvalidArgumentError, Option } from "commander";
import { basename } from "node:path";
import { UsageError } from "../base/errors.ts";
import { isJsonObject } from "../base/json_object.ts";
import { areShallow, VALUE_DEPTH_MAX } from "../chat/mod.ts";
import {
  type FileCacheMode,
  type GpuMode,
  type LoadedModel,
  loadModel,
  type LoadOptions,
  type PredictorMode,
} from "../llm/mod.ts";
import { DRAFTS_MAX } from "../engine/drafts/drafts.ts";
import { STEP_TOKENS } from "../rank/plan/plan.ts";
import { machineProfile } from "./machine.ts";
import { BUILT_IN_MODEL_ID, BUILT_IN_MODEL_PATH } from "../llm/built_in_model.ts";
import { type AdapterFlags, adaptersOf, addAdapterOptions } from "./adapter_options.ts";
import { type FillFlags, fillOf } from "./fill_options.ts";
import { ascendingShares, byteSize, decimal, wholeNumber } from "./option_values.ts";
import { writeErrorLine } from "./output.ts";
import { Progress } from "./progress.ts";
import { readTextFile } from "./text_file.ts";
import { firingRates, type QuietFlags, quietNeurons } from "./quiet_neurons.ts";
import { getEnv } from "./settings.ts";

/** What `addLoadOptions` parses. */
export interface LoadFlags extends QuietFlags, AdapterFlags, FillFlags {
  readonly threads?: number;
  readonly ctxSize?: number;
  readonly kvType?: NonNullable<LoadOptions["kvType"]> | "f16";
  readonly dense?: boolean;
  readonly predictor?: PredictorMode;
  readonly predictorThreshold?: number;
  readonly gatesFirst?: "auto" | "on" | "off";
  readonly memory?: number;
  readonly ioThreads?: number;
  readonly fileCache?: FileCacheMode;
  readonly writeOut?: LoadOptions["writeOut"];
  readonly gpu?: GpuMode;
  readonly gpuLayers?: number;
  readonly hotShare?: readonly number[];
  readonly gpuMemory?: number;
  readonly gpuStreamFrom?: number;
  readonly priority?: "normal" | "background";
  readonly speculate?: NonNullable<LoadOptions["speculate"]>;
  readonly draftModel?: string;
  readonly mmproj?: string;
  readonly chatTemplateFile?: string;
  readonly chatTemplateKwargs?: Readonly<Record<string, unknown>>;
}

/** `--predictor`, of all verbs that load a model or plan how to. */
export function predictorOption(): Option {
  return new Option(
    "--predictor <when>",
    "guess which neurons fire, in models that carry predictors: auto tries them first",
  ).choices(["auto", "on", "off"]);
}

/** `--gates-first`, likewise. */
export function gatesFirstOption(): Option {
  return new Option(
    "--gates-first <when>",
    "of predicted neurons on disk, read gates first, and the rest of those that fire: auto where " +
      "that is faster",
  ).choices(["auto", "on", "off"]);
}

/** `--file-cache`, likewise. */
export function fileCacheOption(): Option {
  return new Option(
    "--file-cache <when>",
    "read a packed model through the system's file cache, which servers of a host share: auto " +
      "where all of it will be in memory and the file has room beside it",
  ).choices(["auto", "on", "off"]);
}

/** `--write-out`, likewise. */
export function writeOutOption(): Option {
  return new Option(
    "--write-out <when>",
    "keep weights of IQ1 to IQ3 as four bits each (TQ1_0: two), several times as fast, in 1.2 to " +
      "2.8 times the memory: auto where there is room",
  ).choices(["auto", "on", "off"]);
}

/** Adds the flags of every verb that loads a model. */
export function addLoadOptions(verb: Command): Command {
  return addAdapterOptions(addGpuOptions(verb))
    .option("--threads <n>", "threads that compute (default: one per core)", threadCount)
    .option("--ctx-size <n>", "tokens of prompt and answer together", wholeNumber({ min: 1 }))
    .addOption(
      new Option("--kv-type <type>", "type of cached keys and values; f16 is taken for i16")
        .choices(["auto", "i16", "f16", "f32"]),
    )
    .option("--dense", "compute every neuron, also of models whose neurons are mostly silent")
    .addOption(predictorOption())
    .option(
      "--predictor-threshold <logit>",
      "from where on a neuron is predicted to fire (default: what the file says)",
      decimal(),
    )
    .addOption(gatesFirstOption())
    .option(
      "--speculate <how>",
      "guess tokens ahead from what a text has said before, the same answer in fewer steps: auto " +
        `(where it pays by measured times), off, or always n, at most ${DRAFTS_MAX}`,
      speculate,
    )
    .option(
      "--sparsity <s>",
      "leave out this share of the neurons of SiLU or GELU models, the quietest: costs quality",
      decimal({ min: 0, max: 0.99 }),
    )
    .option("--memory <bytes>", "memory that a packed model may take, such as 8GiB", byteSize)
    .option(
      "--io-threads <n>",
      "threads that read a packed model",
      wholeNumber({ min: 1, max: 64 }),
    )
    .addOption(fileCacheOption())
    .addOption(writeOutOption())
    .option(
      "--stats <file>",
      "statistics of the model, by profile: which neurons are quiet, and which are a GPU's",
    );
}

const draftCount = wholeNumber({ max: DRAFTS_MAX });

/** "auto", "off" or a number. */
function speculate(text: string): NonNullable<LoadOptions["speculate"]> {
  if (text === "auto" || text === "off") return text;
  try {
    return draftCount(text);
  } catch {
    throw new InvalidArgumentError(
      `auto, off or a whole number from 0 to ${DRAFTS_MAX} is needed.`,
    );
  }
}

/** Adds the flag of a model that guesses for the verb's. */
export function addDraftOption(verb: Command): Command {
  return verb.option(
    "--draft-model <file>",
    "a smaller model of the same vocabulary, or an EAGLE-3 model made for this one, that guesses " +
      "tokens ahead: the same answer sooner",
  );
}

/** Adds the flag of a model's projector. */
export function addProjectorOption(verb: Command): Command {
  return verb.option("--mmproj <file>", "the model's projector: it sees or hears with it");
}

/** Adds the flags of how conversations are put to a model. */
export function addTemplateOptions(verb: Command): Command {
  return verb
    .option("--chat-template-file <file>", "a chat template (Jinja) in place of the model's own")
    .option(
      "--chat-template-kwargs <json>",
      `the template's variables where a request says nothing, such as '{"enable_thinking": false}'`,
      templateVariablesOf,
    );
}

function templateVariablesOf(text: string): Readonly<Record<string, unknown>> {
  const variables = jsonObject(text);
  if (variables === null) throw new InvalidArgumentError("A JSON object is needed.");
  if (areShallow(variables)) return variables;
  throw new InvalidArgumentError(`Its values nest deeper than ${VALUE_DEPTH_MAX} levels.`);
}

function jsonObject(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value = JSON.parse(text);
    return isJsonObject(value) ? value : null;
  } catch {
    return null;
  }
}

/** Adds the flags that say what a GPU computes. */
export function addGpuOptions(verb: Command): Command {
  return verb
    .addOption(
      new Option(
        "--gpu <when>",
        "compute on a GPU: auto where one was measured (doctor) and pays, on, off; force takes a " +
          "software adapter, too",
      ).choices(["auto", "off", "on", "force"]),
    )
    .option(
      "--gpu-layers <n>",
      "the last n layers are the GPU's (default: all)",
      wholeNumber(),
    )
    .option(
      "--hot-share <f>",
      "of these layers' neurons the GPU has this share, 0 to 1, the threads the rest (default: " +
        `1); several, such as 0.3,0.5,0.7,1: in steps of ${STEP_TOKENS.join(", ")} tokens and more`,
      ascendingShares(STEP_TOKENS.length),
    )
    .option("--gpu-memory <size>", "most memory of the GPU to take (default: what fits)", byteSize)
    .option(
      "--gpu-stream-from <n>",
      "steps of a prompt from n tokens on bring the GPU the neurons that it has no room for; 0: " +
        "never (default: what measured rates say)",
      wholeNumber(),
    )
    .addOption(
      new Option(
        "--priority <how>",
        "background gives the GPU little at a time, so that a desktop stays responsive",
      ).choices(["normal", "background"]),
    );
}

/** More threads than this help no machine that this version knows. */
export const threadCount = wholeNumber({ min: 1, max: 64 });

/** `LoadOptions` of the flags alone, for planning without loading. */
export function toLoadOptions(flags: LoadFlags): LoadOptions {
  const { threads, ctxSize: contextLength, dense, predictor } = flags;
  // Other engines' users ask for f16: integers with scales are this one's 16 bits.
  const kvType = flags.kvType === "f16" ? "i16" : flags.kvType;
  if (dense && predictor === "on") {
    throw new UsageError("Cannot use --predictor on with --dense: choose one of them");
  }
  if (dense && flags.sparsity !== undefined) {
    throw new UsageError("Cannot use --sparsity with --dense: choose one of them");
  }
  const predictorThreshold = flags.predictorThreshold ?? powerInferThreshold();
  const sparse = dense ? false : undefined;
  const quiet = quietNeurons(flags);
  const firing = firingRates(flags);
  const { memory: memoryBytes, ioThreads: ioWorkers, fileCache, writeOut } = flags;
  const { gpu, gpuLayers, hotShare, priority, speculate } = flags;
  const { draftModel: draftModelPath, mmproj: projectorPath } = flags;
  const { gpuMemory: gpuMemoryBytes, gpuStreamFrom } = flags;
  const { chatTemplateFile, chatTemplateKwargs: templateVariables } = flags;
  return {
    ...{ gpu, gpuLayers, hotShare, priority, firing, gpuMemoryBytes, gpuStreamFrom },
    ...{ threads, contextLength, kvType, sparse, quiet, predictor, predictorThreshold },
    ...{ ...adaptersOf(flags), ...fillOf(flags) },
    ...chatTemplateFile !== undefined && { chatTemplate: readTextFile(chatTemplateFile) },
    ...templateVariables && { templateVariables },
    ...{ memoryBytes, ioWorkers, fileCache, writeOut, speculate, draftModelPath, projectorPath },
    gatesFirst: isAuto(flags.gatesFirst) ? undefined : flags.gatesFirst === "on",
  };
}

function isAuto(when: LoadFlags["gatesFirst"]): boolean {
  return when === undefined || when === "auto";
}

/** What PowerInfer's users have set. */
function powerInferThreshold(): number | undefined {
  const name = "LLAMA_SPARSE_PRED_THRESHOLD";
  const text = getEnv(name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value)) return value;
  throw new UsageError(`Cannot use ${name}: "${text}" is no number`);
}

/** Loads the model of a verb, showing progress; `using` closes it. */
export async function loadForVerb(
  path: string,
  options: LoadOptions,
): Promise<LoadedModel & AsyncDisposable> {
  const notices: string[] = [];
  const model = await loadWithProgress(path, options, notices);
  for (const notice of notices) writeErrorLine(notice);
  if (model.gpu !== null) writeErrorLine(model.runsOn);
  return Object.assign(model, { [Symbol.asyncDispose]: () => model.close() });
}

/** Notices come when the progress line is gone. */
async function loadWithProgress(
  path: string,
  options: LoadOptions,
  notices: string[],
): Promise<LoadedModel> {
  using progress = new Progress(`Loading ${basename(path)}`);
  return await loadModel(path, {
    id: path === BUILT_IN_MODEL_PATH ? BUILT_IN_MODEL_ID : undefined,
    profile: machineProfile(),
    ...options,
    onProgress(loaded) {
      progress.update(loaded.loadedBytes, loaded.totalBytes);
      options.onProgress?.(loaded);
    },
    onNotice: ({ text }) => notices.push(text),
  });
}
