/**
 * Which neurons of a dense block a GPU computes beside threads: more of them the more tokens a step
 * has, and those that fire most often where that is known. Neurons have places, hot ones first; an
 * order says which neurons of the file are there. Pure arithmetic.
 */
import { check, divCeil } from "../../base/check.ts";
import { CLUSTER_SLOTS } from "../../cache/mod.ts";
import type { OnGpu, Range, Shard } from "./shard.ts";

/** A GPU's share of the neurons is given for steps of so many tokens, or more. */
export const STEP_TOKENS = [1, 2, 8, 32] as const;

/** Places of neurons that the same side computes in the same steps. */
export interface NeuronSegment {
  readonly neurons: Range;
  /** The GPU computes them in steps of so many tokens and more, threads in shorter ones; null: the
   * threads always do. */
  readonly gpuFromTokens: number | null;
}

/**
 * All places 0 .. total-1, cut where shares end, at multiples of `unit`. shares: by step size as in
 * STEP_TOKENS, ascending; the last one is that of longer steps, too.
 */
export function hotSegments(
  shares: readonly number[],
  { total, unit }: { total: number; unit: number },
): NeuronSegment[] {
  check(shares.length >= 1 && shares.length <= STEP_TOKENS.length, "shares were counted before");
  const segments: NeuronSegment[] = [];
  let start = 0;
  shares.forEach((share, step) => {
    const end = shareOf(share, total, unit);
    check(end >= start, "shares ascend: that was checked at the door");
    if (end > start) {
      segments.push({ neurons: { start, end }, gpuFromTokens: STEP_TOKENS[step] });
    }
    start = end;
  });
  if (start < total) segments.push({ neurons: { start, end: total }, gpuFromTokens: null });
  return segments;
}

/** A share of `total` in whole units; all of it where the share is 1. */
export function shareOf(share: number, total: number, unit: number): number {
  check(share >= 0 && share <= 1, "a share was checked at the door");
  return share === 1 ? total : Math.min(total, Math.round(share * total / unit) * unit);
}

/** Whose a dense block's neurons are. */
type NeuronShare = Pick<Shard, "neurons" | "steppedNeurons" | keyof OnGpu>;

/** Neurons of a dense block on both sides. */
export interface SharedNeurons {
  /** Of a thread, whose part it were without a GPU. */
  readonly cpu: (part: number, shard: Shard) => NeuronShare;
  readonly gpu: NeuronShare;
}

const NOTHING: Range = { start: 0, end: 0 };
const ANY_TOKENS = Number.MAX_SAFE_INTEGER;

/** By places, and by how many tokens a step has; cut: a thread's part of some of them. */
export function inSegments(
  total: number,
  { segments, cut }: {
    segments: readonly NeuronSegment[];
    cut: (all: Range, part: number) => Range;
  },
): SharedNeurons {
  const hot = segments.find(({ gpuFromTokens }) => gpuFromTokens === 1)?.neurons ?? NOTHING;
  const cold = segments.find(({ gpuFromTokens }) => gpuFromTokens === null)?.neurons ??
    { start: total, end: total };
  const stepped = segments.flatMap(({ neurons, gpuFromTokens: from }) =>
    from === null || from === 1 ? [] : [{ neurons, from }]
  );
  return {
    cpu: (part) => ({
      neurons: cut(cold, part),
      steppedNeurons: stepped
        .map(({ neurons, from }) => ({
          neurons: cut(neurons, part),
          tokens: { start: 1, end: from },
        }))
        .filter(({ neurons: { start, end } }) => end > start),
      ...{ gpuOfStripe: 0, neuronsOnGpu: 0 },
    }),
    gpu: {
      neurons: hot,
      steppedNeurons: stepped.map(({ neurons, from }) => ({
        neurons,
        tokens: { start: from, end: ANY_TOKENS },
      })),
      ...{ gpuOfStripe: 0, neuronsOnGpu: 0 },
    },
  };
}

/**
 * Neurons of a stripe of so many that are a GPU's: whole clusters. Of an expert that all tokens use
 * there are none where there are none of the others': it has all blocks of a layer, or none.
 * experts: of a stripe of the others. Left out: there are no others.
 */
export function clustersOnGpu(share: number, stripe: number, experts?: number): number {
  if (experts !== undefined && clustersOnGpu(share, experts) === 0) return 0;
  return shareOf(share, stripe, Math.min(CLUSTER_SLOTS, stripe));
}

/**
 * Ranges of the file's neurons, one behind the other in the order of places, so that each segment
 * has more frequent ones than those behind it. Units move as wholes: a block of a quantised down
 * has one scale for each row of its neurons, and only whole blocks keep their weights to the bit;
 * which are hot is decided by the sum of their neurons' rates. What is left behind the last whole
 * unit stays the last. Within a segment all are computed alike: neurons stay in the file's order,
 * which loads in long pieces.
 */
export function orderByRate(
  rates: ArrayLike<number>,
  { unit, segments }: { unit: number; segments: readonly NeuronSegment[] },
): Range[] {
  const total = rates.length;
  const sums = new Float64Array(Math.floor(total / unit));
  for (let i = 0; i < sums.length * unit; i++) sums[Math.floor(i / unit)] += rates[i];
  const byRate = Uint32Array.from(sums.keys()).sort((a, b) => sums[b] - sums[a] || a - b);
  const order: Range[] = [];
  for (const { neurons: { start, end } } of segments) {
    const units = byRate.slice(divCeil(start, unit), Math.floor(end / unit)).sort();
    for (const each of units) append(order, { start: each * unit, end: (each + 1) * unit });
    if (end === total) append(order, { start: sums.length * unit, end: total });
  }
  return order;
}

function append(ranges: Range[], range: Range): void {
  if (range.start === range.end) return;
  const last = ranges.at(-1);
  if (last?.end !== range.start) ranges.push(range);
  else ranges[ranges.length - 1] = { start: last.start, end: range.end };
}

/** The file's neurons at places start .. end-1 of an order, ranges one behind the other. */
export function neuronsAt(order: readonly Range[], { start, end }: Range): Range[] {
  const found: Range[] = [];
  let place = 0;
  for (const range of order) {
    const count = range.end - range.start;
    const from = Math.max(start - place, 0);
    const to = Math.min(end - place, count);
    if (to > from) found.push({ start: range.start + from, end: range.start + to });
    place += count;
  }
  return found;
}
