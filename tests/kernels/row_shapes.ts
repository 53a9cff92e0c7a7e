/** Rows of floats in an arena, as kernels that go row by row are tested. */
import { Rng } from "../support/rng.ts";

/** Every width with one and several rows; strides larger than the width. */
export function* rowShapes(
  widths: readonly number[],
): Generator<{ d: number; n: number; stride: number; rng: Rng }> {
  for (const d of widths) {
    for (const n of [1, 2, 5]) yield { d, n, stride: d + 5, rng: new Rng(d * 10 + n) };
  }
}

/** The written ranges of n rows of d floats. */
export function rowsOf(ptr: number, n: number, stride: number, d: number): [number, number][] {
  return Array.from({ length: n }, (_, t) => [ptr + 4 * t * stride, 4 * d]);
}
