import { assertAlmostEquals, assertEquals } from "@std/assert";
import { AdamW } from "../../src/train/adamw.ts";

function parameters(...weights: number[]) {
  const length = weights.length;
  return {
    weights: Float32Array.from(weights),
    mean: new Float32Array(length),
    square: new Float32Array(length),
  };
}

Deno.test("AdamW's first steps are those of the algorithm, by hand", () => {
  const optimizer = new AdamW(0.1);
  const all = parameters(5, 1, 1);
  const rate = 0.01;
  optimizer.beginStep();
  optimizer.update(all, { first: 1, gradient: Float32Array.of(2, -0.5), rate });
  // The first step is the rate itself, against the gradient's sign.
  assertEquals(all.weights[0], 5);
  assertAlmostEquals(all.weights[1], 1 - 0.01 * 0.1 - 0.01, 1e-6);
  assertAlmostEquals(all.weights[2], 1 - 0.01 * 0.1 + 0.01, 1e-6);
  optimizer.beginStep();
  optimizer.update(all, { first: 1, gradient: Float32Array.of(1, 0), rate });
  const mean = (0.9 * 0.2 + 0.1 * 1) / (1 - 0.9 ** 2);
  const square = (0.999 * 0.004 + 0.001 * 1) / (1 - 0.999 ** 2);
  const before = 1 - 0.011;
  assertAlmostEquals(all.weights[1], before * 0.999 - 0.01 * mean / Math.sqrt(square), 1e-6);
});

Deno.test("AdamW's means of nothing become zero, not subnormal", () => {
  const optimizer = new AdamW(0);
  const all = parameters(1);
  for (let step = 0; step < 900; step++) {
    optimizer.beginStep();
    const gradient = Float32Array.of(step === 0 ? 1e-3 : 0);
    optimizer.update(all, { first: 0, gradient, rate: 0.001 });
  }
  assertEquals(all.mean[0], 0);
});
