import { assert, assertAlmostEquals, assertThrows } from "@std/assert";
import { SeededRandom } from "../../src/synth/seeded_random.ts";
import { firingThresholds, normalQuantile } from "../../src/synth/sparsity.ts";

Deno.test("normalQuantile() knows the table of the normal distribution", () => {
  const table: [p: number, x: number][] = [
    [0.5, 0],
    [0.841345, 1],
    [0.975, 1.959964],
    [0.025, -1.959964],
    [0.999, 3.090232],
  ];
  for (const [p, x] of table) assertAlmostEquals(normalQuantile(p), x, 6e-4);
});

/** How often each of 20,000 drawn neurons fires, out of 200 normal gates. */
function firingRates(sparsity: number): number[] {
  const random = new SeededRandom(5);
  const thresholds = firingThresholds(sparsity);
  return Array.from({ length: 20_000 }, () => {
    const threshold = thresholds.next(random);
    let fired = 0;
    for (let i = 0; i < 200; i++) if (random.normal() > threshold) fired++;
    return fired / 200;
  });
}

Deno.test("firingThresholds() keeps the wanted share of neurons silent", () => {
  for (const sparsity of [0.5, 0.9, 0.97]) {
    const rates = firingRates(sparsity);
    const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
    assertAlmostEquals(mean, 1 - sparsity, 0.1 * (1 - sparsity));
  }
});

Deno.test("firingThresholds() makes a few neurons hot: a quarter gives most firings", () => {
  const rates = firingRates(0.9).sort((a, b) => b - a);
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
  const share = sum(rates.slice(0, rates.length * 0.26)) / sum(rates);
  assert(share > 0.7 && share < 0.85, `${share}`);
});

Deno.test("firingThresholds() refuses a sparsity that no model has as a bug", () => {
  for (const sparsity of [0, 1, -1, NaN]) {
    assertThrows(() => firingThresholds(sparsity), Error, "a sparsity of");
  }
});
