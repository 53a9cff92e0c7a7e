import { assertAlmostEquals, assertEquals } from "@std/assert";
import { certaintyOf } from "../../src/engine/certainty.ts";

const P = [0.02, 0.6, 0.35, 0.02, 0.01, 0];
const SCORES = Float32Array.from(P, (p) => Math.log(p) + 7);

Deno.test("certaintyOf() tells how likely an id is, how few others are, how far the second is", () => {
  assertAlmostEquals(certaintyOf(SCORES, 2, "confidence"), Math.log(0.35), 1e-6);
  const entropy = P.reduce((sum, p) => p > 0 ? sum + p * Math.log(p) : sum, 0);
  assertAlmostEquals(certaintyOf(SCORES, 2, "entropy"), entropy, 1e-6);
  assertAlmostEquals(certaintyOf(SCORES, 2, "margin"), 0.25, 1e-6);
});

Deno.test("certaintyOf() is a number where all but one id are left out, and of large scores", () => {
  const lone = Float32Array.of(-Infinity, 900, -Infinity);
  assertEquals(certaintyOf(lone, 1, "confidence"), 0);
  assertEquals(certaintyOf(lone, 1, "entropy"), 0);
  assertEquals(certaintyOf(lone, 1, "margin"), 1);
});
