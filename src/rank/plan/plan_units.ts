/**
 * The units of a packed file in a rank's plan: which of them are resident as a whole, what the
 * others take in memory, and where ranks may cut them. Pure decisions; knows no arenas.
 */
import { alignUp, divCeil } from "../../base/check.ts";
import { UnsupportedModelError } from "../../base/errors.ts";
import { KiB, MiB } from "../../base/units.ts";
import { CLUSTER_SLOTS } from "../../cache/mod.ts";
import type { BundleUnit } from "../../bundle/types.ts";
import type { UnitShape } from "../../bundle/units.ts";
import { SECTOR_BYTES_MAX } from "../../io/mod.ts";
import type { DenseTensors } from "../../model/types.ts";
import type { Units } from "./plan_layer.ts";
import type { MatrixLayout } from "./plan_types.ts";
import { type Ranges, shareRanges } from "./ranges.ts";
import type { OnGpu, Range } from "./shard.ts";
import type { StreamingSteps, StreamPlan } from "./stream_types.ts";

/** How a packed model is to be run. */
export interface UnitOptions {
  /** Of the packed file, or of what packing would make, in its order. */
  readonly units: readonly UnitShape[];
  /** So many units, from the first on, are in memory as a whole. */
  readonly residentUnits: number;
  /** Of a mixture those are, too, that every token needs: they are no experts to choose from. */
  readonly keepsCommon: boolean;
  /** Gates of the others are, too, and only the rest of a bundle is streamed. */
  readonly hasResidentGates: boolean;
  /** Slots of each rank, in all its arenas together. */
  readonly slotCount: number;
  /**
   * Share of them that belongs to hot clusters, 0 to 1; several: while 1, 2, … sequences are
   * decoded, and more.
   */
  readonly hotShare: number | readonly number[];
  /** Arenas of each rank, with as many layers, slots and places each. */
  readonly arenaCount: number;
  /**
   * Whole units that an arena has places for, one at least: more of them where neurons that all
   * fire are experts', so that those that were used last need not come again.
   */
  readonly stagePlaces: number;
  /** Bytes of one sequential read, and how many of them may be under way. */
  readonly pieceBytes: number;
  readonly piecesAhead: number;
  /** Neurons that lie so near in the file are one read. */
  readonly gapBytes: number;
  /** Gates that are not resident are read first, and the rest of a neuron that fires. */
  readonly readsGatesFirst: boolean;
  readonly steps: StreamingSteps;
}

export const ALL_STEPS: StreamingSteps = { bundles: true, cache: true, pipeline: true };

/** What is to be decided; the rest has usual values. */
export type StreamingChoice =
  & Pick<UnitOptions, "residentUnits" | "hasResidentGates" | "slotCount">
  & Partial<Omit<UnitOptions, "units" | "residentUnits" | "hasResidentGates" | "slotCount">>;

/** One sequential read, and how many of them are under way in each arena. */
export const PIECE_BYTES = MiB;
const PIECES_AHEAD = 16;
/** What a disk brings in the time that a read takes from ranks, whatever its size (NOTES.md). */
const GAP_BYTES = 24 * KiB;
/** Of slots: what fires often stays, whatever a token needs; the rest follows the text. */
export const HOT_SHARE = 0.95;

/** The options of a choice, with what is usual where it says nothing. */
export function unitOptions(units: readonly UnitShape[], choice: StreamingChoice): UnitOptions {
  return {
    arenaCount: 1,
    stagePlaces: 1,
    keepsCommon: false,
    hotShare: HOT_SHARE,
    pieceBytes: PIECE_BYTES,
    piecesAhead: PIECES_AHEAD,
    gapBytes: GAP_BYTES,
    readsGatesFirst: false,
    steps: ALL_STEPS,
    ...choice,
    units,
  };
}

/** All units in memory as wholes. */
export function wholeUnits(units: readonly UnitShape[]): UnitOptions {
  return unitOptions(units, { residentUnits: units.length, hasResidentGates: false, slotCount: 0 });
}

export class UnitPlan implements Units {
  readonly options: UnitOptions;
  readonly stream: StreamPlan;
  readonly #numbers: ReadonlyMap<string, number>;
  /** By down's tensor: a mixture has tens of thousands of units, and one for each layer. */
  readonly #layouts: ReadonlyMap<string, MatrixLayout>;

  constructor(options: UnitOptions) {
    this.options = options;
    const { units } = options;
    this.#numbers = new Map(units.map(({ layer, expert }, unit) => [key(layer, expert), unit]));
    this.#layouts = new Map(units.map(({ down, downLayout }) => [down.tensor, downLayout]));
    const streamed = units.filter((_, unit) => !isResident(options, unit));
    this.stream = streamPlan(units, streamed, options);
  }

  get hasResidentGates(): boolean {
    return this.options.hasResidentGates;
  }

  numberOf(layer: number, expert: UnitShape["expert"]): number | null {
    return this.#numbers.get(key(layer, expert)) ?? null;
  }

  /** Some unit is not in memory as a whole. */
  get isStreamed(): boolean {
    return this.options.residentUnits < this.options.units.length;
  }

  streamed(unit: number): UnitShape | null {
    return isResident(this.options, unit) ? null : this.options.units[unit];
  }

  besideGpu(
    layer: number,
    expert: UnitShape["expert"],
    { neurons, gpuOfStripe }: OnGpu & { readonly neurons: Range },
  ): Ranges | null {
    const unit = this.#numbers.get(key(layer, expert));
    if (unit === undefined || gpuOfStripe === 0) return null;
    const of = this.options.units[unit];
    return rangesIn(of, neurons, { first: gpuOfStripe, end: of.neurons / of.stripes });
  }

  onGpu(
    layer: number,
    expert: UnitShape["expert"],
    gpuOfStripe: number,
  ): Ranges | null {
    const unit = this.#numbers.get(key(layer, expert));
    if (unit === undefined || gpuOfStripe === 0) return null;
    const of = this.options.units[unit];
    const neurons = { start: 0, end: of.neurons };
    return rangesIn(of, neurons, { first: 0, end: gpuOfStripe });
  }

  /**
   * Neurons of a stripe of each kind of unit: ranks are cut between stripes. layer: one that is not
   * like the others; null: all are alike.
   */
  stripesOf(layer: number | null): { dense: number; expert: number; shared: number } {
    const units = this.options.units.filter((unit) => layer === null || unit.layer === layer);
    const stripeOf = (isKind: (unit: UnitShape) => boolean) => {
      const lengths = units.filter(isKind).map((unit) => unit.neurons / unit.stripes);
      return Math.max(1, ...lengths);
    };
    return {
      dense: stripeOf(({ expert }) => expert === null),
      expert: stripeOf(({ expert }) => typeof expert === "number"),
      shared: stripeOf(({ expert }) => expert === "shared"),
    };
  }

  /** How the down projection of that tensor was packed; null: it was not. */
  layoutOf(tensor: string): MatrixLayout | null {
    return this.#layouts.get(tensor) ?? null;
  }
}

/** Whether a unit is in memory as a whole. */
function isResident({ units, residentUnits, keepsCommon }: UnitOptions, unit: number): boolean {
  return unit < residentUnits || keepsCommon && isCommon(units[unit]);
}

/** Whether every token needs a unit. */
export function isCommon({ expert }: Pick<UnitShape, "expert">): boolean {
  return typeof expert !== "number";
}

/** How many units are in memory as wholes, beside those that have a place. */
export function residentCount(options: UnitOptions): number {
  return options.units.filter((_, unit) => isResident(options, unit)).length;
}

/** Bytes that a slot has: what of the largest bundle is not resident. */
export function slotBytesOf(units: readonly UnitShape[], hasResidentGates: boolean): number {
  return Math.max(
    0,
    ...units.map((unit) => unit.bundleBytes - (hasResidentGates ? unit.restOffsetBytes : 0)),
  );
}

function streamPlan(
  units: readonly UnitShape[],
  streamed: readonly UnitShape[],
  options: UnitOptions,
): StreamPlan {
  const { hasResidentGates, slotCount, arenaCount, hotShare, pieceBytes, piecesAhead } = options;
  const { steps } = options;
  const slotsOfArena = Math.floor(slotCount / arenaCount);
  // A piece is whole bundles of whatever unit, and the sectors that they begin and end in.
  const largest = Math.max(...units.map((unit) => unit.bundleBytes));
  const wholePieceBytes = Math.max(
    pieceBytes,
    alignUp(largest, SECTOR_BYTES_MAX) + 2 * SECTOR_BYTES_MAX,
  );
  const all = units.reduce((sum, unit) => sum + unit.neurons * unit.bundleBytes, 0);
  const pieces = Math.max(2, Math.min(piecesAhead, divCeil(all, wholePieceBytes)));
  return {
    slotBytes: slotBytesOf(streamed, hasResidentGates),
    hasResidentGates,
    stagePlaces: options.stagePlaces,
    // A step of streaming that is left out is measured with the reads that it is a part of.
    readsGatesFirst: options.readsGatesFirst && !hasResidentGates && steps.bundles &&
      steps.pipeline && streamed.every(({ gate }) => gate !== null),
    hotClusters: [hotShare].flat().map((share) => Math.floor(slotsOfArena * share / CLUSTER_SLOTS)),
    pieceBytes: wholePieceBytes,
    rawBytes: wholePieceBytes * pieces,
    gapBytes: options.gapBytes,
    steps,
  };
}

/** By the order of a unit: plans are made anew for each budget, and experts are many. */
const rangesOfUnits = new WeakMap<Uint32Array, Map<string, Ranges>>();

/** Neurons of some bundles, of which are meant those at places first .. end-1 of each stripe. */
function rangesIn(
  { order, stripes, neurons: count }: UnitShape & Partial<Pick<BundleUnit, "order">>,
  { start, end }: Range,
  inEach: { readonly first: number; readonly end: number },
): Ranges | null {
  if (order === undefined) return null;
  const known = rangesOfUnits.get(order) ?? new Map<string, Ranges>();
  rangesOfUnits.set(order, known);
  const name = `${start} ${end} ${inEach.first} ${inEach.end}`;
  const found = known.get(name);
  if (found !== undefined) return found;
  const inStripe = count / stripes;
  const own = order.filter((_, bundle) =>
    bundle >= start && bundle < end && bundle % inStripe >= inEach.first &&
    bundle % inStripe < inEach.end
  );
  const ranges = shareRanges(own.sort());
  known.set(name, ranges);
  return ranges;
}

function key(layer: number, expert: UnitShape["expert"]): string {
  return `${layer}:${expert ?? ""}`;
}

/** @throws {UnsupportedModelError} when tensors of a unit are not what it was packed from. */
export function checkUnit(unit: UnitShape, tensors: DenseTensors): void {
  const { gate, up, down } = tensors;
  const isSame = unit.up.tensor === up.tensor && unit.down.tensor === down.tensor &&
    (unit.gate?.tensor ?? null) === (gate?.tensor ?? null);
  if (isSame) return;
  throw new UnsupportedModelError(
    `Cannot use the packed neurons of layer ${unit.layer}: they are of "${unit.up.tensor}", ` +
      `the model has "${up.tensor}": pack the model again`,
  );
}
