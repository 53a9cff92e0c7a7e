import { assertAlmostEquals, assertEquals } from "@std/assert";
import { negativeLogProbability } from "../../src/engine/log_probability.ts";

Deno.test("negativeLogProbability() is that of the softmax", () => {
  const logits = Float32Array.of(Math.log(1), Math.log(2), Math.log(5));
  assertAlmostEquals(negativeLogProbability(logits, 0), Math.log(8), 1e-6);
  assertAlmostEquals(negativeLogProbability(logits, 2), Math.log(8 / 5), 1e-6);
  assertEquals(negativeLogProbability(Float32Array.of(3), 0), 0);
});

Deno.test("negativeLogProbability() does not overflow, and keeps small differences", () => {
  const large = Float32Array.of(1e30, -1e30, 0);
  assertEquals(negativeLogProbability(large, 0), 0);
  assertEquals(negativeLogProbability(large, 1), 2 * Math.fround(1e30));
  const equal = new Float32Array(100_000).fill(-40_000);
  assertAlmostEquals(negativeLogProbability(equal, 7), Math.log(100_000), 1e-9);
});

Deno.test("negativeLogProbability() of a token that cannot be is infinite, of NaN is NaN", () => {
  assertEquals(negativeLogProbability(Float32Array.of(0, -Infinity), 1), Infinity);
  assertEquals(negativeLogProbability(Float32Array.of(0, NaN, 1), 0), NaN);
  assertEquals(negativeLogProbability(Float32Array.of(NaN, 2), 1), NaN);
});
