/**
 * THE CLUSTER PIPELINE (papers.md 1.7): a feed-forward block whose neurons are on disk, but for
 * those that slots hold. One token goes through it in two halves, so that the experts of a layer
 * are asked for at once:
 *
 *   begin    which neurons fire, or may: by all gates where these are resident, or by a predictor;
 *            those without a slot get one, and are asked for
 *   finish   those that were present are computed at once, the others cluster by cluster as they
 *            arrive, each from gate to product; then down of all together, whose integer sums are
 *            those of the model in memory
 *
 * No neuron waits for others of its matrix. A bundle that cannot be read counts as silent: the step
 * goes on, its answer is void, and the leader says so. Knows nothing of files or experts.
 */
import { type NeuronCache, NO_SLOT, PRESENT } from "../cache/mod.ts";
import { FAILED, PRIORITY_UP_DOWN, type ReadQueue } from "../io/mod.ts";
import type { SharedText } from "../memory/shared_text.ts";
import { floats } from "./arena_views.ts";
import {
  CACHE_HITS,
  CACHE_MISSES,
  countsView,
  DISK_BYTES,
  DISK_WAIT_MS,
  SKIPPED_BYTES,
  SKIPPED_NEURONS,
} from "./counts.ts";
import type { Streamed } from "./layer.ts";
import { activateListed, multiplyListed } from "./listed.ts";
import { type Activations, project } from "./matrix.ts";
import type { OwnUnit } from "./own_units.ts";
import type { LanePlan } from "./plan_types.ts";
import type { Residual } from "./residual.ts";
import type { StepState } from "./step_state.ts";

/** Bundles that are waited for before they are computed together. */
const CLUSTER_BUNDLES = 32;

/** What an arena streams with. */
export interface ArenaStream {
  readonly cache: NeuronCache;
  /** By number of the unit. */
  readonly units: ReadonlyMap<number, OwnUnit>;
}

/** A lane as JavaScript sees it: one block's neurons between `begin` and `finish`. */
interface Lane {
  readonly at: LanePlan;
  readonly ids: Uint32Array;
  readonly values: Float32Array;
  readonly slots: Uint32Array;
  /** Of reads, by place in the list. */
  readonly tickets: Int32Array;
  /** Neurons of the list, and how many of them were present, in front. */
  count: number;
  present: number;
}

export class StreamedBlock {
  readonly #state: StepState;
  readonly #residual: Residual;
  readonly #queue: ReadQueue;
  /** Where the leader finds why a step is void. */
  readonly #failure: SharedText;
  readonly #streams: readonly ArenaStream[];
  /** [arena][lane]. */
  readonly #lanes: readonly (readonly Lane[])[];
  /** [arena]: where columns of down are, or the slots of neurons, u32 [own neurons]. */
  readonly #places: readonly Uint32Array[];
  readonly #counts: Float64Array;

  constructor(
    state: StepState,
    by: {
      residual: Residual;
      memories: readonly WebAssembly.Memory[];
      queue: ReadQueue;
      streams: readonly ArenaStream[];
      failure: SharedText;
    },
  ) {
    const { plan } = state;
    this.#state = state;
    this.#residual = by.residual;
    this.#queue = by.queue;
    this.#streams = by.streams;
    this.#failure = by.failure;
    this.#counts = countsView(plan, by.memories[0]);
    const most = Math.max(
      1,
      ...by.streams.flatMap(({ units }) => [...units.values()].map(({ count }) => count)),
    );
    const words = (memory: WebAssembly.Memory, at: number) =>
      new Uint32Array(memory.buffer, at, most);
    this.#lanes = by.memories.map((memory, arena) =>
      plan.workspaces[arena].stream!.lanes.map((at) => ({
        at,
        ids: words(memory, at.ids),
        values: floats(memory, at.values, most),
        slots: words(memory, at.slots),
        tickets: new Int32Array(most),
        count: 0,
        present: 0,
      }))
    );
    this.#places = by.memories.map((memory, arena) =>
      words(memory, plan.workspaces[arena].stream!.places)
    );
  }

  /**
   * Finds out what the step's only token needs of a block, and asks for what is not there.
   * x: what the block reads. listed: how many neurons a predictor has put at `space.fired`; null:
   * the block has all gates.
   */
  begin(block: Streamed, x: Activations, laneIndex: number, listed: number | null): void {
    const { kernels, space, arena, fractions: { belowFiring } } = this.#state;
    const lane = this.#lanes[arena][laneIndex];
    const { cache, units } = this.#streams[arena];
    const { at } = lane;
    if (block.gate !== null) {
      project(kernels, block.gate, x, 1, at.values, block.count);
      lane.count = kernels.fired_f32(at.values, block.count, belowFiring, at.ids, at.values);
    } else {
      lane.count = this.#takeListed(lane, listed ?? block.count, listed === null ? 0 : space.fired);
    }
    lane.present = cache.lookUp(block.unit, lane, lane.count);
    this.#ask(lane, block.unit, units.get(block.unit)!);
    this.#counts[CACHE_HITS] += lane.present;
    this.#counts[CACHE_MISSES] += lane.count - lane.present;
  }

  /** partial[rows[0]] += weights[0], or 1, · what the neurons of the lane give. */
  finish(
    block: Streamed,
    x: Activations,
    laneIndex: number,
    { rows, weights }: { rows: number; weights: number },
  ): void {
    const { kernels, arena } = this.#state;
    const lane = this.#lanes[arena][laneIndex];
    const { cache } = this.#streams[arena];
    // Nothing claims a slot before the list is used up.
    cache.unpinAll(lane.slots, lane.present);
    let count = this.#compute(block, x, lane, { from: 0, to: lane.present, filled: 0 });
    for (let from = lane.present; from < lane.count; from += CLUSTER_BUNDLES) {
      const to = Math.min(from + CLUSTER_BUNDLES, lane.count);
      this.#await(lane, from, to);
      count = this.#compute(block, x, lane, { from, to, filled: count });
    }
    const { values } = lane.at;
    if (weights !== 0) kernels.scale_rows_f32(values, count, weights, 1, count);
    this.#addDown(block, lane, count, rows);
    this.#countSkipped(block, lane.count, count);
  }

  /** The neurons of a list, or all; what their gates give is not known yet. */
  #takeListed(lane: Lane, count: number, list: number): number {
    const { ids } = lane;
    if (list === 0) { for (let i = 0; i < count; i++) ids[i] = i; }
    else ids.set(new Uint32Array(ids.buffer, list, count));
    return count;
  }

  /** Asks for the bundles of neurons that are not present, into slots that they get. */
  #ask(lane: Lane, unit: number, own: OwnUnit): void {
    const { arena, plan, space } = this.#state;
    const { cache } = this.#streams[arena];
    const { ids, slots, tickets } = lane;
    const { slotBytes, hasResidentGates } = plan.stream!;
    const { bundleBytes, gateBytes } = own.bundles;
    const start = hasResidentGates ? gateBytes : 0;
    const first = own.offsetBytes + start;
    const sizeBytes = bundleBytes - start;
    const base = space.stream!.slots;
    for (let i = lane.present; i < lane.count; i++) {
      const slot = cache.claim(unit, ids[i]);
      if (slot < 0) throw new Error("the planner left a slot for every neuron of a block");
      slots[i] = slot;
      const from = first + own.positions[ids[i]] * bundleBytes;
      tickets[i] = this.#queue
        .ask(PRIORITY_UP_DOWN, from, sizeBytes, arena, base + slot * slotBytes);
    }
    this.#counts[DISK_BYTES] += (lane.count - lane.present) * sizeBytes;
  }

  /** Waits for the bundles at places from .. to-1; what could not be read loses its slot. */
  #await(lane: Lane, from: number, to: number): void {
    const { cache } = this.#streams[this.#state.arena];
    const { slots, tickets } = lane;
    const startMs = performance.now();
    for (let i = from; i < to; i++) {
      if (this.#queue.wait(tickets[i]) === FAILED) {
        cache.drop(slots[i]);
        this.#failure.leave(this.#queue.failure(tickets[i]));
        slots[i] = NO_SLOT;
      } else {
        cache.settle(slots[i], PRESENT);
        cache.unpin(slots[i]);
      }
    }
    this.#counts[DISK_WAIT_MS] += performance.now() - startMs;
  }

  /**
   * What the neurons at places from .. to-1 give, if they fire: those move to places from `filled`
   * on, with their slots and values.
   * @returns the first free place.
   */
  #compute(
    block: Streamed,
    x: Activations,
    lane: Lane,
    { from, to, filled }: { from: number; to: number; filled: number },
  ): number {
    if (from === to) return filled;
    const { kernels, space, config: { feedForward }, fractions: { belowFiring } } = this.#state;
    const { at, ids, slots, values } = lane;
    const hasGates = block.gateSlots !== null;
    if (hasGates) {
      const list = at.slots + 4 * from;
      multiplyListed(kernels, block.gateSlots, x, list, to - from, at.values + 4 * from);
    }
    let end = filled;
    for (let i = from; i < to; i++) {
      // What is no number fires: it must be seen.
      if (slots[i] === NO_SLOT || hasGates && values[i] <= belowFiring) continue;
      ids[end] = ids[i];
      slots[end] = slots[i];
      values[end] = values[i];
      end++;
    }
    const count = end - filled;
    if (count === 0) return end;
    multiplyListed(kernels, block.upSlots, x, at.slots + 4 * filled, count, space.up);
    activateListed(kernels, feedForward, space.up, at.values + 4 * filled, count);
    return end;
  }

  /** partial[rows[0]] += down · the values of the lane's first `count` neurons. */
  #addDown(block: Streamed, lane: Lane, count: number, rows: number): void {
    const { kernels, space, arena, plan, inputs: { hidden } } = this.#state;
    const { ids, slots, at } = lane;
    const { slotBytes } = plan.stream!;
    const places = this.#places[arena];
    const placesAt = space.stream!.places;
    kernels.scatter_f32(at.values, at.ids, count, hidden.f32, hidden.stride);
    // Down goes over all neurons in their order, whatever order they came in: sums keep their bits.
    if (block.downSlots.layout === "neurons") {
      for (let i = 0; i < count; i++) places[ids[i]] = slots[i];
      this.#residual.addFired(block.downSlots, placesAt, hidden.f32, block.count, rows);
      return;
    }
    for (let i = 0; i < count; i++) places[ids[i]] = block.downInSlot + slots[i] * slotBytes;
    this.#residual.addColumnsAt(block.downSlots, hidden, {
      factors: block.factors,
      columns: placesAt,
      rows,
    });
  }

  /** listed: neurons that were looked at; fired: those that were computed to the end. */
  #countSkipped({ count, gate: allGates, staged }: Streamed, listed: number, fired: number): void {
    const hasAllGates = allGates !== null;
    const { gate, up, down } = staged;
    this.#counts[SKIPPED_NEURONS] += count - fired;
    this.#counts[SKIPPED_BYTES] += (count - fired) * (up.rowStrideBytes + down.columnStrideBytes);
    if (gate !== null && !hasAllGates) {
      this.#counts[SKIPPED_BYTES] += (count - listed) * gate.rowStrideBytes;
    }
  }
}
