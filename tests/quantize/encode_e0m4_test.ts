/** Our own type: what is searched, and what is moved over from ggml's types without a change. */
import { assert, assertEquals, assertLess } from "@std/assert";
import { dequantize } from "../../src/model/mod.ts";
import { encodeWeights, type WeightType } from "../../src/quantize/mod.ts";
import { hasLevelsOfE0m4, moveToE0m4 } from "../../src/quantize/encode_e0m4.ts";
import { Rng } from "../support/rng.ts";

const BLOCK_BYTES = { Q4_0: 18, Q4_1: 20 } as const;

/** Blocks whose f16 numbers are `halves`, with random codes. */
function blocksOf(type: "Q4_0" | "Q4_1", halves: readonly number[]): Uint8Array {
  const rng = new Rng(6);
  const count = type === "Q4_0" ? 1 : 2;
  const bytes = new Uint8Array(halves.length / count * BLOCK_BYTES[type]);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < bytes.length; i++) bytes[i] = rng.int(256);
  halves.forEach((half, i) => {
    const at = Math.floor(i / count) * BLOCK_BYTES[type] + 2 * (i % count);
    view.setUint16(at, half, true);
  });
  return bytes;
}

/** Every f16 that is a number: 63488 of them. */
const NUMBERS = Array.from({ length: 65536 }, (_, bits) => bits).filter((bits) =>
  (bits & 0x7c00) !== 0x7c00
);
/** f16 8188: the largest scale whose eightfold f16 holds. */
const LARGEST_SCALE = 0x6fff;

Deno.test("moveToE0m4() changes no weight of Q4_0, whatever its scale", () => {
  const scales = NUMBERS.filter((bits) => (bits & 0x7fff) <= LARGEST_SCALE);
  const bytes = blocksOf("Q4_0", scales);
  const moved = new Uint8Array(scales.length * 20);
  assertEquals(moveToE0m4("Q4_0", bytes, moved), -1);
  // Zero may lose its sign: −0 + 0 is 0.
  const expected = dequantize("Q4_0", bytes).map((x) => x + 0);
  assertEquals(dequantize("E0M4", moved).map((x) => x + 0), expected);
});

Deno.test("moveToE0m4() changes no weight of Q4_1", () => {
  const rng = new Rng(7);
  const halves = Array.from({ length: 8000 }, () => NUMBERS[rng.int(NUMBERS.length)]);
  const bytes = blocksOf("Q4_1", halves);
  const moved = new Uint8Array(bytes.length);
  assertEquals(moveToE0m4("Q4_1", bytes, moved), -1);
  assertEquals(dequantize("E0M4", moved), dequantize("Q4_1", bytes));
});

Deno.test("moveToE0m4() finds the block that cannot be moved over", () => {
  const good = 0x3c00;
  for (const bad of [LARGEST_SCALE + 1, 0x8000 + LARGEST_SCALE + 1, 0x7c00, 0xfc00, 0x7e00]) {
    const bytes = blocksOf("Q4_0", [good, good, bad, good]);
    assertEquals(moveToE0m4("Q4_0", bytes, new Uint8Array(80)), 2, bad.toString(16));
  }
  for (const pair of [[good, 0x7c00], [0xfe00, good]]) {
    const bytes = blocksOf("Q4_1", [good, good, ...pair]);
    assertEquals(moveToE0m4("Q4_1", bytes, new Uint8Array(40)), 1);
  }
});

Deno.test("hasLevelsOfE0m4() names no type with other levels", () => {
  const types = ["Q4_0", "Q4_1", "Q4_K", "IQ4_NL", "Q5_0", "F32", "E0M4", "toString"];
  assertEquals(types.filter(hasLevelsOfE0m4), ["Q4_0", "Q4_1"]);
});

Deno.test("encodeWeights() to E0M4 finds weights again that are levels already", () => {
  const rng = new Rng(8);
  const bytes = new Uint8Array(20 * 200);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += 20) {
    for (let i = 4; i < 20; i++) bytes[at + i] = rng.int(256);
    bytes[at + 4] = 0xf0; // both ends of the levels occur
    view.setFloat16(at, 0.01 + Math.abs(rng.normal()), true);
    view.setFloat16(at + 2, rng.normal() * 20, true);
  }
  assertEquals(encodeWeights("E0M4", dequantize("E0M4", bytes)), bytes);
});

/** Mean squared error of `weights` as `type`. */
function errorOf(type: WeightType, weights: Float32Array): number {
  const back = dequantize(type, encodeWeights(type, weights));
  return back.reduce((sum, x, i) => sum + (x - weights[i]) ** 2, 0) / weights.length;
}

Deno.test("encodeWeights() to E0M4 makes a smaller error than the other types of four bits", () => {
  const rng = new Rng(9);
  const normal = Float32Array.from({ length: 1 << 15 }, () => rng.normal() * 0.02);
  // Laplace: the difference of two exponential numbers is as good as any.
  const wide = Float32Array.from(normal, (x) => x * Math.abs(rng.normal()));
  for (const weights of [normal, wide]) {
    const error = errorOf("E0M4", weights);
    for (const type of ["Q4_0", "Q4_1", "Q4_K", "IQ4_NL", "IQ4_XS"] as const) {
      assertLess(error, errorOf(type, weights), type);
    }
  }
});

Deno.test("encodeWeights() to E0M4 never makes a larger error than levels from end to end", () => {
  const rng = new Rng(10);
  for (let round = 0; round < 300; round++) {
    const mean = rng.normal() * 10 ** (rng.int(5) - 2);
    const size = 10 ** (rng.int(7) - 4);
    const weights = Float32Array.from({ length: 32 }, () => mean + size * rng.normal());
    const [ours, plain] = [errorOf("E0M4", weights), errorOf("Q4_1", weights)];
    assert(ours <= plain, `round ${round}: ${ours}, ${plain}`);
  }
});

Deno.test("encodeWeights() to E0M4 keeps to finite numbers at the ends of f16", () => {
  const rng = new Rng(11);
  const ends = Float32Array.from({ length: 32 }, () => rng.int(2) === 0 ? 65504 : -65504);
  assertEquals(dequantize("E0M4", encodeWeights("E0M4", ends)).every(Number.isFinite), true);
  const mixed = Float32Array.from({ length: 320 }, () => 65504 * (2 * rng.int(1000) / 999 - 1));
  for (const x of dequantize("E0M4", encodeWeights("E0M4", mixed))) assert(Number.isFinite(x));
});
