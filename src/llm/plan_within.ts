/**
 * How a model is run within a budget: the planner decides the way, by the speed that it expects;
 * `chooseUnits` lays it out; and what that takes is counted by the ranks' own plans, so that what
 * `plan` says is what loading has. Loads nothing.
 */
import { check } from "../base/check.ts";
import type { PackedModel } from "../bundle/mod.ts";
import { haveGates } from "../bundle/units.ts";
import type { GgufFile } from "../gguf/types.ts";
import { isSilentKind, summarizePredictors } from "../model/mod.ts";
import type { ModelConfig, ModelDescription } from "../model/types.ts";
import {
  besideGpu,
  CHUNKS,
  expectLaidOut,
  type MachineProfile,
  type MemoryPlan,
  modelUnits,
  type PlanInput,
  planMemory,
  type PlanRefusal,
  sum,
  total,
  usedByRanks,
  usedRegions,
  type Way,
} from "../planner/mod.ts";
import { clustersOfUnit } from "../rank/gpu/unit_share.ts";
import { planRanks } from "../rank/plan/plan.ts";
import type { RankPlan } from "../rank/plan/plan_types.ts";
import { ALL_STEPS, residentCount, type UnitOptions } from "../rank/plan/plan_units.ts";
import type { FiringStats } from "../stats/types.ts";
import type { GpuPart } from "./choose_gpu.ts";
import { BudgetError, chooseUnits, threadsOf } from "./choose_units.ts";
import type { LoadOptions } from "./load_options.ts";
import { readersOf, readsByKernel } from "./packed_readers.ts";
import { rankOptionsFor } from "./rank_options.ts";

/** As pack aligns neurons when nobody says. */
const ALIGN_BYTES = 64;

export interface Budget {
  /** Most memory of the whole process. */
  readonly budgetBytes: number;
  readonly profile: MachineProfile;
  /** How often this model's neurons fire; null: what its file says, if it does. */
  readonly stats: FiringStats | null;
}

/** A model whose file may be packed or not; `model` as `describeForUse` has it. */
export interface PlannableModel {
  readonly file: GgufFile;
  readonly packed: PackedModel | null;
  readonly model: ModelDescription;
}

export interface PlannedModel {
  readonly plan: MemoryPlan | PlanRefusal;
  /** Why the model could not be packed; null: it could, or is. */
  readonly obstacle: string | null;
  /** One for each thread, where the model is packed or would be; else null. */
  readonly ranks: readonly RankPlan[] | null;
  /** A packed model is read past the system's file cache. */
  readonly isDirect: boolean;
  /** Tokens a second, once somebody has counted predicted neurons for each that fires. */
  readonly expectAgain?: (predictedPerActive: number) => number;
}

/**
 * How the model is run within a budget, or would be, were it packed; with a GPU's part of it, whose
 * memory is not counted.
 * @throws {UnsupportedModelError} when it cannot be run at all.
 */
export function planWithin(
  of: PlannableModel,
  module: WebAssembly.Module,
  options: LoadOptions & Budget,
  gpu: GpuPart | null = null,
): PlannedModel {
  const { input, obstacle } = inputOf(of, module, options, gpu);
  const other = { obstacle, ranks: null, isDirect: false };
  if (of.packed === null) {
    const plain = planMemory(input);
    const fits = plain.kind === "plan" && plain.way === "resident";
    if (fits || obstacle !== null) return { ...other, plan: plain };
  }
  const asPacked = { ...input, isPacked: true };
  const refusals: number[] = [];
  for (const decided of decisions(asPacked)) {
    try {
      return { ...layOut(of, decided, { input: asPacked, module, options, gpu }), obstacle };
    } catch (error) {
      if (!(error instanceof BudgetError)) throw error;
      refusals.push(error.neededBytes);
    }
  }
  const { budgetBytes, besideBytes = 0 } = options;
  const refusal = planMemory({ ...asPacked, budgetBytes: 0 });
  check(refusal.kind === "refusal", "nothing runs in no memory");
  const neededBytes = Math.min(...refusals);
  const residentBytes = besideBytes + refusal.residentBytes;
  return { ...other, plan: { kind: "refusal", budgetBytes, neededBytes, residentBytes } };
}

function inputOf(
  { file, packed, model }: PlannableModel,
  module: WebAssembly.Module,
  options: LoadOptions & Budget,
  gpu: GpuPart | null = null,
): { input: PlanInput; obstacle: string | null } {
  const { units, obstacle } = packed === null
    ? modelUnits(model, file.tensors, ALIGN_BYTES)
    : { units: beside(gpu, packed.units, model.config), obstacle: null };
  const { rankCount, contextLength, sequences, kvType, isSparse, sizes } = rankOptionsFor(
    model,
    module,
    options,
    gpu,
  );
  const { budgetBytes, besideBytes = 0, profile, stats, ioWorkers, gatesFirst } = options;
  const input: PlanInput = {
    ...{ model, tensors: file.tensors, units, isPacked: packed !== null },
    ...{ threads: gpu === null ? rankCount : rankCount - 1, gpu: gpu?.share },
    ...{ contextLength, sequences, kvType, isSparse, sizes },
    ...{ budgetBytes: budgetBytes - besideBytes, profile, stats, ioWorkers },
    ways: waysOf(options),
    kernelReads: readsByKernel(packed ?? file.parts[0], options),
    readsGatesFirst: gatesFirst,
    writesOut: packed === null && options.writeOut === "on",
  };
  return { input, obstacle };
}

/** What threads have of units, of which a GPU has the most frequent clusters. */
function beside(
  gpu: GpuPart | null,
  units: PackedModel["units"],
  { blockCount }: ModelConfig,
): PlanInput["units"] {
  if (gpu === null) return units;
  const { layers, neurons: [share] } = gpu.share;
  return units.map((unit) => {
    if (unit.layer < blockCount - layers) return unit;
    return { ...unit, gpuOfStripe: clustersOfUnit(unit, share, units) };
  });
}

/** What the user has decided already. */
function waysOf({ predictor }: LoadOptions): PlanInput["ways"] {
  if (predictor === "on") return ["predictor"];
  return predictor === "off" ? ["gates"] : undefined;
}

/**
 * What is to be laid out, the first that fits. What is expected to be fastest comes first; whether
 * it fits is for who lays it out to say, and with a little memory it may not. Then what takes least
 * of all, whatever the budget: so that the least that is needed is one figure, and enough.
 */
function* decisions(input: PlanInput): Generator<MemoryPlan> {
  const fastest = planMemory(input);
  if (fastest.kind === "plan") yield fastest;
  // Where neurons one by one need more than there is, whole blocks may do: slow, but it answers.
  const whole = { ...input, isSparse: false };
  if (fastest.kind === "refusal") {
    const units = planMemory(whole);
    if (units.kind === "plan") yield units;
  }
  const ioWorkers = input.kernelReads ? undefined : input.ioWorkers ?? 1;
  const short = { ...whole, ioWorkers, chunkTokens: CHUNKS[0] };
  const refusal = planMemory({ ...short, budgetBytes: 0 });
  check(refusal.kind === "refusal", "nothing runs in no memory");
  const least = planMemory({ ...short, budgetBytes: refusal.neededBytes });
  check(least.kind === "plan", "a budget that was asked for is enough");
  yield least;
  // Who asks predictors needs no gates in memory.
  yield { ...least, way: "predictor" };
}

/** @throws {BudgetError} when the budget is too small. */
function layOut(
  of: PlannableModel,
  decided: MemoryPlan,
  { input, module, options, gpu }: {
    input: PlanInput;
    module: WebAssembly.Module;
    options: LoadOptions & Budget;
    gpu: GpuPart | null;
  },
): Omit<PlannedModel, "obstacle"> {
  const { model, file } = of;
  const { experts, feedForward: { activation } } = model.config;
  const { units } = input;
  const { budgetBytes, besideBytes = 0, observe = [], streamingSteps } = options;
  const { chunkTokens, ioWorkers, mergeGapBytes, hotFractions, expected } = decided;
  const steps = { ...ALL_STEPS, ...streamingSteps };
  const sharedLane = experts !== null && experts.sharedFeedForwardLength > 0 ? 1 : 0;
  const rankOptions = rankOptionsFor(model, module, { chunkTokens, ...options }, gpu);
  // Where all gates are in memory no predictor is asked: their room is for slots.
  const planFor = (packed: UnitOptions) =>
    planRanks(model, file.tensors, {
      ...{ ...rankOptions, packed },
      hasPredictors: options.predictor !== "off" && !packed.hasResidentGates,
    });
  const chosen = chooseUnits({
    ...{ units, budgetBytes, besideBytes, ioWorkers },
    steps,
    gapBytes: mergeGapBytes || undefined,
    readsGatesFirst: expected.readsGatesFirst,
    hotShare: decided.way === "units" || decided.slots === 0 ? undefined : hotFractions,
    // Who is watched computes every neuron.
    isSilent: isSilentKind(activation) && haveGates(units) && options.sparse !== false &&
      observe.length === 0,
    way: wayOf(of, options, decided.way),
    lanes: experts === null ? 1 : experts.usedCount + sharedLane,
    plan: planFor,
  });
  const places = placesOf(planFor(chosen), chosen);
  const laid = { chunkTokens, ioWorkers, ...places, keepsCommon: chosen.keepsCommon };
  const again = { ...input, readsGatesFirst: chosen.readsGatesFirst };
  const found = expectLaidOut(again, laid);
  // The border that is best of the slots that there are, and no more of them than neurons.
  const hotShare = places.slotBytes > 0 && steps.cache ? found.hotFractions : chosen.hotShare;
  const ranks = planFor({ ...chosen, hotShare });
  const readers = readersOf(of, ranks, { options, budgetBytes, ioWorkers, units: units.length });
  const regions = usedRegions(ranks, { units: units.length, ioWorkers: readers.ioWorkers });
  const taken = { regions, totalBytes: total(regions), ranks: usedByRanks(ranks) };
  return {
    plan: { ...decided, budgetBytes, ...taken, ...places, ...found, ...readers },
    ...{ ranks, isDirect: readers.isDirect },
    expectAgain: (predictedPerActive) =>
      expectLaidOut({ ...again, predictedPerActive }, laid).expected.tokensPerSecond,
  };
}

/** What the user asks for comes first; then what the planner decided, where it can be done. */
function wayOf(
  { file, model }: PlannableModel,
  { predictor }: LoadOptions,
  decided: Way,
): "gates" | "predictor" {
  if (predictor === "off" || summarizePredictors(file, model) === null) return "gates";
  return predictor === "on" || decided === "predictor" ? "predictor" : "gates";
}

/** The way that was laid out, and room for what of the model comes from the disk. */
function placesOf(
  ranks: readonly RankPlan[],
  options: UnitOptions,
): Pick<MemoryPlan, "way" | "slots" | "slotBytes" | "residentShare"> {
  const { units, slotCount, hasResidentGates, arenaCount, stagePlaces } = options;
  const residentUnits = residentCount(options);
  if (residentUnits === units.length) {
    return { way: "resident", slots: 0, slotBytes: 0, residentShare: 1 };
  }
  if (slotCount === 0) {
    const slots = residentUnits + arenaCount * (stagePlaces - 1);
    const slotBytes = sum(
      threadsOf(ranks).map(({ workspaces }) => workspaces[0].stream!.placeBytes),
    );
    return { way: "units", slots, slotBytes, residentShare: Math.min(1, slots / units.length) };
  }
  const slots = sum(
    threadsOf(ranks)
      .flatMap(({ workspaces }) => workspaces.map(({ stream }) => stream!.slotCount)),
  );
  return {
    way: hasResidentGates ? "gates" : "predictor",
    slots,
    slotBytes: ranks[0].stream!.slotBytes,
    residentShare: Math.min(1, slots / sum(units.map(besideGpu))),
  };
}
