/** What is asked for ahead of a layer holds slots, and lets go of them. */
import { assert, assertEquals } from "@std/assert";
import { GATE_ONLY, NeuronCache, NO_SLOT, PRESENT } from "../../src/cache/mod.ts";
import { DONE, FAILED, NO_TICKET, type ReadQueue } from "../../src/io/mod.ts";
import { SharedText } from "../../src/memory/shared_text.ts";
import { BundleReads } from "../../src/rank/stream/bundle_reads.ts";
import { COUNT_FIELDS } from "../../src/rank/plan/counts.ts";
import type { Activations } from "../../src/rank/bound/matrix.ts";
import type { Streamed } from "../../src/rank/bound/bound_blocks.ts";
import type { Residual } from "../../src/rank/step/residual.ts";
import { StreamedBlock } from "../../src/rank/stream/streamed_block.ts";
import { NeuronReads } from "../../src/rank/stream/neuron_reads.ts";
import type { OwnUnit } from "../../src/rank/plan/own_units.ts";
import type { ListPlan, StreamPlan } from "../../src/rank/plan/stream_types.ts";
import type { StepState } from "../../src/rank/step/step_state.ts";

const SLOTS = 8;
const NEURONS = 16;
const BUNDLE_BYTES = 512;
const REST_BYTES = 192;

/** Two units on disk and a cache; reads are done at once, but for those of `failing` neurons. */
function world(
  failing: readonly number[] = [],
  { slotCount = SLOTS, readsGatesFirst = false, spareCount = 0 } = {},
) {
  const cache = new NeuronCache({
    slotCount,
    hotClusters: 0,
    unitNeurons: [NEURONS, NEURONS],
    unitStripes: [1, 1],
    unitOrders: [identity(), identity()],
  });
  const offsets: number[] = [];
  const queue = {
    merge: (_: number, offsetBytes: number) => offsets.push(offsetBytes) - 1,
    flush: () => {},
    wait: (ticket: number) =>
      failing.includes(Math.floor(offsets[ticket] / BUNDLE_BYTES) % NEURONS) ? FAILED : DONE,
    failure: () => "it cannot be read",
    before: (ticket: number) => ticket - 1,
  } as unknown as ReadQueue;
  const own = (unit: number) =>
    ({
      bundles: {
        bundleBytes: BUNDLE_BYTES,
        restOffsetBytes: readsGatesFirst ? REST_BYTES : 0,
        gate: { sizeBytes: REST_BYTES },
      },
      offsetBytes: unit * NEURONS * BUNDLE_BYTES,
      positions: identity(),
      bundleOf: identity(),
      order: identity(),
    }) as unknown as OwnUnit;
  const steps = { bundles: true, pipeline: true };
  const sizes = { slotBytes: BUNDLE_BYTES, hasResidentGates: false, readsGatesFirst };
  const stream = { ...sizes, steps } as StreamPlan;
  const space = {
    ...{ counts: 0, fired: 1024 },
    stream: {
      ...{ slots: 4096, neuronCount: NEURONS, columnCount: NEURONS, spareFirst: SLOTS, spareCount },
      ...{ lanes: [listAt(2048)], fired: listAt(2560), places: 3072 },
    },
  };
  const state = { arena: 0, plan: { stream, workspaces: [space] }, space } as unknown as StepState;
  const counts = new Float64Array(COUNT_FIELDS);
  const neurons = new NeuronReads({ stream, queue, counts });
  const streams = [{ cache, units: new Map([[0, own(0)], [1, own(1)]]) }];
  const failure = new SharedText();
  const reads = new BundleReads(state, { reads: neurons, streams, counts, failure });
  return { cache, offsets, failure, reads, block: { state, reads: neurons, streams, failure } };
}

function listAt(at: number): ListPlan {
  return { ids: at, values: at + 4 * NEURONS, slots: at + 8 * NEURONS };
}

function identity(): Uint32Array {
  return Uint32Array.from({ length: NEURONS }, (_, i) => i);
}

/** How many neurons of unit 1, from `first` on, find a slot. */
function claimAll(cache: NeuronCache, first = 0): number {
  let count = 0;
  while (first + count < NEURONS && cache.claim(1, first + count) >= 0) count++;
  return count;
}

Deno.test("askAhead() asks for what has no slot, until all are held", () => {
  const { cache, offsets, reads } = world();
  cache.settle(cache.claim(0, 3), PRESENT);
  reads.askAhead(4, 0, Uint32Array.of(3, 5, 1), 3);
  assertEquals(offsets, [BUNDLE_BYTES, 5 * BUNDLE_BYTES], "in the order of the file");
  reads.askAhead(4, 1, identity(), NEURONS);
  assertEquals(offsets.length, SLOTS - 1, "the second unit gets what is left");
});

Deno.test("yieldAhead() gives wrong guesses' slots to neurons that find none", () => {
  const { cache, reads } = world();
  reads.askAhead(4, 0, identity(), 6);
  assertEquals(claimAll(cache), SLOTS - 6);
  reads.yieldAhead();
  assertEquals(cache.state(cache.find(0, 0)), PRESENT, "it stays until somebody needs the room");
  assert(cache.claim(1, 9) >= 0);
  reads.settleAhead(4); // lets go of nothing twice
});

Deno.test("StreamedBlock.begin() has guesses yield where no slot and no spare one is left", () => {
  const spareCount = 2, needed = 6;
  const { cache, block: { state, ...by } } = world([], { spareCount });
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const words = (at: number) => new Uint32Array(memory.buffer, at, NEURONS);
  const block = new StreamedBlock(state, {
    ...{ ...by, memories: [memory], residual: {} as Residual },
  });
  words(state.plan.workspaces[0].fired).set(identity());
  block.readAhead(5, 1, SLOTS); // all of them wrong
  assertEquals(claimAll(cache, SLOTS), 0);
  const lane = listAt(2048);
  words(lane.ids).set(identity());
  block.begin({ unit: 0 } as Streamed, {} as Activations, 0, needed);
  const slots = [...words(lane.slots).subarray(0, needed)];
  assertEquals(new Set(slots).size, needed);
  assertEquals(slots.filter((slot) => slot >= SLOTS).length, spareCount);
  // Who needs a neuron holds its slot; others are free again.
  assertEquals(claimAll(cache, SLOTS), SLOTS - (needed - spareCount));
});

Deno.test("yieldAhead() holds what could not be read until the layer has been waited for", () => {
  const { cache, reads } = world([2]);
  reads.askAhead(4, 0, identity(), SLOTS);
  const slot = cache.find(0, 2);
  reads.yieldAhead();
  assertEquals(claimAll(cache), SLOTS - 1);
  assertEquals(cache.find(0, 2), slot);
  reads.settleAhead(4);
  assertEquals(cache.find(0, 2), -1);
});

Deno.test("settleAhead() lets go of what a layer did not need, and of an aborted step's", () => {
  const { cache, reads } = world();
  reads.askAhead(4, 0, identity(), SLOTS);
  reads.settleAhead(5);
  assertEquals(cache.claim(1, 0), -1, "another layer's are kept");
  reads.askAhead(6, 1, identity(), 2); // the step that was to compute layer 4 has been aborted
  assert(cache.find(1, 1) >= 0);
  reads.settleAhead(6);
  assertEquals(claimAll(cache, 8), SLOTS);
});

Deno.test("lacks() is false once all neurons of a unit have slots, read or not", () => {
  const { cache, reads } = world([], { slotCount: NEURONS });
  for (let neuron = 0; neuron < NEURONS; neuron++) {
    assert(reads.lacks(0));
    cache.claim(0, neuron);
  }
  assert(!reads.lacks(0));
  assert(reads.lacks(1));
  cache.drop(cache.slotsOf(0)[7]);
  assert(reads.lacks(0));
});

Deno.test("arrive() settles what came, and says what did not and takes its slot", () => {
  const { cache, failure, reads } = world([1]);
  const slots = Uint32Array.of(cache.claim(0, 0), cache.claim(0, 1), SLOTS);
  const tickets = Int32Array.from([0, 1, 2], (neuron) => reads.ask(0, neuron, slots[neuron]));
  const [first] = slots;
  reads.arrive({ slots, tickets }, 0, 3, PRESENT);
  assertEquals([...slots], [first, NO_SLOT, SLOTS], "a spare slot is nobody's");
  assertEquals(cache.state(first), PRESENT);
  assertEquals(cache.slotsOf(0)[1], -1);
  assertEquals(failure.take(), "it cannot be read");
});

Deno.test("a gate that was read first is no read again, the rest is one", () => {
  const { cache, offsets, reads } = world([], { readsGatesFirst: true });
  const slot = cache.claim(0, 3);
  const slots = Uint32Array.of(slot);
  reads.arrive({ slots, tickets: Int32Array.of(reads.ask(0, 3, slot)) }, 0, 1, GATE_ONLY);
  assertEquals(cache.state(slot), GATE_ONLY);
  assertEquals(reads.ticketOf(slot), NO_TICKET);
  reads.arrive({ slots, tickets: Int32Array.of(NO_TICKET) }, 0, 1, PRESENT);
  assertEquals(cache.state(slot), GATE_ONLY, "nothing was under way");
  reads.arrive({ slots, tickets: Int32Array.of(reads.askRest(0, 3, slot)) }, 0, 1, PRESENT);
  assertEquals(cache.state(slot), PRESENT);
  assertEquals(offsets, [3 * BUNDLE_BYTES, 3 * BUNDLE_BYTES + REST_BYTES]);
});
