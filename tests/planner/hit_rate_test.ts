import { assertAlmostEquals, assertEquals, assertGreater } from "@std/assert";
import { NeuronCache, PRESENT } from "../../src/cache/neuron_cache.ts";
import { firingRates, type RateBin } from "../../src/planner/firing_rates.ts";
import { hitRate, ratesOfBatch } from "../../src/planner/hit_rate.ts";
import { Rng } from "../support/rng.ts";
import { shapeInput } from "./shape_input.ts";

const UNITS = 4;
const NEURONS = 1500;

Deno.test("hitRate() is what exact LRU reaches on random firings, and the cache at least", () => {
  const { model, units } = shapeInput("bamboo-7b");
  const { bins } = firingRates(units, model.config, null);
  const share = (UNITS * NEURONS) / (units.length * 14336);
  const few = bins.map(({ rate, neurons }) => ({ rate, neurons: neurons * share }));
  for (const resident of [0.15, 0.35, 0.6]) {
    const slots = Math.floor(resident * UNITS * NEURONS);
    const seen = simulate(few, slots);
    const expected = hitRate(few, slots, 0);
    assertAlmostEquals(seen.lru, expected, 0.015, `${slots} slots`);
    // A step's grain costs nothing; where hardly a token is remembered, it is even better.
    assertGreater(seen.cache, seen.lru - 0.005);
    assertAlmostEquals(seen.cache, expected, resident < 0.3 ? 0.08 : 0.015, `${slots} slots`);
  }
});

Deno.test("hitRate() grows with slots, to 1 when all neurons have one", () => {
  const { model, units } = shapeInput("turbosparse-mixtral-47b");
  const { bins } = firingRates(units, model.config, null);
  const all = units.reduce((sum, { neurons }) => sum + neurons, 0);
  const rates = Array.from({ length: 20 }, (_, i) => hitRate(bins, all * (i + 1) / 20, 0));
  rates.slice(1).forEach((rate, i) => assertGreater(rate, rates[i] - 1e-9));
  assertAlmostEquals(rates[19], 1, 1e-3);
});

Deno.test("hitRate() of neurons that always fire is the hot share, or nothing", () => {
  const bins = [{ rate: 1, neurons: 1000 }];
  assertEquals(hitRate(bins, 600, 0), 0, "the least recently used is needed next");
  assertAlmostEquals(hitRate(bins, 600, 400), 0.4, 1e-9);
  assertEquals(hitRate(bins, 1000, 0), 1);
});

Deno.test("ratesOfBatch() says how often one of some sequences fires", () => {
  assertEquals(ratesOfBatch([{ rate: 0.5, neurons: 3 }], 2), [{ rate: 0.75, neurons: 3 }]);
});

/** Share of firings that find their neuron, in the cache and under LRU by every use. */
function simulate(bins: readonly RateBin[], slotCount: number): { cache: number; lru: number } {
  const rng = new Rng(7);
  const rates = bins.flatMap(({ rate, neurons }) => Array(Math.round(neurons)).fill(rate))
    .slice(0, UNITS * NEURONS).sort(() => rng.float() - 0.5) as number[];
  const unitNeurons = Array.from(
    { length: UNITS },
    (_, unit) => rates.slice(unit * NEURONS, (unit + 1) * NEURONS).length,
  );
  const cache = new NeuronCache({ slotCount, hotClusters: 0, unitNeurons });
  const lru = new Map<number, true>();
  const slots = new Uint32Array(NEURONS);
  let [found, foundByLru, firings] = [0, 0, 0];
  for (let token = 0; token < 600; token++) {
    cache.beginStep();
    for (let unit = 0; unit < UNITS; unit++) {
      const fired = [...Array(unitNeurons[unit]).keys()]
        .filter((neuron) => rng.float() < rates[unit * NEURONS + neuron]);
      const ids = Uint32Array.from(fired);
      const kept = cache.lookUp(unit, { ids, slots }, ids.length);
      for (let i = kept; i < ids.length; i++) {
        slots[i] = cache.claim(unit, ids[i]);
        cache.settle(slots[i], PRESENT);
      }
      cache.unpinAll(slots, ids.length);
      const isCounted = token >= 300;
      firings += isCounted ? ids.length : 0;
      found += isCounted ? kept : 0;
      for (const neuron of fired) {
        const key = unit * NEURONS + neuron;
        if (isCounted && lru.has(key)) foundByLru++;
        lru.delete(key);
        lru.set(key, true);
        if (lru.size > slotCount) lru.delete(lru.keys().next().value!);
      }
    }
  }
  return { cache: found / firings, lru: foundByLru / firings };
}
