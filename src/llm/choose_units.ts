/**
 * How a packed model shares a budget of memory: plans are made for one way after another, and
 * their sizes compared with it. Pure but for asking the planner of ranks.
 */
import { UnsupportedModelError } from "../base/errors.ts";
import { formatBytes, formatNeeded, MiB } from "../base/units.ts";
import { PAGE_BYTES } from "../memory/arena.ts";
import { besideGpu, type PlanInput, SLOT_RECORD_BYTES, sum, usedBytes } from "../planner/mod.ts";
import type { RankPlan } from "../rank/plan/plan_types.ts";
import type { StreamingSteps } from "../rank/plan/stream_types.ts";
import {
  HOT_SHARE,
  slotBytesOf,
  type StreamingChoice,
  type UnitOptions,
  unitOptions,
} from "../rank/plan/plan_units.ts";

const ARENA_BYTES_GOAL = 3.5 * 1024 * MiB;
const SLOTS_MIN = 512;

export interface UnitBudget {
  readonly units: PlanInput["units"];
  readonly budgetBytes: number;
  /** Of these, what is needed for something else. */
  readonly besideBytes: number;
  /** Neurons are silent as a rule; else every one is needed for every token. */
  readonly isSilent: boolean;
  /** How it is run where not all of it fits. */
  readonly way: "gates" | "predictor";
  /** Threads that read. */
  readonly ioWorkers: number;
  /** Blocks that are computed at the same time: chosen experts, or 1. */
  readonly lanes: number;
  readonly steps: StreamingSteps;
  /** Of slots, 0 to 1: held by what fires most often, by sequences; left out: as usual. */
  readonly hotShare?: UnitOptions["hotShare"];
  /** Neurons that lie so near in the file are one read; left out: as usual. */
  readonly gapBytes?: number;
  /** Gates that are on disk are read first; left out: no. */
  readonly readsGatesFirst?: boolean;
  /** Plans of all ranks for these options. */
  readonly plan: (options: UnitOptions) => RankPlan[];
}

/** Carries the smallest budget that would do, of those that were asked about. */
export class BudgetError extends UnsupportedModelError {
  readonly neededBytes: number;

  constructor(budgetBytes: number, neededBytes: number) {
    super(
      `Cannot run this model in ${formatBytes(budgetBytes)}: it needs at least ` +
        formatNeeded(neededBytes) + " with this context and this many threads: raise --memory, " +
        "or use a shorter --ctx-size",
    );
    this.neededBytes = neededBytes;
  }
}

/** @throws {BudgetError} when the budget is too small, with the one that is not. */
export function chooseUnits(by: UnitBudget): UnitOptions {
  const { units, budgetBytes, isSilent } = by;
  const whole = sized(by, { residentUnits: units.length, hasResidentGates: false, slotCount: 0 });
  if (whole.bytes <= budgetBytes) return whole.options;
  if (!isSilent) {
    return by.lanes > 1 && by.steps.cache ? mostPlaces(by, whole) : mostResident(by, whole);
  }
  const chosen = mostSlots(by, by.way === "gates");
  if (chosen.bytes <= budgetBytes) return chosen.options;
  // Whole blocks from disk for every token: slow, but it answers.
  return mostResident(by, chosen.bytes < whole.bytes ? chosen : whole);
}

/** A GPU streams nothing. */
export function threadsOf(plans: readonly RankPlan[]): readonly RankPlan[] {
  return plans.filter(({ gpu }) => gpu === null);
}

type Sized = { readonly options: UnitOptions; readonly bytes: number };

/** As many slots as there is room for beside what is resident. */
function mostSlots(by: UnitBudget, hasResidentGates: boolean): Sized {
  const { units, budgetBytes, steps } = by;
  const slotBytes = slotBytesOf(units, hasResidentGates);
  const plans = threadsOf(by.plan(
    unitOptions(units, { residentUnits: 0, hasResidentGates, slotCount: 0 }),
  ));
  const ranks = plans.length;
  // A token may need all neurons of all blocks that are computed at the same time.
  const fewestOfArena = Math.max(
    ...plans.map(({ workspaces: [{ stream }] }) =>
      by.lanes * stream!.neuronCount - stream!.spareCount
    ),
    SLOTS_MIN,
  );
  // Without a cache nothing is to stay.
  const hotShare = steps.cache ? by.hotShare ?? HOT_SHARE : 0;
  const try_ = (arenaCount: number, slotCount: number) =>
    sized(by, { residentUnits: 0, hasResidentGates, slotCount, arenaCount, hotShare });
  for (let arenaCount = 1;; arenaCount++) {
    const fewest = arenaCount * fewestOfArena;
    const base = try_(arenaCount, fewest);
    // Arenas are whole pages, and what lies behind slots is aligned.
    const spare = budgetBytes - base.bytes - ranks * arenaCount * PAGE_BYTES;
    const room = steps.cache ? Math.max(0, spare) : 0;
    const total = sum(units.map(besideGpu));
    const slots = Math.min(
      fewest + Math.floor(room / (slotBytes + SLOT_RECORD_BYTES) / ranks),
      Math.ceil(total / ranks) + fewest,
    );
    if (base.bytes / ranks + (slots - fewest) * slotBytes > arenaCount * ARENA_BYTES_GOAL) continue;
    return try_(arenaCount, slots);
  }
}

/**
 * As many places for whole units as there is room for: of experts that all fire, those that were
 * used last stay.
 */
function mostPlaces(by: UnitBudget, refused: Sized): Sized["options"] {
  // What every token needs may be several times as large as an expert, and so would places be.
  return placesFor(by, true) ?? placesFor(by, false) ?? mostResident(by, refused);
}

/** Null: there is no room for two places. */
function placesFor(by: UnitBudget, keepsCommon: boolean): Sized["options"] | null {
  const { units, budgetBytes } = by;
  const try_ = (arenaCount: number, stagePlaces: number) =>
    sized(by, {
      ...{ residentUnits: 0, hasResidentGates: false, slotCount: 0 },
      ...{ arenaCount, stagePlaces, keepsCommon },
    });
  for (let arenaCount = 1;; arenaCount++) {
    const least = try_(arenaCount, 1);
    const places = threadsOf(by.plan(least.options))
      .map(({ workspaces: [{ stream }] }) => stream!.placeBytes);
    const pages = places.length * arenaCount * PAGE_BYTES; // arenas are whole pages
    const bytes = arenaCount * places.reduce((sum, each) => sum + each, 0);
    const more = Math.floor((budgetBytes - least.bytes - pages) / bytes);
    // One is for what passes through.
    const wanted = Math.min(more, Math.ceil(units.length / arenaCount));
    if (wanted < 1) return null;
    const ofRank = least.bytes / places.length + wanted * arenaCount * Math.max(...places);
    if (ofRank > arenaCount * ARENA_BYTES_GOAL) continue;
    const chosen = try_(arenaCount, 1 + wanted);
    // Layers differ in what is kept of them: a thread that has more arenas than were asked for,
    // since what one was to have did not fit, has as many sets of places.
    if (chosen.bytes <= budgetBytes) return chosen.options;
  }
}

/**
 * As many whole units as there is room for: where all neurons fire, a cache would find none.
 * @param refused the least of what was tried before, which there is no room for.
 */
function mostResident(by: UnitBudget, refused: Sized): Sized["options"] {
  const { units, budgetBytes } = by;
  let [low, high] = [0, units.length - 1];
  const of = (residentUnits: number) =>
    sized(by, { residentUnits, hasResidentGates: false, slotCount: 0 });
  const least = of(0).bytes;
  if (least > budgetBytes) throw new BudgetError(budgetBytes, Math.min(least, refused.bytes));
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (of(middle).bytes <= budgetBytes) low = middle;
    else high = middle - 1;
  }
  return of(low).options;
}

function sized(by: UnitBudget, choice: StreamingChoice): Sized {
  const { steps, gapBytes, readsGatesFirst } = by;
  const usual = unitOptions(by.units, { steps, ...choice });
  const options = {
    ...usual,
    gapBytes: gapBytes ?? usual.gapBytes,
    readsGatesFirst: readsGatesFirst ?? usual.readsGatesFirst,
  };
  const used = { units: by.units.length, ioWorkers: by.ioWorkers };
  return { options, bytes: by.besideBytes + usedBytes(by.plan(options), used) };
}
