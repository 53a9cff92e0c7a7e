import { assertEquals, assertStringIncludes } from "@std/assert";
import { COUNT_FIELDS, DISK_BYTES, DISK_READS } from "../../src/rank/plan/counts.ts";
import { NeuronReads } from "../../src/rank/stream/neuron_reads.ts";
import type { OwnUnit } from "../../src/rank/plan/own_units.ts";
import type { StreamPlan } from "../../src/rank/plan/stream_types.ts";
import { ALL_STEPS } from "../../src/rank/plan/plan_units.ts";
import { byteAt, type FakeDiskOptions } from "../support/fake_disk.ts";
import { World } from "../io/read_world.ts";

/** Parts behind one another, as in files. */
const PARTS = {
  gate: { offsetBytes: 0, sizeBytes: 700 },
  up: { offsetBytes: 700, sizeBytes: 700 },
  down: { offsetBytes: 1400, sizeBytes: 500 },
};
const BUNDLE_BYTES = 2048;
/** Neurons 3 and 0 are neighbours in the file. */
const UNIT = {
  bundles: { ...PARTS, bundleBytes: BUNDLE_BYTES, restOffsetBytes: 512 },
  ...{ offsetBytes: 8192, bundleOf: Uint32Array.of(2, 0, 5, 1) },
} as unknown as OwnUnit;

function readsIn(
  stream: Partial<StreamPlan>,
  disk?: FakeDiskOptions,
): { world: World; reads: NeuronReads; counts: Float64Array } {
  const world = new World({ disk });
  const counts = new Float64Array(COUNT_FIELDS);
  const plan = { hasResidentGates: false, steps: ALL_STEPS, ...stream } as StreamPlan;
  const reads = new NeuronReads({
    ...{ stream: plan, queue: world.queues[0], counts },
  });
  return { world, reads, counts };
}

const PARTS_BYTES = 1900;

/** A neuron's bundle, or its first bytes, without `skippedBytes` of them, is at an address. */
function assertBundle(
  world: World,
  neuron: number,
  address: number,
  { skippedBytes, endBytes = BUNDLE_BYTES }: { skippedBytes: number; endBytes?: number },
): void {
  const start = UNIT.offsetBytes + UNIT.bundleOf[neuron] * BUNDLE_BYTES + skippedBytes;
  const size = endBytes - skippedBytes;
  const expected = Uint8Array.from({ length: size }, (_, i) => byteAt(start + i));
  assertEquals(world.arena(0, 0).slice(address, address + size), expected);
}

for (const hasResidentGates of [false, true]) {
  const skipped = hasResidentGates ? 512 : 0;
  const what = hasResidentGates ? "all but gates" : "whole bundles";

  Deno.test(`NeuronReads brings ${what} with one read each, and neighbours with one`, () => {
    const { world, reads, counts } = readsIn({ hasResidentGates });
    const tickets = [3, 0, 2].map((neuron) => reads.ask(UNIT, neuron, 0, 4096 * (1 + neuron)));
    reads.flush();
    world.serveAll();
    assertEquals(tickets.map((ticket) => reads.wait(ticket)), ["", "", ""]);
    for (const neuron of [3, 0, 2]) {
      assertBundle(world, neuron, 4096 * (1 + neuron), { skippedBytes: skipped });
    }
    // With gates between them, neighbours' rests do not touch.
    const expected = hasResidentGates ? 3 : 2;
    assertEquals([counts[DISK_READS], world.disk.reads.length], [expected, expected]);
    assertEquals(counts[DISK_BYTES], 3 * (BUNDLE_BYTES - skipped));
  });

  Deno.test(`NeuronReads brings ${what} with a read for each matrix without bundles`, () => {
    const steps = { ...ALL_STEPS, bundles: false };
    const { world, reads, counts } = readsIn({ hasResidentGates, steps });
    const tickets = [3, 0].map((neuron) => reads.ask(UNIT, neuron, 0, 4096 * (1 + neuron)));
    world.serveAll();
    assertEquals(tickets.map((ticket) => reads.wait(ticket)), ["", ""]);
    // Parts alone: up begins behind the aligned place, and padding is not read.
    const skippedBytes = hasResidentGates ? PARTS.up.offsetBytes : 0;
    for (const neuron of [3, 0]) {
      const address = 4096 * (1 + neuron) + skippedBytes - skipped;
      assertBundle(world, neuron, address, { skippedBytes, endBytes: PARTS_BYTES });
    }
    const expected = hasResidentGates ? 4 : 6;
    assertEquals([counts[DISK_READS], world.disk.reads.length], [expected, expected]);
  });
}

Deno.test("NeuronReads.wait() says why any read of a neuron failed, and only of that neuron", () => {
  // The first read and its second try.
  const disk: FakeDiskOptions = { fault: (read) => read < 2 ? "refused" : "none" };
  const { world, reads } = readsIn({ steps: { ...ALL_STEPS, bundles: false } }, disk);
  const [broken, whole] = [3, 0].map((neuron) => reads.ask(UNIT, neuron, 0, 4096 * (1 + neuron)));
  world.serveAll();
  assertStringIncludes(reads.wait(broken), "EIO");
  assertEquals(reads.wait(whole), "");
  assertBundle(world, 0, 4096, { skippedBytes: 0, endBytes: PARTS_BYTES });
});
