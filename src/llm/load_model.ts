/** From a path to a model that answers: reads, checks, plans, starts the threads. */
import { basename, join } from "node:path";
import { loadKernelModule } from "../../wasm/mod.ts";
import { type EngineDraft, EngineHandle } from "../../workers/mod.ts";
import { openAdapter } from "../adapter/mod.ts";
import { createChatTemplate } from "../chat/mod.ts";
import { ModelFormatError } from "../base/errors.ts";
import { inTurns } from "../base/steps.ts";
import { type ModelFile, sourceFingerprint } from "../bundle/mod.ts";
import type { KvArchiveFile } from "../engine/kv_archive.ts";
import { getString } from "../gguf/mod.ts";
import type { GgufFile } from "../gguf/types.ts";
import { isSilentKind, layerNeurons } from "../model/mod.ts";
import type { ModelDescription } from "../model/types.ts";
import { bytesOfUnits, bytesToLoad } from "../rank/load/load_order.ts";
import { createTokenizerSteps } from "../tokenizer/mod.ts";
import type { Tokenizer } from "../tokenizer/types.ts";
import { checkAttached } from "./attached_adapters.ts";
import { chooseGpu, describePart, type GpuDecision, type GpuPart } from "./choose_gpu.ts";
import { planDraft } from "./draft_model.ts";
import { EngineSupply, firstThatFits, type OpenEngine } from "./engine_supply.ts";
import { fillingOf } from "./fill_options.ts";
import { ImageReader } from "./images/image_reader.ts";
import { openTowers, type Tower } from "./images/tower.ts";
import { LoadedModel } from "./language_model.ts";
import type { AdaptedParts, LoadedModelParts } from "./loaded_model_parts.ts";
import {
  checkLoadOptions,
  type FiringRates,
  type LoadOptions,
  type QuietNeurons,
  speculateFor,
  WAITING_MAX_DEFAULT,
} from "./load_options.ts";
import { describeModel } from "./model_details.ts";
import { openForUse } from "./open_for_use.ts";
import { describeForUse, planLoad, type PlannedLoad, planUse } from "./plan_load.ts";
import type { Notice } from "./predictor_report.ts";
import { type TriedPredictors, tryPredictors } from "./try_predictors.ts";
import { TextHead } from "./text_head.ts";
import { usedTensors } from "./used_tensors.ts";

/**
 * Loads a model file.
 * @throws {RangeError} when an option is no whole number of its range, or memory is short.
 * @throws {ModelFormatError} when the file is damaged or not what it claims to be.
 * @throws {UnsupportedModelError} when this version cannot run it.
 */
export async function loadModel(path: string, asked: LoadOptions = {}): Promise<LoadedModel> {
  checkLoadOptions(asked);
  const { file, packed } = openForUse(path, { onNotice: warn, ...asked });
  const described = describeForUse(file, asked);
  checkAttached(described, asked);
  const module = await loadKernelModule();
  const { config } = described;
  const towers = openTowers(path, { config, module }, asked, asked.onNotice ?? warn);
  const options: LoadOptions = { ...asked, ...await forTowers(towers, asked) };
  if (options.quiet !== undefined) checkQuiet(options.quiet, { file, packed }, described, options);
  if (options.firing !== undefined) checkFiring(options.firing, { file, packed }, described);
  const decision = await chooseGpu({ file, model: described, packed }, options);
  const { parts: [gpu] } = decision;
  const use = planUse({ file, packed, model: described }, module, options, gpu);
  const { model } = use;
  let made: Promise<Tokenizer> | undefined;
  const readTokenizer = () => made ??= tokenizerOf(file, model, path);
  const opening: Opening = { file, ...use, gpu, packed, module, options, readTokenizer };
  const first = await openEngine(opening, decision, readTokenizer);
  const { engine, planned } = first;
  const { plans } = planned;
  const tokenizer = await readTokenizer();
  const predictors = await tryOrClose(engine, () =>
    tryPredictors({
      ...{ file, model, plans, tokenizer, engine },
      mode: first.gpu === null || packed !== null ? options.predictor ?? "auto" : "off",
      notify: options.onNotice ?? warn,
    }));
  const archive = archiveOf({ file, packed }, options);
  const adapted = adaptedOf({ file, packed }, options);
  for (const each of [archive, ...adapted.map((own) => own.archive)]) {
    if (each !== null) await tryOrClose(engine, () => engine.restoreKv(each));
  }
  const { maxWaiting: waitingMax = WAITING_MAX_DEFAULT } = options;
  const { note } = options.quiet ?? {};
  if (note !== undefined) (options.onNotice ?? warn)({ kind: "info", text: note });
  return new LoadedModel({
    id: options.id ?? basename(path).replace(/\.(gguf|ganglion)$/i, ""),
    file,
    config: model.config,
    plans,
    otherPlans: [...first.draft?.plans ?? [], ...towers.flatMap((tower) => tower.plans)],
    expectedDecodeTps: first.gpu?.isAlone
      ? decision.expectedDecodeTps
      : expected(planned, predictors),
    predictors,
    runsOn: describePart(first.gpu) ?? decision.reason,
    tokenizer,
    chatTemplate: templateOf(file, tokenizer, { config, ...options }),
    // A GPU that failed once may come back; a server that was told to use it lives without it.
    engines: new EngineSupply(first, () =>
      openEngine(
        { ...opening, options: { ...options, gpuLossAtStep: undefined, onProgress: undefined } },
        { ...decision, mayBeWithout: true },
      )),
    ...{ waitingMax, filling: (request) => fillingOf(config, request, options.fill) },
    archive,
    images: ImageReader.of(towers, { config, tokenizer, plans, waitingMax }),
    textHead: model.tensors.textHead
      ? new TextHead(file, model.tensors.textHead, model.config.norm)
      : null,
    describe: (shares) =>
      describeModel(file, config, tokenizer, { ...options, ...model.tensors, shares, towers }),
    adapted,
    fingerprint: (shares) => fingerprintOf({ file, packed }, { ...options, shares }),
    mergedAdapters: mergedOf(options),
    notify: options.onNotice ?? warn,
  });
}

function templateOf(
  { metadata }: GgufFile,
  tokenizer: Tokenizer,
  { config, templateVariables }: LoadOptions & Pick<ModelDescription, "config">,
) {
  return createChatTemplate({
    template: getString(metadata, "tokenizer.chat_template", "") || null,
    bosText: tokenizer.bosId === null ? "" : tokenizer.pieceOf(tokenizer.bosId),
    eosText: tokenizer.eosId === null ? "" : tokenizer.pieceOf(tokenizer.eosId),
    specialTexts: tokenizer.specialTexts,
    hasParagraphs: tokenizer.kind === "rwkv",
    answersSources: config.source !== undefined,
    variables: templateVariables,
  });
}

/** What a model's eyes ask of it: steps as long as an image whose rows see each other, and room. */
async function forTowers(towers: readonly Tower[], asked: LoadOptions): Promise<LoadOptions> {
  let options: LoadOptions = {};
  for (const tower of towers) {
    const { wholeRows } = tower;
    const bytes = await tower.chooseGpu({ ...asked, ...options }, asked.onNotice ?? warn);
    const all = options.gpuMemoryBytes ?? asked.gpuMemoryBytes;
    options = {
      ...options,
      ...wholeRows !== undefined && { wholeRows },
      ...all !== undefined && bytes > 0 && { gpuMemoryBytes: all - bytes },
    };
  }
  return options;
}

/** Where keys and values are kept of the model with so much of each adapter; null: nowhere. */
function archiveOf(
  file: ModelFile,
  { prefixCacheFolder: folder, ...options }: LoadOptions,
  shares: readonly number[] = [],
): KvArchiveFile | null {
  if (folder === undefined) return null;
  const modelFingerprint = fingerprintOf(file, { ...options, shares });
  return { path: join(folder, `${modelFingerprint.slice(0, 32)}.kv`), modelFingerprint };
}

/**
 * The model with each of its named adapters. Two names of as much of one file are the same one.
 */
function adaptedOf(file: ModelFile, options: LoadOptions): AdaptedParts[] {
  const { namedAdapters = [] } = options;
  return namedAdapters.map(({ id, adapter: { path, scale = 1 } }) => {
    const first = namedAdapters.findIndex(({ adapter: other }) =>
      other.path === path && (other.scale ?? 1) === scale
    );
    const shares = namedAdapters.map((_, index) => index === first ? scale : 0);
    const archive = archiveOf(file, options, shares);
    return { id, shares, archive: archive && { ...archive, adapters: shares } };
  });
}

function mergedOf(
  { adapters = [], adaptersApart: apart }: LoadOptions,
): LoadedModelParts["mergedAdapters"] {
  return { merged: adapters.map(({ scale = 1 }) => scale), apart };
}

/** With so much of each named adapter it is another model to what is kept. */
function fingerprintOf(
  { file, packed }: ModelFile,
  { namedAdapters = [], shares }: Pick<LoadOptions, "namedAdapters"> & {
    readonly shares: readonly number[];
  },
): string {
  const own = namedAdapters.flatMap(({ adapter: { path } }, index) => {
    const scale = shares[index] ?? 0;
    if (scale === 0) return [];
    const use = `adapter, ${scale} times, as tokens are computed`;
    return openAdapter(path).file.parts.map((part) => ({ ...part, use }));
  });
  return sourceFingerprint({ packed, file: { ...file, parts: [...file.parts, ...own] } });
}

/** Predictors have been tried: how many neurons they name in vain is known. */
function expected(
  { expectedDecodeTps, expectAgain }: PlannedLoad,
  predictors: TriedPredictors | null,
): number | null {
  const sum = (of: (choice: TriedPredictors["choices"][number]) => number) =>
    predictors?.choices.reduce((all, choice) => all + of(choice), 0) ?? 0;
  const fired = sum((choice) => choice.fired);
  if (fired === 0 || expectAgain === undefined) return expectedDecodeTps;
  return expectAgain(sum((choice) => choice.predicted) / fired);
}

interface Opening {
  readonly file: GgufFile;
  readonly model: ModelDescription;
  readonly packed: ModelFile["packed"];
  readonly module: WebAssembly.Module;
  readonly options: LoadOptions;
  /** How it is to be run with this part on a GPU. */
  readonly planned: PlannedLoad;
  readonly gpu: GpuPart | null | undefined;
  /** Makes it when it is first asked for. */
  readonly readTokenizer: () => Promise<Tokenizer>;
}

interface StartedEngine extends OpenEngine {
  readonly planned: PlannedLoad;
  readonly draft: EngineDraft | undefined;
}

/** Starts the threads, with as much on the GPU as it has room for. */
function openEngine(
  of: Opening,
  { parts, mayBeWithout }: GpuDecision,
  meanwhile?: () => Promise<unknown>,
): Promise<StartedEngine> {
  const tries = [...parts, ...mayBeWithout || parts.length === 0 ? [null] : []];
  const notify = of.options.onNotice ?? warn;
  return firstThatFits(tries, (gpu) => startEngine(of, gpu, meanwhile), notify);
}

async function startEngine(
  opening: Opening,
  gpu: GpuPart | null,
  meanwhile?: () => Promise<unknown>,
): Promise<StartedEngine> {
  const { file, model, packed, module, options, readTokenizer } = opening;
  const planned = gpu === (opening.gpu ?? null)
    ? opening.planned
    : planLoad({ file, model, packed }, module, options, gpu);
  const { plans, ioWorkers, isDirect } = planned;
  const tensors = usedTensors(file, model, plans);
  const { draftModelPath } = options;
  const draft = draftModelPath === undefined || speculateFor(options) === 0
    ? undefined
    : await planDraft(
      draftModelPath,
      { file, plans, module, config: model.config, tokenizer: await readTokenizer() },
      options,
    );
  const totalBytes = bytesOfDraft(draft) +
    plans.reduce((sum, plan) => sum + bytesToLoad(plan, tensors), 0) +
    (packed === null ? 0 : bytesOfUnits(plans, packed.units));
  const engine = await EngineHandle.start({
    plans,
    config: model.config,
    tensors,
    parts: file.parts,
    module,
    observe: options.observe,
    observeBytesMax: options.observeBytesMax,
    stuckMs: options.stuckMs,
    speculate: speculateFor(options),
    draft,
    leaderScript: options.leaderScript,
    ...packed === null ? {} : { packed: { model: packed, ioWorkers, isDirect } },
    ...gpu === null ? {} : {
      gpu: {
        mayBeSoftware: gpu.mayBeSoftware,
        priority: gpu.priority,
        tuning: options.profile?.gpu?.tuning ?? null,
        memoryBytes: options.gpuMemoryBytes ?? null,
        lossAtStep: options.gpuLossAtStep ?? null,
        waitMs: options.gpuWaitMs ?? null,
      },
    },
    onProgress: (loadedBytes) => options.onProgress?.({ loadedBytes, totalBytes }),
  }, meanwhile);
  return { engine, gpu, planned, draft };
}

function bytesOfDraft(draft: EngineDraft | undefined): number {
  return draft?.plans.reduce((sum, plan) => sum + bytesToLoad(plan, draft.tensors), 0) ?? 0;
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
  file: ModelFile,
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
    : modelFingerprint !== sourceFingerprint(file)
    ? "they were measured on another model: profile this one"
    : thresholds.length !== config.blockCount || !thresholds.every((each) => each >= 0)
    ? `each of ${config.blockCount} layers needs a number of at least 0`
    : null;
  if (obstacle === null) return;
  throw new RangeError(`Cannot leave out quiet neurons by thresholds: ${obstacle}`);
}

/** @throws {RangeError} when the rates are not this model's. */
function checkFiring(
  { counts, modelFingerprint }: FiringRates,
  file: ModelFile,
  { config }: ModelDescription,
): void {
  const neurons = layerNeurons(config);
  const isSame = counts.length === config.blockCount &&
    counts.every(({ length }) => length === neurons) &&
    modelFingerprint === sourceFingerprint(file);
  if (isSame) return;
  throw new RangeError(
    "Cannot use how often neurons fire: it was counted on another model: profile this one",
  );
}

/** @throws {ModelFormatError} when it has more ids than the model has rows. */
async function tokenizerOf(
  file: GgufFile,
  { config }: ModelDescription,
  path: string,
): Promise<Tokenizer> {
  const tokenizer = await inTurns(createTokenizerSteps(file.metadata), undefined);
  if (tokenizer.vocabSize <= config.vocabSize) return tokenizer;
  throw new ModelFormatError(
    `Cannot use the vocabulary: it has ${tokenizer.vocabSize} tokens, the embedding table ` +
      `${config.vocabSize} rows: convert the model again`,
    { offsetBytes: 0, path },
  );
}
