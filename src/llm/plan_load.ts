/**
 * What a model's threads will hold: of a plain file everything, of a packed one what the planner
 * decides within a budget. Loads nothing.
 */
import { check } from "../base/check.ts";
import { ModelFormatError, UnsupportedModelError } from "../base/errors.ts";
import { formatBytes, formatNeeded } from "../base/units.ts";
import type { PackedModel } from "../bundle/types.ts";
import type { GgufFile } from "../gguf/types.ts";
import { bytesByKind } from "../memory/arena.ts";
import { writtenOutType } from "../model/dtypes.ts";
import { describeModel, hasUnevenNeurons, layerNeurons } from "../model/mod.ts";
import type { ModelDescription } from "../model/types.ts";
import {
  DEFAULT_PROFILE,
  type MemoryPlan,
  total,
  usedByRanks,
  usedBytes,
  usedRegions,
} from "../planner/mod.ts";
import { type PlanOptions, planRanks } from "../rank/plan/plan.ts";
import type { RankPlan } from "../rank/plan/plan_types.ts";
import { ALL_STEPS, unitOptions } from "../rank/plan/plan_units.ts";
import { BudgetError } from "./choose_units.ts";
import type { GpuPart } from "./choose_gpu.ts";
import { freeBytes } from "./file_cache.ts";
import {
  checkLoadOptions,
  contextLengthFor,
  type LoadOptions,
  PARALLEL_AUTO_MAX,
  speculateFor,
} from "./load_options.ts";
import { readersOf, readsByKernel } from "./packed_readers.ts";
import { type Budget, type PlannableModel, planWithin } from "./plan_within.ts";
import { rankOptionsFor } from "./rank_options.ts";

/** A model as its files describe it. */
export interface DescribedModel {
  readonly file: GgufFile;
  readonly model: ModelDescription;
  /** Left out or null: a plain file. */
  readonly packed?: PackedModel | null;
}

export interface PlannedLoad {
  /** One per thread. */
  readonly plans: RankPlan[];
  /** Threads that read a packed model; 0: none, the kernel does it. */
  readonly ioWorkers: number;
  /** A packed model is read past the system's file cache; plain files never are. */
  readonly isDirect: boolean;
  /** Rows of codebooks' types are written out, of a plain file. */
  readonly writesOut?: boolean;
  /** Decoded tokens per second that the planner expects of a packed model; else null. */
  readonly expectedDecodeTps: number | null;
  /** The same, once somebody has counted predicted neurons for each that fires. */
  readonly expectAgain?: (predictedPerActive: number) => number;
}

/** Of what is free when a packed model is loaded, or one whose rows are written out. */
const MEMORY_SHARE_DEFAULT = 0.8;
/** Every piece of a prompt reads all neurons that are not in memory. */
const CHUNK_TOKENS_FROM_DISK = 256;
const IO_WORKERS_DEFAULT = 8;
/** What keys and values may take of all memory where nobody says how many requests there are. */
const KV_SHARE_OF_MEMORY = 1 / 8;

/**
 * The model as `loadModel` would run it: how positions are encoded may depend on the context used.
 * @throws {ModelFormatError | UnsupportedModelError} as `describeModel` does, or when neurons are
 *   to be observed of which there are none, or not as many in all layers.
 * @throws {RangeError} when an option is no whole number of its range.
 */
export function describeForUse(file: GgufFile, options: LoadOptions = {}): ModelDescription {
  checkLoadOptions(options);
  const trained = describeModel(file);
  const { predictorThreshold, observe = [] } = options;
  if (observe.length > 0 && layerNeurons(trained.config) === 0) {
    throw new UnsupportedModelError(
      "Cannot observe this model: its layers have no neurons: use a model that has some",
    );
  }
  if (observe.length > 0 && hasUnevenNeurons(trained.config)) {
    throw new UnsupportedModelError(
      "Cannot observe this model: its layers differ in how many neurons they have: use a model " +
        "whose layers have as many",
    );
  }
  if (observe.length > 0 && trained.config.layers.some(({ limits }) => limits !== undefined)) {
    throw new UnsupportedModelError(
      "Cannot observe this model: its neurons are cut off at limits of their layers: use another " +
        "model",
    );
  }
  if (observe.length > 0 && trained.config.feedForward.activation === "xielu") {
    throw new UnsupportedModelError(
      "Cannot observe this model: each layer's neurons have an activation of their own (xIELU): " +
        "use another model",
    );
  }
  return describeModel(file, {
    contextLength: contextLengthFor(trained, options),
    predictorThreshold,
  });
}

/** A model as it would be run, and how. */
export interface PlannedUse {
  readonly model: ModelDescription;
  readonly planned: PlannedLoad;
}

/**
 * What `loadModel` would run, with the model's own guessing block, where it has one that these
 * threads would use: not with a GPU, a draft model, or a file that is read while it runs. One that
 * is not what it should be, or finds no room, is left alone, and `onNotice` is told why: answers
 * are the same without it.
 * @throws as `planModel`.
 */
export function planUse(
  of: DescribedModel,
  module: WebAssembly.Module,
  options: LoadOptions,
  gpu?: GpuPart | null,
): PlannedUse {
  return planWithGuesses(of, module, options, gpu) ??
    { model: of.model, planned: planLoad(of, module, options, gpu) };
}

/** Null: it has no such block, or that is left alone. */
function planWithGuesses(
  { file, packed = null, model }: DescribedModel,
  module: WebAssembly.Module,
  options: LoadOptions,
  gpu?: GpuPart | null,
): PlannedUse | null {
  const { draftModelPath, observe = [], predictorThreshold } = options;
  const isWanted = speculateFor(options) !== 0 && draftModelPath === undefined && !gpu;
  if (!isWanted || packed !== null || observe.length > 0 || options.quiet) return null;
  const contextLength = contextLengthFor(model, options);
  try {
    const guessing = describeModel(file, { contextLength, predictorThreshold, guesses: true });
    if (guessing.config.guess === undefined) return null;
    // It throws where there is no room.
    const planned = planLoad({ file, model: guessing }, module, options, gpu);
    return { model: guessing, planned };
  } catch (error) {
    if (!(error instanceof ModelFormatError || error instanceof UnsupportedModelError)) throw error;
    const text = `The model's own guesses are not used (--speculate): ${error.message}`;
    options.onNotice?.({ kind: "warning", text });
    return null;
  }
}

/**
 * What `loadModel` would put where, without loading anything. gpu: what a GPU computes; left out:
 * nothing.
 * @throws {RangeError} when an option is no whole number of its range.
 * @throws {UnsupportedModelError} when the model does not fit into the threads' arenas.
 */
export function planModel(
  of: DescribedModel,
  module: WebAssembly.Module,
  options: LoadOptions = {},
  gpu?: GpuPart | null,
): RankPlan[] {
  return planLoad(of, module, options, gpu).plans;
}

/** The same, and how many threads read. */
export function planLoad(
  of: DescribedModel,
  module: WebAssembly.Module,
  options: LoadOptions = {},
  gpu?: GpuPart | null,
): PlannedLoad {
  checkLoadOptions(options);
  const { model, file, packed = null } = of;
  const measures = options.measureInputs === true;
  check(!measures || packed === null, "what products read is measured of plain files");
  const common = rankOptionsFor(model, module, options, gpu);
  const planWith = (more: Partial<PlanOptions>) =>
    planRanks(model, file.tensors, { ...common, ...more });
  if (packed === null) {
    const isAuto = options.parallel === "auto" && !model.config.isEncoder;
    const planned = planPlain(file, options, (writesOut) => {
      const alone = planWith({ writesOut });
      return isAuto ? planWith({ writesOut, ...sequencesBeside(alone, gpu) }) : alone;
    });
    requireWithin(planned.plans, options);
    return { ...planned, ioWorkers: 0, isDirect: false, expectedDecodeTps: null };
  }
  if (options.streaming !== undefined) {
    const { chunkTokens = CHUNK_TOKENS_FROM_DISK, memoryBytes: budgetBytes = Infinity } = options;
    const ioWorkers = readsByKernel(packed, options) ? 0 : options.ioWorkers ?? IO_WORKERS_DEFAULT;
    const steps = { ...ALL_STEPS, ...options.streamingSteps };
    const units = unitOptions(packed.units, { steps, ...options.streaming });
    const plans = planWith({
      packed: units,
      hasPredictors: options.predictor !== "off",
      chunkTokens: Math.max(options.wholeRows ?? 1, chunkTokens),
    });
    const by = { options, budgetBytes, ioWorkers, units: packed.units.length };
    return { plans, ...readersOf({ packed, file }, plans, by), expectedDecodeTps: null };
  }
  return planPacked({ file, model, packed }, module, options, gpu);
}

/** Plans of a plain file, whose rows of codebooks' types are written out where there is room. */
function planPlain(
  { tensors }: GgufFile,
  { writeOut = "auto", memoryBytes, besideBytes = 0 }: LoadOptions,
  planWith: (writesOut: boolean) => RankPlan[],
): Pick<PlannedLoad, "plans" | "writesOut"> {
  const hasSome = tensors.values().some(({ type }) => writtenOutType(type) !== undefined);
  if (hasSome && writeOut !== "off") {
    const plans = planWith(true);
    const room = memoryBytes ?? MEMORY_SHARE_DEFAULT * freeBytes();
    const fits = bytesInMemory(plans) + besideBytes <= room;
    if (writeOut === "on" || fits) return { plans, writesOut: true };
  }
  return { plans: planWith(false), writesOut: false };
}

/**
 * How a plain file is run: in memory as a whole, whatever the budget.
 * @throws {UnsupportedModelError} when it does not fit into the threads' arenas.
 */
export function planWhole(
  of: PlannableModel,
  module: WebAssembly.Module,
  options: LoadOptions & Budget,
  gpu?: GpuPart | null,
): MemoryPlan {
  const { budgetBytes, besideBytes = 0, writeOut: when = "auto" } = options;
  const plansFor = (writeOut: "on" | "off") =>
    planUse(of, module, { ...options, memoryBytes: undefined, writeOut }, gpu).planned.plans;
  let writeOut: "on" | "off" = when === "off" ? "off" : "on";
  let plans = plansFor(writeOut);
  const fits = bytesInMemory(plans) + besideBytes <= budgetBytes;
  if (when === "auto" && !fits) plans = plansFor(writeOut = "off");
  const unbounded = { ...options, writeOut, budgetBytes: Number.MAX_SAFE_INTEGER };
  const { plan } = planWithin(of, module, unbounded);
  check(plan.kind === "plan", "everything fits");
  const regions = usedRegions(plans, { units: unitsOf(plans), ioWorkers: 0 });
  return { ...plan, budgetBytes, regions, totalBytes: total(regions), ranks: usedByRanks(plans) };
}

/** @throws {BudgetError} when the budget is too small. */
function planPacked(
  of: PlannableModel,
  module: WebAssembly.Module,
  options: LoadOptions,
  gpu?: GpuPart | null,
): PlannedLoad {
  const budget: LoadOptions & Budget = {
    ...options,
    budgetBytes: options.memoryBytes ??
      Math.floor(MEMORY_SHARE_DEFAULT * Deno.systemMemoryInfo().available),
    profile: options.profile ?? DEFAULT_PROFILE,
    stats: null,
  };
  const { plan, ranks, isDirect, expectAgain } = planWithin(of, module, budget, gpu);
  if (plan.kind === "refusal") throw new BudgetError(plan.budgetBytes, plan.neededBytes);
  const read = { plans: [...ranks!], isDirect, ioWorkers: plan.ioWorkers };
  // What a GPU saves of the disk is in no formula.
  if (gpu) return { ...read, expectedDecodeTps: null };
  return {
    ...read,
    expectedDecodeTps: plan.expected.tokensPerSecond,
    expectAgain,
  };
}

/**
 * Sequences that share steps where nobody says how many, and their keys and values. What a GPU has
 * room for is not known: where it is too little for a context each, they share what there is, and
 * wait for one another.
 */
function sequencesBeside(
  alone: readonly RankPlan[],
  gpu?: GpuPart | null,
): Pick<PlanOptions, "sequences" | "kvBlocks"> {
  const sequences = sequencesThatFit(alone);
  if (!gpu) return { sequences };
  const contexts = Math.min(sequences, gpu.contexts ?? 1);
  return { sequences: PARALLEL_AUTO_MAX, kvBlocks: contexts * alone[0].kvBlocks };
}

/** As many as their keys and values are no great part of the machine's memory. */
function sequencesThatFit(alone: readonly RankPlan[]): number {
  const { kv } = bytesByKind(alone.flatMap((plan) => plan.arenas));
  const bytes = alone.reduce((sum, { gpu }) => sum + (gpu?.kvBytes ?? 0), kv);
  const room = KV_SHARE_OF_MEMORY * Deno.systemMemoryInfo().total;
  return Math.max(1, Math.min(PARALLEL_AUTO_MAX, Math.floor(room / Math.max(1, bytes))));
}

/** What a plain file's threads take, the process included. */
export function bytesInMemory(plans: readonly RankPlan[]): number {
  return usedBytes(plans, { units: unitsOf(plans), ioWorkers: 0 });
}

/** Blocks of neurons, as `listUnits` counts them. */
function unitsOf([{ layers }]: readonly RankPlan[]): number {
  return layers.reduce(
    (sum, { feedForward: block }) =>
      sum +
      (block === null
        ? 0
        : block.kind !== "experts"
        ? 1
        : block.experts.length + (block.shared === null ? 0 : 1)),
    0,
  );
}

/** @throws {UnsupportedModelError} when a plain file, of which all is in memory, needs more. */
function requireWithin(
  plans: readonly RankPlan[],
  { memoryBytes, besideBytes = 0 }: LoadOptions,
): void {
  const bytes = bytesInMemory(plans) + besideBytes;
  if (memoryBytes === undefined || bytes <= memoryBytes) return;
  throw new UnsupportedModelError(
    `Cannot run this model in ${formatBytes(memoryBytes)}: it takes ${formatNeeded(bytes)}, and ` +
      "a .gguf file is kept in memory as a whole: store it neuron by neuron with `ganglion pack` " +
      "and run the .ganglion file, or raise --memory",
  );
}
