/** Which bundles of a packed file a rank owns, and where they are in the file. */
import { check } from "../../base/check.ts";
import type { BundleUnit } from "../../bundle/types.ts";
import type { DensePlan, RankPlan, StreamedPlan } from "./plan_types.ts";
import { lengthOf, type Range } from "./shard.ts";

/** A rank's share of a unit: whole stripes, so that it is one piece of the file. */
export interface OwnUnit {
  readonly bundles: BundleUnit;
  readonly arena: number;
  /** Where its first bundle is in the file. */
  readonly offsetBytes: number;
  /** Own neurons, counted from 0 on in their natural order. */
  readonly count: number;
  readonly stripes: number;
  /** Of each stripe the first so many are a GPU's: nobody reads them here. */
  readonly gpuOfStripe: number;
  /** Neuron at each own position, and the reverse, u32 [count]. */
  readonly order: Uint32Array;
  readonly positions: Uint32Array;
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
    const neurons = block.kind === "streamed" ? block.neurons : block.up.rows;
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
  of: Pick<OwnUnit, "arena" | "gpuOfStripe">,
): OwnUnit {
  const stripeNeurons = bundles.neurons / bundles.stripes;
  check(start % stripeNeurons === 0 && end % stripeNeurons === 0, "ranks own whole stripes");
  const order = bundles.order.slice(start, end).map((neuron) => neuron - start);
  const positions = new Uint32Array(order.length);
  order.forEach((neuron, position) => positions[neuron] = position);
  const share = start / bundles.neurons;
  return {
    ...of,
    bundles,
    offsetBytes: bundles.offsetBytes + start * bundles.bundleBytes,
    count: order.length,
    stripes: order.length / stripeNeurons,
    order,
    positions,
    rates: bundles.rates?.subarray(start, end) ?? null,
    factorsOffsetBytes: bundles.factorsOffsetBytes + share * bundles.factorsSizeBytes,
  };
}

/** Own neurons of a unit that are a GPU's, by their numbers here; none as a rule. */
export function* neuronsOnGpu(
  { order, count, stripes, gpuOfStripe }: Pick<
    OwnUnit,
    "order" | "count" | "stripes" | "gpuOfStripe"
  >,
): Generator<number> {
  const inStripe = count / stripes;
  for (let stripe = 0; stripe < stripes; stripe++) {
    for (let i = 0; i < gpuOfStripe; i++) yield order[stripe * inStripe + i];
  }
}
