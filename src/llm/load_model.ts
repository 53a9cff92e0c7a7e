/** From a path to a model that answers: reads, checks, plans, starts the threads. */
import { basename } from "node:path";
import { instantiateKernels, loadKernelModule } from "../../wasm/mod.ts";
import { EngineHandle } from "../../workers/mod.ts";
import { createChatTemplate } from "../chat/mod.ts";
import { ModelFormatError } from "../base/errors.ts";
import { openModelFile } from "../bundle/mod.ts";
import type { PackedModel } from "../bundle/types.ts";
import { fingerprint, getString } from "../gguf/mod.ts";
import type { GgufFile } from "../gguf/types.ts";
import type { Plane } from "../memory/observation.ts";
import { describeModel, isSilentKind, summarizePredictors } from "../model/mod.ts";
import type { ModelDescription } from "../model/types.ts";
import { bytesToLoad } from "../rank/load_order.ts";
import { type PlanOptions, planRanks } from "../rank/plan.ts";
import type { KvType, RankPlan } from "../rank/plan_types.ts";
import type { UnitOptions } from "../rank/plan_units.ts";
import { createTokenizer } from "../tokenizer/mod.ts";
import type { Tokenizer } from "../tokenizer/types.ts";
import { chooseUnits, type StreamingChoice, unitOptions } from "./choose_units.ts";
import { LoadedModel } from "./language_model.ts";
import type { Notice } from "./predictor_report.ts";
import { type PredictorMode, tryPredictors } from "./try_predictors.ts";

export interface LoadOptions {
  /** Threads that compute; left out: one per core, at most 16. */
  readonly threads?: number;
  /** Tokens of prompt and answer together; left out: what it was trained for, at most 8192. */
  readonly contextLength?: number;
  /** Type of cached keys and values; "auto" (default): f32 for F32 models, else i16. */
  readonly kvType?: KvType | "auto";
  /** Requests that may wait for their turn. Default 16. */
  readonly maxWaiting?: number;
  /** Tokens of a prompt that are computed at once. Default 64, of a mixture of experts 256. */
  readonly chunkTokens?: number;
  /** Neurons that do not fire are not computed (default), in models whose neurons can be silent. */
  readonly sparse?: boolean;
  /**
   * What `LoadedModel.observe` shall show; left out or empty: nothing, at no cost. A model that is
   * observed computes every neuron.
   */
  readonly observe?: readonly Plane[];
  /** Leaves out quiet neurons, not only silent ones: not exact, off by default. */
  readonly quiet?: QuietNeurons;
  /**
   * Predictors of silent neurons, in models that have them: used where they are good and pay
   * ("auto", default), always, or never.
   */
  readonly predictor?: PredictorMode;
  /** Logit from which on a neuron is predicted to fire; left out: what the file says. */
  readonly predictorThreshold?: number;
  /** Told what is worth knowing about the model; left out: warnings go to the console. */
  readonly onNotice?: (notice: Notice) => void;
  /** The name clients use; left out: the file's name. */
  readonly id?: string;
  /**
   * Most bytes of memory that a packed model (.ganglion) may take; left out: most of what is free.
   * What does not fit stays on disk and is read as it is needed.
   */
  readonly memoryBytes?: number;
  /** How a packed model is run, whatever memory there is (for tests and measurements). */
  readonly streaming?: StreamingChoice;
  /** Threads that read a packed model; default 8. */
  readonly ioWorkers?: number;
  /** Most bytes of one thread's arena; smaller ones make models span several (for tests). */
  readonly arenaBytesMax?: number;
  readonly onProgress?: (progress: LoadProgress) => void;
}

/** Which neurons are left out of a model whose neurons are never silent (SiLU, GELU). */
export interface QuietNeurons {
  /** By layer: a neuron is left out where |act(gate)| is not above it. */
  readonly thresholds: readonly number[];
  /** Of the model that they were measured on: src/gguf/fingerprint.ts. Others refuse them. */
  readonly modelFingerprint: string;
  /** What its user should know of it: a notice when the model is loaded. */
  readonly note?: string;
}

export interface LoadProgress {
  readonly loadedBytes: number;
  readonly totalBytes: number;
}

const CONTEXT_LENGTH_MAX_DEFAULT = 8192;
const CHUNK_TOKENS_DEFAULT = 64;
/** More tokens at once mean more for each expert: measured 1.13 (of 32) to 1.34 times (of 128). */
const CHUNK_TOKENS_OF_MIXTURES = 256;
/** Every chunk of a prompt reads all neurons that are not in memory. */
const CHUNK_TOKENS_FROM_DISK = 256;
const WAITING_MAX_DEFAULT = 16;
const THREADS_MAX_DEFAULT = 16;
/** Of what is free when a packed model is loaded. */
const MEMORY_SHARE_DEFAULT = 0.8;
const IO_WORKERS_DEFAULT = 8;
/** What the options that count something may be; positions are 32-bit words between threads. */
const OPTION_RANGES = {
  threads: [1, 64],
  contextLength: [1, 2 ** 31 - 1],
  chunkTokens: [1, 1024],
  maxWaiting: [0, Number.MAX_SAFE_INTEGER],
} as const;

/**
 * Loads a model file.
 * @throws {RangeError} when an option is no whole number of its range, or memory is short.
 * @throws {ModelFormatError} when the file is damaged or not what it claims to be.
 * @throws {UnsupportedModelError} when this version cannot run it.
 */
export async function loadModel(path: string, options: LoadOptions = {}): Promise<LoadedModel> {
  checkLoadOptions(options);
  const { file, packed } = openModelFile(path);
  const model = describeForUse(file, options);
  if (options.quiet !== undefined) checkQuiet(options.quiet, file, model, options);
  const module = await loadKernelModule();
  const plans = planModel({ file, model, packed }, module, options);
  const tensors = usedTensors(file, model, plans);
  const totalBytes = plans.reduce((sum, plan) => sum + bytesToLoad(plan, tensors), 0);
  let tokenizer!: Tokenizer;
  const engine = await EngineHandle.start({
    plans,
    config: model.config,
    tensors,
    parts: file.parts,
    module,
    observe: options.observe,
    ...packed === null ? {} : { packed: { model: packed, ioWorkers: ioWorkersOf(options) } },
    onProgress: (loadedBytes) => options.onProgress?.({ loadedBytes, totalBytes }),
  }, () => {
    tokenizer = createTokenizer(file.metadata);
    checkVocabulary(tokenizer, model, path);
  });
  const predictors = await tryOrClose(engine, () =>
    tryPredictors({
      ...{ file, model, plans, tokenizer, engine },
      mode: options.predictor ?? "auto",
      notify: options.onNotice ?? warn,
    }));
  const { note } = options.quiet ?? {};
  if (note !== undefined) (options.onNotice ?? warn)({ kind: "info", text: note });
  return new LoadedModel({
    id: options.id ?? basename(path).replace(/\.(gguf|ganglion)$/i, ""),
    file,
    config: model.config,
    plans,
    predictors,
    tokenizer,
    chatTemplate: createChatTemplate({
      template: getString(file.metadata, "tokenizer.chat_template", "") || null,
      bosText: tokenizer.bosId === null ? "" : tokenizer.pieceOf(tokenizer.bosId),
      eosText: tokenizer.eosId === null ? "" : tokenizer.pieceOf(tokenizer.eosId),
      specialTexts: tokenizer.specialTexts,
    }),
    engine,
    waitingMax: options.maxWaiting ?? WAITING_MAX_DEFAULT,
  });
}

/**
 * The model as `loadModel` would run it: how positions are encoded may depend on the context used.
 * @throws {ModelFormatError | UnsupportedModelError} as `describeModel` does.
 * @throws {RangeError} when an option is no whole number of its range.
 */
export function describeForUse(file: GgufFile, options: LoadOptions = {}): ModelDescription {
  checkLoadOptions(options);
  const trained = describeModel(file);
  const { predictorThreshold } = options;
  return describeModel(file, {
    contextLength: contextLengthFor(trained, options),
    predictorThreshold,
  });
}

/**
 * What `loadModel` would put where, without loading anything.
 * @throws {RangeError} when an option is no whole number of its range.
 * @throws {UnsupportedModelError} when the model does not fit into the threads' arenas.
 */
export function planModel(
  of: { file: GgufFile; model: ModelDescription; packed?: PackedModel | null },
  module: WebAssembly.Module,
  options: LoadOptions = {},
): RankPlan[] {
  checkLoadOptions(options);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
  const { model, packed = null } = of;
  const common: PlanOptions = {
    rankCount: rankCountFor(options),
    contextLength: contextLengthFor(of.model, options),
    chunkTokens: options.chunkTokens ?? chunkTokensFor(of.model, packed),
    kvType: options.kvType ?? "auto",
    isSparse: options.sparse,
    thresholds: options.quiet?.thresholds,
    hasPredictors: options.predictor !== "off",
    arenaBytesMax: options.arenaBytesMax,
    sizes: instantiateKernels(module, memory),
  };
  const plan = (packed?: UnitOptions) => planRanks(model, of.file.tensors, { ...common, packed });
  if (packed === null) return plan();
  const { experts, feedForward } = model.config;
  if (options.streaming !== undefined) return plan(unitOptions(packed.units, options.streaming));
  return plan(chooseUnits({
    units: packed.units,
    budgetBytes: options.memoryBytes ?? MEMORY_SHARE_DEFAULT * Deno.systemMemoryInfo().available,
    isSilent: isSilentKind(feedForward.activation) && options.sparse !== false,
    hasPredictors: summarizePredictors(of.file, model) !== null && options.predictor !== "off",
    lanes: experts === null ? 1 : experts.usedCount + (experts.sharedFeedForwardLength > 0 ? 1 : 0),
    plan,
  }));
}

function ioWorkersOf({ ioWorkers }: LoadOptions): number {
  return ioWorkers ?? IO_WORKERS_DEFAULT;
}

/** Threads that compute. */
export function rankCountFor({ threads }: LoadOptions): number {
  return threads ?? Math.min(THREADS_MAX_DEFAULT, navigator.hardwareConcurrency);
}

/** Tokens of context. */
export function contextLengthFor({ config }: ModelDescription, options: LoadOptions): number {
  return options.contextLength ?? Math.min(config.contextLength, CONTEXT_LENGTH_MAX_DEFAULT);
}

function chunkTokensFor({ config }: ModelDescription, packed: PackedModel | null): number {
  if (packed !== null) return CHUNK_TOKENS_FROM_DISK;
  return config.experts === null ? CHUNK_TOKENS_DEFAULT : CHUNK_TOKENS_OF_MIXTURES;
}

function checkLoadOptions(options: LoadOptions): void {
  const names = Object.keys(OPTION_RANGES) as (keyof typeof OPTION_RANGES)[];
  for (const name of names) {
    const value = options[name];
    const [min, max] = OPTION_RANGES[name];
    if (value === undefined || Number.isInteger(value) && value >= min && value <= max) continue;
    const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
    throw new RangeError(
      `Cannot load a model with ${name} ${value}: a whole number ${range} is needed`,
    );
  }
  const { predictorThreshold: threshold } = options;
  if (threshold !== undefined && !Number.isFinite(threshold)) {
    throw new RangeError(
      `Cannot load a model with predictorThreshold ${threshold}: a finite number is needed`,
    );
  }
}

/** A model that cannot be made leaves no threads behind. */
async function tryOrClose<T>(engine: EngineHandle, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await engine.close();
    throw error;
  }
}

function warn({ kind, text }: Notice): void {
  if (kind === "warning") console.warn(text);
}

/** @throws {RangeError} when the thresholds are not this model's, or cannot be used. */
function checkQuiet(
  { thresholds, modelFingerprint }: QuietNeurons,
  file: GgufFile,
  { config }: ModelDescription,
  { sparse, observe = [] }: LoadOptions,
): void {
  const obstacle = config.experts !== null
    ? "neurons of experts have none: leave it out"
    : isSilentKind(config.feedForward.activation)
    ? "its neurons are left out exactly where they are silent: leave it out"
    : sparse === false
    ? "all neurons are to be computed: choose one of the two"
    : observe.length > 0
    ? "its neurons are to be observed, which computes all of them"
    : modelFingerprint !== fingerprint(file.parts)
    ? "they were measured on another model: profile this one"
    : thresholds.length !== config.blockCount || !thresholds.every((each) => each >= 0)
    ? `each of ${config.blockCount} layers needs a number of at least 0`
    : null;
  if (obstacle === null) return;
  throw new RangeError(`Cannot leave out quiet neurons by thresholds: ${obstacle}`);
}

function checkVocabulary(tokenizer: Tokenizer, model: ModelDescription, path: string): void {
  if (tokenizer.vocabSize <= model.config.vocabSize) return;
  throw new ModelFormatError(
    `Cannot use the vocabulary: it has ${tokenizer.vocabSize} tokens, the embedding table ` +
      `${model.config.vocabSize} rows: convert the model again`,
    { offsetBytes: 0, path },
  );
}

/** The tensors that threads read, so that no thread is sent the whole header. */
function usedTensors(file: GgufFile, model: ModelDescription, plans: readonly RankPlan[]) {
  const names = new Set(
    plans.flatMap((plan) => plan.arenas.flatMap((arena) => arena.regions))
      .map((region) => region.name),
  );
  for (const { factors } of model.config.ropes) if (factors !== null) names.add(factors.tensor);
  return new Map([...file.tensors].filter(([name]) => names.has(name)));
}
