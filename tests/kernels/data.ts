/** Numbers for kernel tests: random, and at the edges of what the formats can hold. */
import { assert } from "@std/assert";
import { dequantizeQ4_0, dequantizeQ8_0, numberToF16 } from "../../src/reference/ops.ts";
import type { Rng } from "../support/rng.ts";

/** `count` normal floats times `size`. */
export function randomFloats(rng: Rng, count: number, size = 1): Float32Array {
  return Float32Array.from({ length: count }, () => rng.normal() * size);
}

/** How the weights and activations of a quantised product are made. */
export type Flavour =
  | "random"
  | "zero rows"
  | "zero activations"
  | "most negative"
  | "most positive"
  | "subnormal scales";

export const FLAVOURS: readonly Flavour[] = [
  "random",
  "zero rows",
  "zero activations",
  "most negative",
  "most positive",
  "subnormal scales",
];

/** Blocks as a file stores them, and the weights they stand for, f64 [32 · blocks]. */
export interface Blocks {
  readonly bytes: Uint8Array;
  readonly weights: Float64Array;
}

/** Random blocks of Q4_0 (18 bytes) or Q8_0 (34 bytes). */
export function randomBlocks(
  rng: Rng,
  type: "q4_0" | "q8_0",
  count: number,
  flavour: Flavour,
): Blocks {
  const size = type === "q4_0" ? 18 : 34;
  const bytes = new Uint8Array(count * size);
  for (let b = 0; b < count; b++) {
    const scale = numberToF16(blockScale(rng, flavour));
    bytes[b * size] = scale & 255;
    bytes[b * size + 1] = scale >> 8;
    for (let i = 2; i < size; i++) bytes[b * size + i] = quantByte(rng, type, flavour);
  }
  return { bytes, weights: type === "q4_0" ? dequantizeQ4_0(bytes) : dequantizeQ8_0(bytes) };
}

function blockScale(rng: Rng, flavour: Flavour): number {
  if (flavour === "zero rows") return 0;
  if (flavour === "subnormal scales") return (rng.int(2047) - 1023) * 2 ** -24;
  return rng.normal() * 0.02;
}

function quantByte(rng: Rng, type: "q4_0" | "q8_0", flavour: Flavour): number {
  if (flavour === "most negative") return type === "q4_0" ? 0x00 : 0x80;
  if (flavour === "most positive") return type === "q4_0" ? 0xff : 0x7f;
  return rng.int(256);
}

/** Activations [count] that go with `flavour`. */
export function activationsFor(rng: Rng, count: number, flavour: Flavour): Float32Array {
  if (flavour === "zero activations") return new Float32Array(count);
  if (flavour === "most negative") return new Float32Array(count).fill(3.5);
  if (flavour === "most positive") return new Float32Array(count).fill(-3.5);
  return randomFloats(rng, count, 2);
}

/** Asserts Σ(a − expected)² ≤ tolerance · Σ expected², up to 1e-35 a value. */
export function assertClose(
  a: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  label: string,
): void {
  assert(a.length === expected.length, `${label}: ${a.length} values, not ${expected.length}`);
  let error = 0;
  let size = 0;
  for (let i = 0; i < expected.length; i++) {
    error += (a[i] - expected[i]) ** 2;
    size += expected[i] ** 2;
  }
  assert(
    error <= tolerance * size + expected.length * 1e-70,
    `${label}: nmse ${error / size} > ${tolerance}`,
  );
}

/** The [n, d] values of a strided [n, stride] array. */
export function unstride(x: Float32Array, n: number, stride: number, d: number): Float32Array {
  const out = new Float32Array(n * d);
  for (let t = 0; t < n; t++) out.set(x.subarray(t * stride, t * stride + d), t * d);
  return out;
}
