/** Random inputs and comparisons of the GPU's cases. */
import { Rng } from "../../support/rng.ts";

/** `count` normal numbers. */
export function normals(seed: number, count: number, deviation = 1): Float32Array<ArrayBuffer> {
  const rng = new Rng(seed);
  return rng.normals(count, (normal) => normal * deviation);
}

/** Throws unless |actual − expected| ≤ bound, everywhere. */
export function assertNear(
  label: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  bound: number | ((i: number) => number),
): void {
  if (actual.length !== expected.length) {
    throw new Error(`${label}: ${actual.length} values instead of ${expected.length}`);
  }
  for (let i = 0; i < expected.length; i++) {
    const most = typeof bound === "number" ? bound : bound(i);
    if (Math.abs(actual[i] - expected[i]) <= most) continue;
    const wrong = Array.from(expected, (value, j) => Math.abs(actual[j] - value) <= most ? 0 : 1)
      .reduce((sum: number, each) => sum + each, 0);
    throw new Error(
      `${label}: value ${i} is ${actual[i]}, not ${expected[i]} (bound ${most}; ` +
        `${wrong} of ${expected.length} are off)`,
    );
  }
}
