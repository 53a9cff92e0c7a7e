/** Numbers for kernel tests: random, and at the edges of what the formats can hold. */
import { assert } from "@std/assert";
import { dequantize } from "../../src/model/quants/dequantize.ts";
import { dtypeByName, typeInFile } from "../../src/model/dtypes.ts";
import type { QuantType } from "../../src/rank/plan/weight_types.ts";
import { numberToF16 } from "../../src/reference/ops.ts";
import type { Rng } from "../support/rng.ts";

/** `count` normal floats times `size`. */
export function randomFloats(rng: Rng, count: number, size = 1): Float32Array {
  return rng.normals(count, (normal) => normal * size);
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

/** Blocks as a file stores them, and the weights they stand for, f32 [32 or 256 · count]. */
export interface Blocks {
  readonly bytes: Uint8Array;
  readonly weights: Float32Array;
}

/** Where the f16 numbers and the integer scales of a block are, in bytes. */
const FACTORS: Record<string, { halves: number[]; scales: [start: number, end: number] }> = {
  Q4_0: { halves: [0], scales: [0, 0] },
  Q4_1: { halves: [0, 2], scales: [0, 0] },
  E0M4: { halves: [0, 2], scales: [0, 0] },
  Q5_0: { halves: [0], scales: [0, 0] },
  Q5_1: { halves: [0, 2], scales: [0, 0] },
  Q8_0: { halves: [0], scales: [0, 0] },
  Q2_K: { halves: [80, 82], scales: [0, 16] },
  Q3_K: { halves: [108], scales: [96, 108] },
  Q4_K: { halves: [0, 2], scales: [4, 16] },
  Q5_K: { halves: [0, 2], scales: [4, 16] },
  Q6_K: { halves: [208], scales: [192, 208] },
  IQ4_NL: { halves: [0], scales: [0, 0] },
  IQ4_XS: { halves: [0], scales: [2, 8] },
  MXFP4: { halves: [], scales: [0, 1] },
  NVFP4: { halves: [], scales: [0, 4] },
  NVFP4S: { halves: [], scales: [4, 8] },
  IQ2_XXS: { halves: [0], scales: [0, 0] },
  IQ2_XS: { halves: [0], scales: [66, 74] },
  IQ2_S: { halves: [0], scales: [74, 82] },
  IQ3_XXS: { halves: [0], scales: [0, 0] },
  IQ3_S: { halves: [0], scales: [106, 110] },
  IQ1_S: { halves: [0], scales: [0, 0] },
  IQ1_M: { halves: [], scales: [48, 56] },
  TQ1_0: { halves: [52], scales: [0, 0] },
  TQ2_0: { halves: [64], scales: [0, 0] },
  Q1_0: { halves: [0], scales: [0, 0] },
  Q2_0: { halves: [0], scales: [0, 0] },
};

/** Random blocks of at least `count` weights. */
export function randomBlocks(
  rng: Rng,
  type: QuantType,
  weightCount: number,
  flavour: Flavour,
): Blocks {
  const { blockBytes, blockElements } = dtypeByName(type)!;
  const { halves, scales: [start, end] } = FACTORS[typeInFile(type)];
  const bytes = new Uint8Array(Math.ceil(weightCount / blockElements) * blockBytes);
  for (let at = 0; at < bytes.length; at += blockBytes) {
    const block = bytes.subarray(at, at + blockBytes);
    for (let i = 0; i < blockBytes; i++) block[i] = quantByte(rng, type, flavour);
    for (let i = start; i < end; i++) block[i] = rng.int(256);
    if (type === "MXFP4") {
      block[0] = flavour === "subnormal scales" ? rng.int(2) : 110 + rng.int(20);
    }
    if (type.startsWith("NVFP4")) setSmallScales(block.subarray(0, end), rng, flavour);
    if (typeInFile(type) === "IQ1_M") setQuarters(block, numberToF16(blockScale(rng, flavour)));
    for (const half of halves) {
      const scale = numberToF16(blockScale(rng, flavour));
      block[half] = scale & 255;
      block[half + 1] = scale >> 8;
    }
  }
  return { bytes, weights: dequantize(typeInFile(type), bytes) };
}

/** Of NVFP4: scales with up to 2^11 between them, and the factor in front, if there is one. */
function setSmallScales(bytes: Uint8Array, rng: Rng, flavour: Flavour): void {
  const [from, count] = flavour === "subnormal scales" ? [0, 10] : [32, 95];
  const scales = bytes.subarray(-4);
  for (let i = 0; i < 4; i++) scales[i] = flavour === "zero rows" ? 0 : from + rng.int(count);
  if (bytes.length === 8) new DataView(bytes.buffer, bytes.byteOffset).setFloat32(0, -0.0123, true);
}

/** The f16 scale of IQ1_M is the top four bits of its four last words. */
function setQuarters(block: Uint8Array, scale: number): void {
  for (let i = 0; i < 4; i++) {
    const at = 49 + 2 * i;
    block[at] = block[at] & 15 | (scale >> 4 * i & 15) << 4;
  }
}

function blockScale(rng: Rng, flavour: Flavour): number {
  if (flavour === "zero rows") return 0;
  if (flavour === "subnormal scales") return (rng.int(2047) - 1023) * 2 ** -24;
  return rng.normal() * 0.02;
}

function quantByte(rng: Rng, type: QuantType, flavour: Flavour): number {
  if (flavour === "most negative") return type === "Q8_0" ? 0x80 : 0x00;
  if (flavour === "most positive") return type === "Q8_0" ? 0x7f : 0xff;
  if (flavour === "zero rows" && type === "MXFP4") return 0;
  // Quantisers write no −128, which prompts multiply in another way than the rest.
  if (flavour === "random" && type === "Q8_0") return (0x81 + rng.int(255)) & 255;
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
