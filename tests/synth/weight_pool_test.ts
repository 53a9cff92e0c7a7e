import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { dequantize } from "../../src/model/mod.ts";
import { rowBytes } from "../../src/model/dtypes.ts";
import { SeededRandom } from "../../src/synth/seeded_random.ts";
import { WEIGHT_TYPES } from "../../src/quantize/mod.ts";
import { RANDOM_TYPES } from "../../src/synth/synth_types.ts";
import { WeightPool } from "../../src/synth/weight_pool.ts";

for (const type of [...WEIGHT_TYPES, ...RANDOM_TYPES]) {
  Deno.test(`WeightPool deals ${type} weights of the wanted deviation`, () => {
    // Of 1 << 16 weights, superblocks' scales are too few.
    const bytes = new Uint8Array(rowBytes(type, 1 << 18));
    const sizes = { deviation: 0.02, bytesMax: bytes.length };
    const pool = new WeightPool(type, sizes, new SeededRandom(1));
    pool.fill(bytes);
    const weights = dequantize(type, bytes);
    const mean = (f: (x: number) => number) =>
      weights.reduce((sum, x) => sum + f(x), 0) / weights.length;
    assertAlmostEquals(mean((x) => x), 0, 0.0005);
    assertAlmostEquals(Math.sqrt(mean((x) => x * x)), 0.02, 0.0005);
  });

  Deno.test(`WeightPool deals ${type} weights of every size that a model has`, () => {
    // Without the factor of a tensor NVFP4 has no smaller ones.
    const sizes = type === "NVFP4" ? [1, 0.3, 0.008] : [1, 0.3, 0.008, 0.0004];
    for (const deviation of sizes) {
      const bytes = new Uint8Array(rowBytes(type, 1 << 16));
      const bytesMax = bytes.length;
      new WeightPool(type, { deviation, bytesMax }, new SeededRandom(1)).fill(bytes);
      const weights = dequantize(type, bytes);
      const square = weights.reduce((sum, x) => sum + x * x, 0) / weights.length;
      assertAlmostEquals(Math.sqrt(square) / deviation, 1, 0.06, `${deviation}`);
    }
  });
}

Deno.test("WeightPool deals whole blocks, as many as asked for, in pieces that differ", () => {
  const pool = new WeightPool("Q4_0", { deviation: 1 }, new SeededRandom(2));
  const pieces = [...pool.pieces(18 * 1_000_001)];
  assertEquals(pieces.reduce((sum, piece) => sum + piece.length, 0), 18 * 1_000_001);
  for (const piece of pieces) assert(piece.length % 18 === 0 && piece.length > 0);
  assertEquals(new Set(pieces.map((piece) => piece.byteOffset)).size, pieces.length);
});

Deno.test("WeightPool has no more than its model takes, nor than pools have", () => {
  for (const [bytesMax, blocks] of [[18 * 10 + 17, 10], [2 ** 40, Math.floor(2 ** 22 / 18)]]) {
    const pool = new WeightPool("Q4_0", { deviation: 1, bytesMax }, new SeededRandom(2));
    const pieces = [...pool.pieces(18 * 1000)];
    for (const { buffer } of pieces) assertEquals(buffer.byteLength, 18 * blocks);
    assertEquals(pieces.reduce((sum, piece) => sum + piece.length, 0), 18 * 1000);
  }
});

Deno.test("WeightPool never deals the Q8_0 quant -128", () => {
  const bytes = new Uint8Array(34 * 10_000);
  const sizes = { deviation: 1, bytesMax: bytes.length };
  const pool = new WeightPool("Q8_0", sizes, new SeededRandom(3));
  pool.fill(bytes);
  const quants = bytes.filter((_, index) => index % 34 >= 2);
  assertEquals(quants.includes(0x80), false);
  assertEquals(quants.includes(0x81), true);
});
