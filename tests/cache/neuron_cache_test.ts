import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  ABSENT,
  CLUSTER_SLOTS,
  GATE_ONLY,
  LOADING,
  NeuronCache,
  NO_SLOT,
  PRESENT,
} from "../../src/cache/neuron_cache.ts";
import { Rng } from "../support/rng.ts";
import { SlowCache } from "./slow_cache.ts";

/** Units of 40, 200 (two stripes of 100, with small clusters at their ends) and 96 neurons. */
const UNIT_NEURONS = [40, 200, 96];
const UNIT_STRIPES = [1, 2, 1];

for (
  const { slots, hot, seed } of [
    { slots: 24, hot: 0, seed: 1 },
    { slots: 150, hot: 8, seed: 2 },
    { slots: 200, hot: 16, seed: 3 },
    { slots: 270, hot: 24, seed: 4 },
  ]
) {
  Deno.test(`NeuronCache does what the slow cache allows, ${slots} slots, seed ${seed}`, () => {
    const rng = new Rng(seed);
    const slow = makeSlow(slots, hot, rng);
    for (let i = 0; i < 3000; i++) {
      const what = doSomething(slow, rng);
      try {
        slow.verify();
      } catch (cause) {
        throw new Error(`after operation ${i}, ${what}`, { cause });
      }
    }
    assert(slow.cache.counters.evictions > 100, "the trace made victims");
    if (hot > 0) assert(slow.moved > 50, "the border moved, and neurons out of its way");
  });
}

Deno.test("claim() gives a loading, pinned slot, and -1 once all are held", () => {
  const cache = new NeuronCache({ slotCount: 2, hotClusters: 0, unitNeurons: [8] });
  const first = cache.claim(0, 3);
  assertEquals(cache.state(first), LOADING);
  cache.unpin(first);
  assertEquals(cache.claim(0, 4) >= 0, true);
  assertEquals(cache.claim(0, 5), -1, "one is being read, one is pinned");
  cache.settle(first, PRESENT);
  assertEquals(cache.claim(0, 5), first);
  assertEquals(cache.find(0, 3), -1);
  assertThrows(() => cache.claim(0, 5), Error, "has no slot");
});

Deno.test("drop() empties a slot at once and frees it when nobody pins it", () => {
  const cache = new NeuronCache({ slotCount: 1, hotClusters: 0, unitNeurons: [8] });
  const slot = cache.claim(0, 3);
  cache.pin(slot);
  cache.drop(slot);
  assertEquals(cache.state(slot), ABSENT);
  assertEquals(cache.find(0, 3), -1);
  assertEquals(cache.claim(0, 4), -1, "somebody still holds the room");
  cache.unpin(slot);
  assertEquals(cache.claim(0, 4), slot);
});

Deno.test("lookUp() refuses neurons that the unit has not, and works without values", () => {
  const cache = new NeuronCache({ slotCount: 4, hotClusters: 0, unitNeurons: [8, 8] });
  cache.settle(cache.claim(0, 5), GATE_ONLY);
  const ids = Uint32Array.of(2, 5);
  const slots = new Uint32Array(2);
  assertEquals(cache.lookUp(0, { ids, slots }, 2, GATE_ONLY), 1);
  assertEquals([...ids], [5, 2]);
  assertEquals([...slots], [0, NO_SLOT]);
  cache.unpinAll(slots, 2);
  assertEquals(cache.lookUp(0, { ids, slots }, 2), 0, "a gate alone is not all");
  assertThrows(() => cache.lookUp(0, { ids: Uint32Array.of(8), slots }, 1), RangeError);
});

Deno.test("resize() gives up the least recently used neurons, wherever they are", () => {
  const moves = new Int32Array(2 * CLUSTER_SLOTS);
  const all = 2 * CLUSTER_SLOTS;
  for (const newestFirst of [false, true]) {
    const cache = new NeuronCache({ slotCount: all, hotClusters: 0, unitNeurons: [all] });
    for (let neuron = 0; neuron < all; neuron++) {
      const slot = cache.claim(0, neuron);
      cache.settle(slot, PRESENT);
      cache.unpin(slot);
    }
    for (let i = 0; i < all; i++) {
      cache.beginStep();
      cache.find(0, newestFirst ? all - 1 - i : i);
    }
    // The first frame's slots have the first neurons.
    assertEquals(cache.resize(2, moves), newestFirst ? CLUSTER_SLOTS : 0);
    assertEquals(cache.hotClusters, 1);
    assertEquals(cache.slotsOf(0).filter((slot) => slot >= 0).length, CLUSTER_SLOTS);
    assertEquals(cache.slotsOf(0).findIndex((slot) => slot >= 0), newestFirst ? 0 : CLUSTER_SLOTS);
  }
});

Deno.test("NeuronCache refuses an order that is no permutation", () => {
  const unitOrders = [Uint32Array.of(0, 1, 1)];
  const options = { slotCount: 4, hotClusters: 0, unitNeurons: [3], unitOrders };
  assertThrows(() => new NeuronCache(options), Error, "no permutation");
});

Deno.test("NeuronCache keeps no order among uses longer ago than it has buckets", () => {
  const cache = new NeuronCache({ slotCount: 3, hotClusters: 0, unitNeurons: [9] });
  for (const neuron of [0, 1, 2]) {
    const slot = cache.claim(0, neuron);
    cache.settle(slot, PRESENT);
    cache.unpin(slot);
    for (let i = 0; i < 700; i++) cache.beginStep();
  }
  const use = (neuron: number) => {
    const slot = cache.claim(0, neuron);
    cache.settle(slot, PRESENT);
    cache.unpin(slot);
  };
  use(3);
  use(4);
  assertEquals([cache.slotsOf(0)[0], cache.slotsOf(0)[1]], [-1, -1]);
  assert(cache.slotsOf(0)[2] >= 0, "the third was used within the last 1024 steps");
});

function makeSlow(slotCount: number, hotClusters: number, rng: Rng): SlowCache {
  const unitOrders = UNIT_NEURONS.map((neurons, unit) => {
    const order = Uint32Array.from({ length: neurons }, (_, i) => i);
    const inStripe = neurons / UNIT_STRIPES[unit];
    for (let i = 0; i < neurons; i++) {
      const first = Math.floor(i / inStripe) * inStripe;
      const j = first + rng.int(inStripe);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  });
  const cache = new NeuronCache({
    slotCount,
    hotClusters,
    unitNeurons: UNIT_NEURONS,
    unitStripes: UNIT_STRIPES,
    unitOrders,
  });
  return new SlowCache(cache, UNIT_NEURONS, (unit, cluster) => {
    const inStripe = UNIT_NEURONS[unit] / UNIT_STRIPES[unit];
    const perStripe = Math.ceil(inStripe / CLUSTER_SLOTS);
    const stripe = Math.floor(cluster / perStripe);
    const first = stripe * inStripe + (cluster % perStripe) * CLUSTER_SLOTS;
    return [
      ...unitOrders[unit].slice(first, Math.min(first + CLUSTER_SLOTS, (stripe + 1) * inStripe)),
    ];
  });
}

/** One random operation. @returns what it was */
function doSomething(slow: SlowCache, rng: Rng): string {
  const unit = rng.int(UNIT_NEURONS.length);
  const neuron = rng.int(UNIT_NEURONS[unit]);
  const held = slow.frames.filter((frame) => frame.pins > 0 && frame.state !== ABSENT);
  const used = slow.frames.filter((frame) => frame.state !== ABSENT);
  const pinned = slow.frames.filter((frame) => frame.pins > 0);
  const pick = <T>(from: readonly T[], act: (one: T) => void) => {
    if (from.length > 0) act(from[rng.int(from.length)]);
  };
  const dice = rng.int(100);
  if (dice < 8) return slow.beginStep(), "beginStep";
  if (dice < 12) return slow.find(unit, neuron), "find";
  if (dice < 20) {
    const neurons = [...Array(UNIT_NEURONS[unit]).keys()].filter(() => rng.int(8) === 0);
    return slow.lookUp(unit, neurons, rng.int(2) ? PRESENT : GATE_ONLY), "lookUp";
  }
  if (dice < 45) {
    for (let each = neuron; each < Math.min(neuron + 4, UNIT_NEURONS[unit]); each++) {
      if (slow.slotOf(unit, each) < 0) slow.claim(unit, each);
    }
    return "claims";
  }
  if (dice < 50) {
    const cluster = rng.int(slow.cache.units.clusterCount(unit));
    if (slow.cache.findCluster(unit, cluster) < 0) slow.claimCluster(unit, cluster);
    return "claimCluster";
  }
  if (dice < 68) {
    return pick(used, (frame) => slow.settle(frame, rng.int(3) ? PRESENT : GATE_ONLY)), "settle";
  }
  if (dice < 70) return pick(used, (frame) => slow.pin(frame)), "pin";
  if (dice < 92) {
    for (let i = 0; i < 8; i++) {
      pick(pinned.filter((frame) => frame.pins > 0), (frame) => slow.unpin(frame));
    }
    return "unpin";
  }
  if (dice < 95) return pick(held, (frame) => slow.drop(frame)), "drop";
  const most = Math.floor(slow.cache.slotCount / CLUSTER_SLOTS);
  // Where slots at the border are held, and they nearly always are, the border stays.
  if (rng.int(2)) slow.release();
  return slow.resize(rng.int(most + 1)), "resize";
}
