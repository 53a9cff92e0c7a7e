/**
 * Brings what is resident of a packed file's units into a rank's arenas: whole units, gates and
 * factors, and fills slots with the neurons that fire most often. The pipeline's own queue and
 * reader do the reading. Knows nothing of steps.
 */
import { CLUSTER_SLOTS, type NeuronCache, PRESENT } from "../../cache/mod.ts";
import { FAILED, PRIORITY_AHEAD, type Reads, SECTOR_BYTES_MAX } from "../../io/mod.ts";
import { ModelFormatError } from "../../base/errors.ts";
import { alignUp, check } from "../../base/check.ts";
import { type FirstNeurons, firstNeurons } from "./first_neurons.ts";
import { type Matrix, matrixOf } from "../bound/matrix.ts";
import { type OwnUnit, packedBlocks, streamedUnits } from "../plan/own_units.ts";
import type { DensePlan, RankPlan, StreamedPlan } from "../plan/plan_types.ts";
import type { StreamWorkspacePlan } from "../plan/stream_types.ts";
import type { UnitReader } from "./unit_reader.ts";

/** One arena's means. */
export interface ArenaLoad {
  readonly memory: WebAssembly.Memory;
  readonly reader: UnitReader;
  readonly cache: NeuronCache;
}

export interface LoadUnitsInput {
  readonly plan: RankPlan;
  readonly path: string;
  readonly units: ReadonlyMap<number, OwnUnit>;
  readonly queue: Reads;
  /** By arena. */
  readonly arenas: readonly ArenaLoad[];
  /** Told how many bytes were read since the last call. */
  readonly onProgress: (bytes: number) => void;
}

/** @throws {ModelFormatError} when the file cannot be read any more. */
export function loadUnits(input: LoadUnitsInput): void {
  const firstOf = input.arenas.map(({ cache }, arena) => firstOfArena(input, arena, cache));
  for (const { arena, block } of packedBlocks(input.plan)) {
    const own = input.units.get(block.unit!);
    if (own === undefined) continue;
    loadColumns(input, own, arena, block);
    if (block.kind === "dense") loadWhole(input, own, arena, block);
    else {
      const first = firstOf[arena].get(block.unit)!;
      loadStreamed(input, own, { arena, block, first });
    }
  }
}

/** The neurons that are brought into slots, by unit. */
function firstOfArena(
  { plan, units }: LoadUnitsInput,
  arena: number,
  { hotClusters, slotCount }: NeuronCache,
): ReadonlyMap<number, FirstNeurons> {
  return firstNeurons(streamedUnits(plan, units, arena), {
    hotClusters,
    coldSlots: slotCount - hotClusters * CLUSTER_SLOTS,
    clusterNeurons: CLUSTER_SLOTS,
  });
}

/** Which column of down each neuron has, where some have none here. */
function loadColumns(
  { arenas }: LoadUnitsInput,
  { columns }: OwnUnit,
  arena: number,
  block: DensePlan | StreamedPlan,
): void {
  const { columnsOffsetBytes } = block.kind === "dense" ? block : block.staged;
  if (columnsOffsetBytes === 0) return;
  new Uint32Array(arenas[arena].memory.buffer, columnsOffsetBytes, columns.length).set(columns);
}

function loadWhole(input: LoadUnitsInput, own: OwnUnit, arena: number, block: DensePlan): void {
  const { reader } = input.arenas[arena];
  const to = {
    gate: block.gate && matrixOf(block.gate),
    up: matrixOf(block.up),
    down: matrixOf(block.down),
  };
  reader.clear(own, to.down);
  const isRead = reader.read(own, (address, first, count) => {
    reader.spread(own, { address, first, count }, to);
    input.onProgress(count * own.bundles.bundleBytes);
  });
  if (!isRead) throw unreadable(input, reader.failure);
  const sizeBytes = own.columnCount / own.bundles.neurons * own.bundles.factorsSizeBytes;
  loadFactors(input, own, arena, { to: endOfColumns(to.down), sizeBytes });
}

function endOfColumns({ offsetBytes, columnCount, columnStrideBytes }: Matrix): number {
  return offsetBytes + columnCount * columnStrideBytes;
}

function loadStreamed(
  input: LoadUnitsInput,
  own: OwnUnit,
  { arena, block, first }: { arena: number; block: StreamedPlan; first: FirstNeurons },
): void {
  const { plan } = input;
  const { reader, cache, memory } = input.arenas[arena];
  const space = plan.workspaces[arena].stream!;
  const gate = block.gate && matrixOf(block.gate);
  const { factorsOffsetBytes: to, factorsSizeBytes: sizeBytes } = block;
  loadFactors(input, own, arena, { to, sizeBytes });
  const slots = takeSlots(own, block.unit, cache, first);
  const perStripe = Math.max(...first.neurons);
  const bytes = new Uint8Array(memory.buffer);
  const start = gate === null ? 0 : own.bundles.restOffsetBytes;
  const { bundleBytes } = own.bundles;
  const visit = (address: number, first: number, count: number) => {
    if (gate !== null) {
      reader.spread(own, { address, first, count }, { gate, up: null, down: null });
    }
    for (let i = 0; i < count; i++) {
      const slot = slots[first + i];
      if (slot < 0) continue;
      const from = address + i * bundleBytes;
      bytes.copyWithin(
        space.slots + slot * plan.stream!.slotBytes,
        from + start,
        from + bundleBytes,
      );
      settle(cache, slot);
    }
    input.onProgress(count * bundleBytes);
  };
  if (gate === null && perStripe === 0) return;
  if (reader.read(own, visit, gate === null ? perStripe : Infinity)) return;
  throw unreadable(input, reader.failure);
}

/** The slot of each own position that is loaded at once, else -1. */
function takeSlots(
  own: OwnUnit,
  unit: number,
  cache: NeuronCache,
  { hotClusters, neurons }: FirstNeurons,
): Int32Array {
  const slots = new Int32Array(own.count).fill(-1);
  const inStripe = own.count / own.stripes;
  const clustersInStripe = cache.units.clusterCount(unit) / own.stripes;
  for (let stripe = 0; stripe < own.stripes; stripe++) {
    const first = stripe * inStripe;
    let taken = 0;
    for (let c = 0; c < hotClusters[stripe]; c++) {
      const cluster = stripe * clustersInStripe + c;
      const frame = cache.claimCluster(unit, cluster);
      check(frame >= 0, "an empty cache has room for its hot clusters");
      const size = cache.units.clusterSize(unit, cluster);
      for (let i = 0; i < size; i++) slots[first + taken + i] = frame + i;
      taken += size;
    }
    for (; taken < neurons[stripe]; taken++) {
      slots[first + taken] = cache.claim(unit, own.order[first + taken]);
    }
  }
  return slots;
}

/** A frame is settled with the first of its slots, and stays so with the others. */
function settle(cache: NeuronCache, slot: number): void {
  if (cache.state(slot) === PRESENT) return;
  cache.settle(slot, PRESENT);
  cache.unpin(slot);
}

/** Whole sectors are read; factors begin somewhere in them. */
function loadFactors(
  input: LoadUnitsInput,
  own: OwnUnit,
  arena: number,
  { to, sizeBytes }: { to: number; sizeBytes: number },
): void {
  const { plan, queue } = input;
  const { memory } = input.arenas[arena];
  const { raw } = plan.workspaces[arena].stream as StreamWorkspacePlan;
  const bytes = new Uint8Array(memory.buffer);
  const most = plan.stream!.rawBytes - 2 * SECTOR_BYTES_MAX;
  for (let done = 0; done < sizeBytes; done += most) {
    const from = own.factorsOffsetBytes + done;
    const skipped = from % SECTOR_BYTES_MAX;
    const wanted = Math.min(most, sizeBytes - done);
    const whole = alignUp(skipped + wanted, SECTOR_BYTES_MAX);
    const ticket = queue.ask(PRIORITY_AHEAD, from - skipped, whole, arena, raw);
    if (queue.wait(ticket) === FAILED) throw unreadable(input, queue.failure(ticket));
    bytes.copyWithin(to + done, raw + skipped, raw + skipped + wanted);
    input.onProgress(wanted);
  }
}

function unreadable({ path }: LoadUnitsInput, why: string): ModelFormatError {
  return new ModelFormatError(why, { offsetBytes: 0, path });
}
