import { assertAlmostEquals, assertEquals } from "@std/assert";
import { type FiringRates, firingRates } from "../../src/planner/firing_rates.ts";
import { emptyStats } from "../../src/stats/mod.ts";
import { shapeInput } from "./shape_input.ts";

/** Share of the neurons, the most frequent ones, that make 80 % of the firings. */
function hotShare({ bins, perToken }: FiringRates): number {
  const all = bins.reduce((sum, { neurons }) => sum + neurons, 0);
  let [firings, neurons] = [0, 0];
  for (const bin of bins) {
    if (firings >= 0.8 * perToken) break;
    firings += bin.rate * bin.neurons;
    neurons += bin.neurons;
  }
  return neurons / all;
}

Deno.test("firingRates() assumes that a tenth of the neurons fires, a quarter of them mostly", () => {
  const { units, model } = shapeInput("bamboo-7b");
  const rates = firingRates(units, model.config, null);
  assertEquals(rates.source, "assumed");
  assertAlmostEquals(rates.perToken / (32 * 14336), 0.1, 1e-3);
  assertAlmostEquals(hotShare(rates), 0.27, 0.03);
});

Deno.test("firingRates() counts an expert's neurons for the tokens that use it", () => {
  const { units, model } = shapeInput("turbosparse-mixtral-47b");
  const rates = firingRates(units, model.config, null);
  assertAlmostEquals(rates.perToken / (32 * 2 * 14336), 0.1, 1e-3);
});

Deno.test("firingRates() believes the units, and statistics before them", () => {
  const { units, model } = shapeInput("smallthinker-4b");
  const rated = units.map((unit) => ({
    ...unit,
    rates: new Float32Array(unit.neurons).fill(0.25),
  }));
  const own = firingRates(rated, model.config, null);
  assertEquals(own.source, "counted");
  assertAlmostEquals(own.perToken, 0.25 * 32 * 32 * 768, 1);
  const stats = emptyStats({
    architecture: "smallthinker",
    modelFingerprint: "",
    layerCount: 32,
    neuronCount: 32 * 768,
    activation: "relu",
    textHash: "",
    windowTokens: 1,
    groupCount: 1,
    sparsity: null,
  });
  stats.units["1"] = 8;
  stats.counts["1"].fill(1, 0, 768); // the first expert of the first layer
  const counted = firingRates(rated, model.config, stats);
  assertAlmostEquals(counted.perToken, 768 / 8, 1e-6);
  assertEquals(counted.bins.length, 2);
  assertEquals(counted.bins[1], { rate: 0, neurons: 32 * 32 * 768 - 768 });
});

Deno.test("firingRates() of neurons that are never silent are those of their experts", () => {
  const { units, model } = shapeInput("smallthinker-4b");
  const feedForward = { ...model.config.feedForward, activation: "silu" as const };
  const rates = firingRates(units, { ...model.config, feedForward }, null);
  assertEquals(rates.source, "all");
  assertEquals(rates.bins, [{ rate: 4 / 32, neurons: 32 * 32 * 768 }]);
});
