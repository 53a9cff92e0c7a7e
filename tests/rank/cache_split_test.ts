/** The border in an arena's slots follows the number of sequences, and no slot lies. */
import { assert, assertEquals, assertLess } from "@std/assert";
import { CLUSTER_SLOTS, NeuronCache, PRESENT } from "../../src/cache/mod.ts";
import { CacheSplit } from "../../src/rank/stream/cache_split.ts";
import type { NeuronReads } from "../../src/rank/stream/neuron_reads.ts";
import type { OwnUnit } from "../../src/rank/plan/own_units.ts";
import { Rng } from "../support/rng.ts";

const UNITS = 3;
const NEURONS = 64;
const SLOTS = 80;
const SLOT_BYTES = 8;
/** Where slots begin. */
const SLOTS_AT = 24;

/** A cache whose slots hold the name of their neuron, and a disk that writes it there. */
function world(rng: Rng, goals: readonly number[], isFailing = () => false) {
  const orders = Array.from({ length: UNITS }, () => shuffled(rng));
  const cache = new NeuronCache({
    slotCount: SLOTS,
    hotClusters: goals[0],
    unitNeurons: orders.map(({ length }) => length),
    unitStripes: orders.map(() => 2),
    unitOrders: orders,
  });
  const units = new Map(orders.map((order, unit) => [unit, ownUnit(order, unit)]));
  const bytes = new Uint8Array(SLOTS_AT + SLOTS * SLOT_BYTES);
  const ask = (own: OwnUnit, neuron: number, _: number, address: number) => {
    if (isFailing()) return 1;
    bytes.fill(nameOf(own.offsetBytes, neuron), address, address + SLOT_BYTES);
    return 0;
  };
  const wait = (ticket: number) => ticket === 0 ? "" : "it cannot be read";
  const reads = { ask, wait, flush: () => {} } as unknown as NeuronReads;
  const slots = { bytes, at: SLOTS_AT, slotBytes: SLOT_BYTES };
  const split = new CacheSplit({ cache, goals, units, reads, arena: 0, slots });
  const bring = (unit: number, neuron: number) => {
    const slot = cache.claim(unit, neuron);
    if (slot < 0) return;
    ask(units.get(unit)!, neuron, 0, SLOTS_AT + slot * SLOT_BYTES);
    cache.settle(slot, PRESENT);
    cache.unpin(slot);
  };
  return { cache, split, bytes, bring };
}

function shuffled(rng: Rng): Uint32Array {
  const order = Uint32Array.from({ length: NEURONS }, (_, i) => i);
  for (let i = NEURONS - 1; i > 0; i--) {
    const j = rng.int(i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** offsetBytes stands for the unit's number; neurons of a stripe fire less and less. */
function ownUnit(order: Uint32Array, unit: number): OwnUnit {
  const rates = Float32Array.from({ length: NEURONS }, (_, i) => 1 / (1 + i % 32 + unit));
  return { order, offsetBytes: unit, count: NEURONS, stripes: 2, rates } as unknown as OwnUnit;
}

function nameOf(unit: number, neuron: number): number {
  return 1 + unit * NEURONS + neuron;
}

/** Neurons that have slots, each of which was looked at: its bytes are the neuron's. */
function assertNoSlotLies(cache: NeuronCache, bytes: Uint8Array): number {
  let found = 0;
  for (let unit = 0; unit < UNITS; unit++) {
    cache.slotsOf(unit).forEach((slot, neuron) => {
      if (slot < 0) return;
      found++;
      assertEquals(cache.state(slot), PRESENT);
      const at = SLOTS_AT + slot * SLOT_BYTES;
      for (const byte of bytes.subarray(at, at + SLOT_BYTES)) {
        assertEquals(byte, nameOf(unit, neuron), `neuron ${neuron} of unit ${unit}`);
      }
    });
  }
  return found;
}

Deno.test("CacheSplit goes where the border is to be for so many sequences, and no slot lies", () => {
  for (let seed = 0; seed < 20; seed++) {
    const rng = new Rng(seed);
    const goals = [rng.int(9), rng.int(9), rng.int(9)];
    const { cache, split, bytes, bring } = world(rng, goals);
    for (let step = 0; step < 60; step++) {
      cache.beginStep();
      const sequences = 1 + rng.int(5);
      const goal = goals[Math.min(sequences, goals.length) - 1];
      split.follow(sequences);
      assertEquals(cache.hotClusters, goal, "8 frames are a step's way");
      for (let i = 0; i < 6; i++) {
        const [unit, neuron] = [rng.int(UNITS), rng.int(NEURONS)];
        if (cache.find(unit, neuron) < 0) bring(unit, neuron);
      }
      assertNoSlotLies(cache, bytes);
    }
  }
});

Deno.test("CacheSplit fills frames that it wins with the most frequent clusters that have none", () => {
  const { cache, split, bytes } = world(new Rng(3), [0, 4]);
  split.follow(2);
  assertEquals(assertNoSlotLies(cache, bytes), 4 * CLUSTER_SLOTS);
  // Two stripes of the unit whose neurons fire most, then two of the next one.
  const hot = [[0, 0], [0, 4], [1, 0], [1, 4]];
  for (const [unit, cluster] of hot) assert(cache.findCluster(unit, cluster) >= 0, `${unit}`);
  split.follow(1);
  assertEquals([cache.hotClusters, assertNoSlotLies(cache, bytes)], [0, 0]);
});

Deno.test("CacheSplit moves no border past a slot that is held, and goes on later", () => {
  const { cache, split } = world(new Rng(4), [2, 6]);
  cache.beginStep();
  // Slots of the cold region in their order: the first ones lie at the border.
  const slot = cache.claim(0, 0);
  cache.settle(slot, PRESENT);
  split.follow(2);
  assertLess(cache.hotClusters, 6);
  cache.unpin(slot);
  split.follow(2);
  assertEquals(cache.hotClusters, 6);
});

Deno.test("CacheSplit gives up clusters that cannot be read, and nobody finds them", () => {
  const { cache, split, bytes } = world(new Rng(5), [0, 4], () => true);
  split.follow(2);
  assertEquals([cache.hotClusters, assertNoSlotLies(cache, bytes)], [4, 0]);
});
