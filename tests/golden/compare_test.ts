import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { firstCloseStep, kl, lastRow, maxAbs, nmse, top1 } from "../support/compare.ts";

const GOLDEN = Float32Array.of(Math.log(0.5), Math.log(0.25), Math.log(0.25), 0, 2, 1);
/** Two positions of three ids: the first has its best two exchanged. */
const OTHER = Float32Array.of(Math.log(0.25), Math.log(0.5), Math.log(0.25), 0, 2, 1);

Deno.test("nmse() is the squared error over the squared size", () => {
  assertEquals(nmse(Float32Array.of(3, 4), Float32Array.of(3, 4)), 0);
  assertEquals(nmse(Float32Array.of(3, 5), Float32Array.of(3, 4)), 1 / 25);
  assertEquals(nmse(Float32Array.of(3, NaN), Float32Array.of(3, 4)), NaN);
});

Deno.test("maxAbs() is the largest distance, NaN included", () => {
  assertEquals(maxAbs(Float32Array.of(1, -4, 2), Float32Array.of(1, -1, 3)), 3);
  assertEquals(maxAbs(Float32Array.of(NaN, 1), Float32Array.of(1, 1)), NaN);
});

Deno.test("kl() is the divergence per position, whatever is added to all logits", () => {
  // 0.5 ln(0.5 / 0.25) + 0.25 ln(0.25 / 0.5), and nothing at the second position
  const expected = 0.25 * Math.log(2);
  const { mean, max } = kl(OTHER.map((value) => value + 40), GOLDEN, 3);
  assertAlmostEquals(max, expected, 1e-5);
  assertAlmostEquals(mean, expected / 2, 1e-5);
});

Deno.test("top1() is the share of positions with the same best id", () => {
  assertEquals(top1(GOLDEN, GOLDEN, 3), 1);
  assertEquals(top1(OTHER, GOLDEN, 3), 0.5);
});

Deno.test("firstCloseStep() finds the first gap below twice the error", () => {
  assertEquals(firstCloseStep([0.5, 0.3, 0.1, 0.05], 0.06), 2);
  assertEquals(firstCloseStep([0.5, 0.3], 0.06), 2);
  assertEquals(firstCloseStep([0.01], 0.06), 0);
});

Deno.test("lastRow() is the last position", () => {
  assertEquals([...lastRow(GOLDEN, 3)], [0, 2, 1]);
});

Deno.test("comparisons refuse logits that do not match", () => {
  assertThrows(() => nmse(GOLDEN, GOLDEN.subarray(1)), Error, "6 logits");
  assertThrows(() => maxAbs(GOLDEN, GOLDEN.subarray(1)), Error, "6 logits");
  assertThrows(() => top1(GOLDEN, GOLDEN.subarray(3), 3), Error, "6 logits");
  assertThrows(() => kl(GOLDEN, GOLDEN, 4), Error, "no rows of 4");
});
