/**
 * Ranges of rows that are picked from several places. Of neurons beside a GPU's there may be a
 * million: those are numbers in memory that threads share, so that posting a plan copies none.
 * Knows nothing of why they are picked.
 */
import type { Range } from "./shard.ts";

/** Ranges one behind the other, as a list or in shared memory. */
export type Ranges = readonly Range[] | SharedRanges;

export interface SharedRanges {
  /** Start and end of each, u32 [count, 2]. */
  readonly bounds: Uint32Array;
  /** Added to all of them. */
  readonly shift: number;
}

/** Ascending numbers, as few ranges as they are. */
export function shareRanges(numbers: Uint32Array): SharedRanges {
  const startsRange = (i: number) => i === 0 || numbers[i] !== numbers[i - 1] + 1;
  let count = 0;
  for (let i = 0; i < numbers.length; i++) if (startsRange(i)) count++;
  const bounds = new Uint32Array(new SharedArrayBuffer(8 * count));
  let at = 0;
  for (let i = 0; i < numbers.length; i++) {
    if (startsRange(i)) bounds[at++] = numbers[i];
    if (i + 1 === numbers.length || startsRange(i + 1)) bounds[at++] = numbers[i] + 1;
  }
  return { bounds, shift: 0 };
}

/** Each of them. */
export function* eachRange(ranges: Ranges): Generator<Range> {
  if (!("bounds" in ranges)) return yield* ranges;
  const { bounds, shift: by } = ranges;
  for (let i = 0; i < bounds.length; i += 2) {
    yield { start: bounds[i] + by, end: bounds[i + 1] + by };
  }
}

/** Numbers between two ranges of a vector that one read brings rather than two. */
export const NEAR_GAP = 256;

/** Each by so many further on. */
export function shiftAll(ranges: Ranges, by: number): Ranges {
  if ("bounds" in ranges) return { ...ranges, shift: ranges.shift + by };
  return by === 0 ? ranges : ranges.map((range) => shift(range, by));
}

export function shift({ start, end }: Range, by: number): Range {
  return { start: start + by, end: end + by };
}

/**
 * Those that are near one another, together: what lies between them is read, too, which is less
 * work than a read for each. most: numbers from the first one's start to the last one's end, but
 * for a range that is longer by itself; gap: the most between two.
 */
export function* nearRanges(
  ranges: Ranges,
  { most, gap }: { readonly most: number; readonly gap: number },
): Generator<Range[]> {
  let near: Range[] = [];
  for (const range of eachRange(ranges)) {
    const last = near.at(-1);
    const isNear = last !== undefined && range.start >= last.end &&
      range.start - last.end <= gap && range.end - near[0].start <= most;
    if (last !== undefined && !isNear) {
      yield near;
      near = [];
    }
    near.push(range);
  }
  if (near.length > 0) yield near;
}
