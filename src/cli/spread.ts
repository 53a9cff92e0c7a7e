/** Summaries of repeated measurements. */

/** The middle of some measurements, and how far they reach. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** Smallest, middle and largest of `samples`; an even count takes the mean of the middle two. */
export function spreadOf(samples: readonly number[]): Spread {
  if (samples.length === 0) return { min: 0, median: 0, max: 0 };
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1
    ? sorted[middle]
    : (sorted[middle - 1] + sorted[middle]) / 2;
  return { min: sorted[0], median, max: sorted[sorted.length - 1] };
}

/** "31.4 (30.9–31.8)": the median, and its range when there is more than one value. */
export function formatSpread({ min, median, max }: Spread, digits = 1): string {
  const number = (value: number) => value.toFixed(digits);
  if (min === max) return number(median);
  return `${number(median)} (${number(min)}–${number(max)})`;
}
