/** Which bundles of a packed file a rank owns, and where they are in the file. */
import { check } from "../../base/check.ts";
import type { BundleUnit } from "../../bundle/types.ts";
import type { DensePlan, RankPlan, StreamedPlan } from "./plan_types.ts";
import { lengthOf, type Range } from "./shard.ts";

/**
 * A rank's share of a unit: whole stripes, so that it is one piece of the file. What a GPU has of
 * it lies there, too, before the rest of each stripe, and is nobody's here: own neurons are those
 * that are left, and only down still has columns of all.
 */
export interface OwnUnit {
  readonly bundles: BundleUnit;
  readonly arena: number;
  /** Where its first bundle is in the file. */
  readonly offsetBytes: number;
  /** Own neurons, counted from 0 on in their natural order; and with those that are a GPU's. */
  readonly count: number;
  readonly columnCount: number;
  readonly stripes: number;
  /** Bundles of each stripe, the first ones, that are a GPU's: nobody reads them here. */
  readonly gpuOfStripe: number;
  /** Neuron at each own position, and the reverse, u32 [count]. */
  readonly order: Uint32Array;
  readonly positions: Uint32Array;
  /** By own neuron: how many bundles lie before its own, and its column of down; u32 [count]. */
  readonly bundleOf: Uint32Array;
  readonly columns: Uint32Array;
  /** Share of tokens for which each fires, by own position; null: nobody counted. */
  readonly rates: Float32Array | null;
  /** Where own factors of down are in the file. */
  readonly factorsOffsetBytes: number;
}

/** By number of the unit; units that the rank has nothing of are left out. */
export function ownUnits(
  plan: RankPlan,
  units: readonly BundleUnit[],
): ReadonlyMap<number, OwnUnit> {
  const own = new Map<number, OwnUnit>();
  for (const { arena, block } of packedBlocks(plan)) {
    const neurons = block.kind === "streamed" ? block.neurons : block.down.columns;
    const bundles = units[block.unit!];
    const range = block.kind === "streamed" ? neurons : withinUnit(neurons, bundles.neurons);
    const { gpuOfStripe } = block;
    if (lengthOf(range) > 0) own.set(block.unit!, ownUnit(bundles, range, { arena, gpuOfStripe }));
  }
  return own;
}

/** Those of an arena that slots hold. */
export function streamedUnits(
  plan: RankPlan,
  units: ReadonlyMap<number, OwnUnit>,
  arena: number,
): ReadonlyMap<number, OwnUnit> {
  const streamed = new Map<number, OwnUnit>();
  for (const { arena: its, block } of packedBlocks(plan)) {
    const own = block.kind === "streamed" && its === arena ? units.get(block.unit) : undefined;
    if (own !== undefined) streamed.set(block.unit!, own);
  }
  return streamed;
}

/** All blocks of a plan that come from units of a packed file. */
export function* packedBlocks(
  plan: RankPlan,
): Generator<{ arena: number; block: DensePlan | StreamedPlan }> {
  for (const { arena, feedForward } of plan.layers) {
    if (feedForward === null) continue;
    const blocks = feedForward.kind !== "experts" ? [feedForward] : [
      ...feedForward.experts,
      ...feedForward.shared === null ? [] : [feedForward.shared],
    ];
    for (const block of blocks) if (block.unit !== null) yield { arena, block };
  }
}

/** Rows of an expert are counted from the first expert's on. */
function withinUnit({ start, end }: Range, neurons: number): Range {
  const first = Math.floor(start / neurons) * neurons;
  return { start: start - first, end: end - first };
}

function ownUnit(
  bundles: BundleUnit,
  { start, end }: Range,
  { arena, gpuOfStripe }: Pick<OwnUnit, "arena" | "gpuOfStripe">,
): OwnUnit {
  const stripeNeurons = bundles.neurons / bundles.stripes;
  check(start % stripeNeurons === 0 && end % stripeNeurons === 0, "ranks own whole stripes");
  const isOwn = (_: number, bundle: number) => bundle % stripeNeurons >= gpuOfStripe;
  const all = bundles.order.slice(start, end).map((neuron) => neuron - start);
  const rates = bundles.rates?.subarray(start, end) ?? null;
  const columns = gpuOfStripe === 0 ? inOrder(all.length) : all.filter(isOwn).sort();
  const numbers = new Uint32Array(all.length);
  columns.forEach((column, neuron) => numbers[column] = neuron);
  const order = all.filter(isOwn).map((column) => numbers[column]);
  const positions = new Uint32Array(order.length);
  order.forEach((neuron, position) => positions[neuron] = position);
  const bundleOf = new Uint32Array(order.length);
  all.forEach((column, bundle) => {
    if (isOwn(column, bundle)) bundleOf[numbers[column]] = bundle;
  });
  const share = start / bundles.neurons;
  return {
    ...{ bundles, arena, gpuOfStripe, order, positions, columns },
    offsetBytes: bundles.offsetBytes + start * bundles.bundleBytes,
    count: order.length,
    columnCount: all.length,
    stripes: all.length / stripeNeurons,
    // Where nothing is a GPU's, each has one array less.
    bundleOf: gpuOfStripe === 0 ? positions : bundleOf,
    rates: gpuOfStripe === 0 ? rates : rates?.filter(isOwn) ?? null,
    factorsOffsetBytes: bundles.factorsOffsetBytes + share * bundles.factorsSizeBytes,
  };
}

let firstNumbers = new Uint32Array();

/** 0, 1, 2, …, u32 [count]: a view of what all who ask for it share. */
export function inOrder(count: number): Uint32Array {
  if (firstNumbers.length < count) {
    firstNumbers = Uint32Array.from({ length: count }, (_, i) => i);
  }
  return firstNumbers.subarray(0, count);
}
