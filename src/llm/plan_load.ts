/**
 * What a model's threads will hold: of a plain file everything, of a packed one what the planner
 * decides within a budget. Loads nothing.
 */
import { instantiateKernels } from "../../wasm/mod.ts";
import { canReadByKernel } from "../../workers/mod.ts";
import { UnsupportedModelError } from "../base/errors.ts";
import { formatBytes } from "../base/units.ts";
import type { PackedModel } from "../bundle/types.ts";
import { bytesByKind } from "../memory/arena.ts";
import type { GgufFile } from "../gguf/types.ts";
import {
  describeModel,
  hasUnevenNeurons,
  isSilentKind,
  layerNeurons,
  summarizePredictors,
} from "../model/mod.ts";
import type { ModelDescription } from "../model/types.ts";
import { DEFAULT_PROFILE, type Way } from "../planner/mod.ts";
import { type PlanOptions, planRanks } from "../rank/plan.ts";
import type { RankPlan } from "../rank/plan_types.ts";
import type { StreamingSteps } from "../rank/stream_types.ts";
import type { GpuPart } from "./choose_gpu.ts";
import { ALL_STEPS, type UnitOptions } from "../rank/plan_units.ts";
import { CHUNK_TOKENS_OF_LONG_STEPS } from "./choose_long_steps.ts";
import { chooseUnits, unitOptions, usedBytes } from "./choose_units.ts";
import { readsPastFileCache } from "./file_cache.ts";
import {
  checkLoadOptions,
  chunkTokensFor,
  contextLengthFor,
  type LoadOptions,
  PARALLEL_AUTO_MAX,
  rankCountFor,
  rankCountWithGpu,
} from "./load_options.ts";
import { memoryUse } from "./memory_use.ts";
import { planWithin } from "./plan_within.ts";

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
  /** Decoded tokens per second that the planner expects of a packed model; else null. */
  readonly expectedDecodeTps: number | null;
  /** The same, once somebody has counted predicted neurons for each that fires. */
  readonly expectAgain?: (predictedPerActive: number) => number | null;
}

/** Of what is free when a packed model is loaded. */
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
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
  const common: PlanOptions = {
    rankCount: !gpu ? rankCountFor(options) : rankCountWithGpu(options, gpu.isAlone),
    gpu: gpu ? { ...gpu.share, rates: options.firing?.counts } : undefined,
    contextLength: contextLengthFor(model, options),
    chunkTokens: options.chunkTokens ??
      (gpu?.share.longSteps ? CHUNK_TOKENS_OF_LONG_STEPS : chunkTokensFor(model, gpu?.isAlone)),
    sequences: options.parallel === "auto" ? 1 : options.parallel,
    kvType: options.kvType ?? "auto",
    isSparse: options.sparse,
    thresholds: options.quiet?.thresholds,
    hasPredictors: options.predictor !== "off" && !gpu,
    arenaBytesMax: options.arenaBytesMax,
    sizes: instantiateKernels(module, memory),
  };
  const planWith = (more: Partial<PlanOptions>) =>
    planRanks(model, file.tensors, { ...common, ...more });
  if (packed === null) {
    const alone = planWith({});
    const plans = options.parallel === "auto" ? planWith(sequencesBeside(alone, gpu)) : alone;
    requireWithin(plans, options);
    return { plans, ioWorkers: 0, isDirect: false, expectedDecodeTps: null };
  }
  const { chunkTokens = CHUNK_TOKENS_FROM_DISK } = options;
  const ioWorkers = readsByKernel(packed, options) ? 0 : options.ioWorkers ?? IO_WORKERS_DEFAULT;
  const steps = { ...ALL_STEPS, ...options.streamingSteps };
  if (options.streaming !== undefined) {
    const units = unitOptions(packed.units, { steps, ...options.streaming });
    const plans = planWith({ packed: units, chunkTokens });
    return { plans, ...readersOf(packed, plans, { options, ioWorkers }), expectedDecodeTps: null };
  }
  return planPacked({ file, model, packed }, module, { options, steps, planWith });
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
  const units = plans[0].layers.reduce(
    (sum, { feedForward: block }) =>
      sum + (block === null ? 0 : block.kind === "experts" ? block.experts.length : 1),
    0,
  );
  return usedBytes(plans, { units, ioWorkers: 0 });
}

/** @throws {UnsupportedModelError} when a plain file, of which all is in memory, needs more. */
function requireWithin(
  plans: readonly RankPlan[],
  { memoryBytes, besideBytes = 0 }: LoadOptions,
): void {
  const bytes = bytesInMemory(plans) + besideBytes;
  if (memoryBytes === undefined || bytes <= memoryBytes) return;
  throw new UnsupportedModelError(
    `Cannot run this model in ${formatBytes(memoryBytes)}: it takes ${formatBytes(bytes)}, and a ` +
      ".gguf file is kept in memory as a whole: store it neuron by neuron with `ganglion pack` " +
      "and run the .ganglion file, or raise --memory",
  );
}

/** What the user asks for comes first; then what the planner decided, where it can be done. */
function wayOf(
  { file, model }: DescribedModel,
  { predictor }: LoadOptions,
  decided: Way | undefined,
): "gates" | "predictor" {
  if (predictor === "off" || summarizePredictors(file, model) === null) return "gates";
  return predictor === "on" || decided === "predictor" ? "predictor" : "gates";
}

/**
 * The kernel reads for ranks that go on meanwhile; but what is not yet in the file cache it would
 * read while they wait. Who says how many threads are to read has them.
 */
export function readsByKernel(
  { path }: Pick<PackedModel, "path">,
  { ioWorkers, fileCache }: LoadOptions,
): boolean {
  return ioWorkers === undefined && fileCache !== "on" && canReadByKernel(path);
}

/**
 * Who reads, and whether past the file cache: known only once it is planned what stays on disk. A
 * model that the kernel was to read, and that turns out to be loaded through the cache, is loaded
 * by threads, if there is memory for them.
 */
function readersOf(
  { units, stamp }: PackedModel,
  plans: readonly RankPlan[],
  { options, ioWorkers }: { options: LoadOptions; ioWorkers: number },
): Pick<PlannedLoad, "ioWorkers" | "isDirect"> {
  const { besideBytes = 0, memoryBytes = Infinity, fileCache } = options;
  const threads = ioWorkers || IO_WORKERS_DEFAULT;
  const takenBytes = besideBytes +
    usedBytes(plans, { units: units.length, ioWorkers: threads });
  const isDirect = readsPastFileCache(fileCache, {
    isResident: memoryUse(plans).diskBytes === 0 && (ioWorkers > 0 || takenBytes <= memoryBytes),
    fileBytes: stamp.sizeBytes,
    takenBytes,
  });
  return { ioWorkers: isDirect ? ioWorkers : threads, isDirect };
}

/** @throws {UnsupportedModelError} when the budget is too small, with the one that is not. */
function planPacked(
  of: DescribedModel & { readonly packed: PackedModel },
  module: WebAssembly.Module,
  { options, steps, planWith }: {
    options: LoadOptions;
    steps: StreamingSteps;
    planWith: (more: Partial<PlanOptions>) => RankPlan[];
  },
): PlannedLoad {
  const { packed, model: { config } } = of;
  const { besideBytes = 0, observe = [] } = options;
  const budgetBytes = options.memoryBytes ??
    Math.floor(MEMORY_SHARE_DEFAULT * Deno.systemMemoryInfo().available);
  const kernelReads = readsByKernel(packed, options);
  const decide = (predictedPerActive?: number) => {
    const { plan } = planWithin(of, module, {
      ...options,
      budgetBytes: budgetBytes - besideBytes,
      profile: options.profile ?? DEFAULT_PROFILE,
      ...{ kernelReads, predictedPerActive, stats: null },
      readsGatesFirst: options.gatesFirst,
    });
    return plan.kind === "plan" ? plan : null;
  };
  const decided = decide();
  const chunkTokens = options.chunkTokens ?? decided?.chunkTokens ?? CHUNK_TOKENS_FROM_DISK;
  // A model that will be resident as a whole is read by some, too.
  const expectedWorkers = decided === null || decided.ioWorkers === 0 ? null : decided.ioWorkers;
  const ioWorkers = kernelReads ? 0 : options.ioWorkers ?? expectedWorkers ?? IO_WORKERS_DEFAULT;
  const { experts, feedForward: { activation } } = config;
  const sharedLane = experts !== null && experts.sharedFeedForwardLength > 0 ? 1 : 0;
  // Where all gates are in memory no predictor is asked: their room is for slots.
  const planFor = (packed: UnitOptions) =>
    planWith({
      ...{ packed, chunkTokens },
      hasPredictors: options.predictor !== "off" && !packed.hasResidentGates,
    });
  const units = chooseUnits({
    units: packed.units,
    budgetBytes,
    besideBytes,
    steps,
    ioWorkers,
    gapBytes: decided?.mergeGapBytes || undefined,
    readsGatesFirst: decided?.expected.readsGatesFirst,
    hotShare: decided === null || decided.slots === 0 ? undefined : decided.hotFractions,
    // Who is watched computes every neuron.
    isSilent: isSilentKind(activation) && options.sparse !== false && observe.length === 0,
    way: wayOf(of, options, decided?.way),
    lanes: experts === null ? 1 : experts.usedCount + sharedLane,
    plan: planFor,
  });
  const expectedDecodeTps = decided?.expected.tokensPerSecond ?? null;
  const expectAgain = (predictedPerActive: number) =>
    decide(predictedPerActive)?.expected.tokensPerSecond ?? null;
  const plans = planFor(units);
  const readers = readersOf(packed, plans, { options, ioWorkers });
  return { plans, ...readers, expectedDecodeTps, expectAgain };
}
