/**
 * What the cache of neurons takes of a token, beside nothing else: the look-ups, claims and pins of
 * a rank that streams, with neurons that fire as a packed model's statistics say. The bound is 5 %
 * of a token's time.
 *
 *   deno run -A tests/bench/cache_bookkeeping.ts MODEL.ganglion [--slots=0.22] [--token-ms=125]
 *     [--threads=2] [--named=1.19]
 */
import { openModelFile } from "../../src/bundle/mod.ts";
import { CLUSTER_SLOTS, NeuronCache, NO_SLOT, PRESENT } from "../../src/cache/mod.ts";
import { clustersByGain } from "../../src/rank/load/first_neurons.ts";
import type { OwnUnit } from "../../src/rank/plan/own_units.ts";
import { Rng } from "../support/rng.ts";

const HOT_SHARE = 0.95;
const TOKENS = 60;
const WARM_TOKENS = 20;

const [path, ...rest] = Deno.args;
const options = new Map(rest.map((arg) => arg.replace(/^--/, "").split("=") as [string, string]));
const number = (name: string, absent: number) => Number(options.get(name) ?? absent);
const threads = number("threads", 2);
const units = openModelFile(path).packed!.units;
const unitNeurons = units.map(({ neurons }) => neurons / threads);
const slotCount = Math.floor(
  number("slots", 0.22) * unitNeurons.reduce((sum, neurons) => sum + neurons, 0),
);
const hotClusters = Math.floor(HOT_SHARE * slotCount / CLUSTER_SLOTS);
const unitStripes = units.map(({ stripes }) => stripes / threads);
const cache = new NeuronCache({ slotCount, hotClusters, unitNeurons, unitStripes });
const most = Math.max(...unitNeurons);
const list = { ids: new Uint32Array(most), slots: new Uint32Array(most) };
const rng = new Rng(5);

const shares = new Map(units.map(({ rates, stripes }, unit) => {
  const share = { count: unitNeurons[unit], stripes: stripes / threads, rates };
  return [unit, share as unknown as OwnUnit];
}));
for (const { unit, cluster } of clustersByGain(shares, CLUSTER_SLOTS).slice(0, hotClusters)) {
  const frame = cache.claimCluster(unit, cluster);
  cache.settle(frame, PRESENT);
  cache.unpin(frame);
}

let [looked, missed, ms] = [0, 0, 0];
for (let token = 0; token < WARM_TOKENS + TOKENS; token++) {
  cache.beginStep();
  for (let unit = 0; unit < units.length; unit++) {
    const { rates } = units[unit];
    let count = 0;
    for (let neuron = 0; neuron < unitNeurons[unit]; neuron++) {
      const rate = rates === null ? 0.1 : rates[neuron];
      if (rng.float() < rate * number("named", 1.19)) list.ids[count++] = neuron;
    }
    const startMs = performance.now();
    const present = cache.lookUp(unit, list, count);
    for (let i = present; i < count; i++) {
      if (list.slots[i] === NO_SLOT) list.slots[i] = cache.claim(unit, list.ids[i]);
      cache.settle(list.slots[i], PRESENT);
    }
    cache.unpinAll(list.slots, count);
    if (token < WARM_TOKENS) continue;
    ms += performance.now() - startMs;
    looked += count;
    missed += count - present;
  }
}
const each = ms / TOKENS;
console.log(
  `${Math.round(looked / TOKENS)} neurons looked up a token and rank, ` +
    `${Math.round(missed / TOKENS)} missing: ${each.toFixed(2)} ms = ` +
    `${(100 * each / number("token-ms", 125)).toFixed(1)} % of a token`,
);
