/**
 * Reads of bundles into slots: which read fills which slot, and what was asked for ahead of the
 * layer that will need it. Knows units and slots; not what is computed with them.
 */
import { GATE_ONLY, LOADING, type NeuronCache, NO_SLOT, PRESENT } from "../../cache/mod.ts";
import { NO_TICKET } from "../../io/mod.ts";
import type { SharedText } from "../../memory/shared_text.ts";
import { DISK_WAIT_MS } from "../plan/counts.ts";
import type { NeuronReads } from "./neuron_reads.ts";
import type { OwnUnit } from "../plan/own_units.ts";
import { PositionSet } from "./position_set.ts";
import type { StepState } from "../step/step_state.ts";

/** What an arena streams with. */
export interface ArenaStream {
  readonly cache: NeuronCache;
  /** By number of the unit. */
  readonly units: ReadonlyMap<number, OwnUnit>;
}

/** Slots that were asked for ahead of a layer, by guesses; each has a pin. */
interface Ahead {
  layer: number;
  readonly slots: Int32Array;
  count: number;
}

/** An arena's. */
interface Reads {
  /** By slot: the read that fills it, while it is LOADING. */
  readonly ticketOf: Int32Array;
  /** Of the layer that is computed, and of the one behind it: by the layer's lowest bit. */
  readonly ahead: readonly [Ahead, Ahead];
}

export class BundleReads {
  readonly #state: StepState;
  readonly #neurons: NeuronReads;
  /** By arena. */
  readonly #streams: readonly ArenaStream[];
  readonly #reads: readonly Reads[];
  readonly #failure: SharedText;
  readonly #counts: Float64Array;
  /** Gates are read first, and the rest of those neurons that fire. */
  readonly #readsGatesFirst: boolean;
  readonly #noted: PositionSet;
  readonly #sorted: Uint32Array;

  constructor(
    state: StepState,
    by: {
      readonly reads: NeuronReads;
      readonly streams: readonly ArenaStream[];
      /** What the rank counts: counts.ts. */
      readonly counts: Float64Array;
      /** Where the leader finds why a step is void. */
      readonly failure: SharedText;
    },
  ) {
    this.#state = state;
    this.#failure = by.failure;
    this.#counts = by.counts;
    this.#readsGatesFirst = state.plan.stream!.readsGatesFirst;
    this.#neurons = by.reads;
    this.#streams = by.streams;
    const most = Math.max(...state.plan.workspaces.map(({ stream }) => stream!.neuronCount));
    this.#noted = new PositionSet(most);
    this.#sorted = new Uint32Array(most);
    this.#reads = by.streams.map(({ cache: { slotCount } }) => ({
      ticketOf: new Int32Array(slotCount),
      ahead: [aheadOf(slotCount), aheadOf(slotCount)],
    }));
  }

  /**
   * The read that brings what is still needed of a slot that has a neuron: it was asked for ahead.
   * NO_TICKET: its gate is there, and nothing is under way.
   */
  ticketOf(slot: number): number {
    const { cache } = this.#streams[this.#state.arena];
    if (cache.state(slot) === GATE_ONLY) return NO_TICKET;
    return this.#reads[this.#state.arena].ticketOf[slot];
  }

  /**
   * Asks for what is not resident of a neuron, or for its gate where gates are read first; flush()
   * lets all that were asked for begin.
   * @returns the read's ticket.
   */
  ask(unit: number, neuron: number, slot: number): number {
    const { arena } = this.#state;
    const own = this.#streams[arena].units.get(unit)!;
    const address = this.#addressOf(slot);
    if (this.#readsGatesFirst) return this.#neurons.askGate(own, neuron, arena, address);
    return this.#neurons.ask(own, neuron, arena, address);
  }

  /** The same for the rest of a neuron whose gate is there. */
  askRest(unit: number, neuron: number, slot: number): number {
    const { arena } = this.#state;
    const own = this.#streams[arena].units.get(unit)!;
    return this.#neurons.askRest(own, neuron, arena, this.#addressOf(slot));
  }

  flush(): void {
    this.#neurons.flush();
  }

  /**
   * Waits for the reads of places from .. to-1; slots have `state` then. What could not be read
   * loses its slot, and the leader is told why.
   */
  arrive(
    { slots, tickets }: { readonly slots: Uint32Array; readonly tickets: Int32Array },
    from: number,
    to: number,
    state: typeof GATE_ONLY | typeof PRESENT,
  ): void {
    const { cache } = this.#streams[this.#state.arena];
    const startMs = performance.now();
    for (let i = from; i < to; i++) {
      if (tickets[i] === NO_TICKET) continue;
      const why = this.#neurons.wait(tickets[i]);
      const isCached = slots[i] < cache.slotCount; // a spare one keeps nothing
      if (why === "") {
        if (isCached) cache.settle(slots[i], state);
        continue;
      }
      this.#failure.leave(why);
      if (isCached) cache.drop(slots[i]);
      slots[i] = NO_SLOT;
    }
    this.#counts[DISK_WAIT_MS] += performance.now() - startMs;
  }

  /** What of a bundle is there when the read that `ask` asked for has come. */
  get #arrived(): typeof GATE_ONLY | typeof PRESENT {
    return this.#readsGatesFirst ? GATE_ONLY : PRESENT;
  }

  #addressOf(slot: number): number {
    const { plan, space } = this.#state;
    return space.stream!.slots + slot * plan.stream!.slotBytes;
  }

  /**
   * Notes neurons of a unit, at places from .. to-1; takeNoted() gives all that were noted in the
   * order of the file.
   */
  note(unit: number, neurons: Uint32Array, from: number, to: number): void {
    const { positions } = this.#streams[this.#state.arena].units.get(unit)!;
    for (let i = from; i < to; i++) this.#noted.add(positions[neurons[i]]);
  }

  /**
   * Takes the noted neurons, into `to` from place `first` on.
   * @returns how many they were.
   */
  takeNoted(unit: number, to: Uint32Array, first: number): number {
    const { order } = this.#streams[this.#state.arena].units.get(unit)!;
    return this.#noted.take(order, to, first);
  }

  /** True where a neuron of the unit has no slot. */
  lacks(unit: number): boolean {
    return this.#streams[this.#state.arena].cache.slotsOf(unit).includes(-1);
  }

  /**
   * Asks for `count` neurons of a unit that a guess says layer `layer` will need, in the arena of
   * the one that is computed; flush() lets them begin. They arrive meanwhile.
   * @returns how many it asked for: those that had no slot, and got one.
   */
  askAhead(layer: number, unit: number, neurons: Uint32Array, count: number): number {
    const { arena } = this.#state;
    const { cache } = this.#streams[arena];
    const { ahead, ticketOf } = this.#reads[arena];
    const list = ahead[layer & 1];
    if (list.layer !== layer) this.settleAhead(list.layer); // of a step that was aborted
    list.layer = layer;
    const slotOf = cache.slotsOf(unit);
    const { positions } = this.#streams[arena].units.get(unit)!;
    for (let i = 0; i < count; i++) {
      if (slotOf[neurons[i]] < 0) this.#noted.add(positions[neurons[i]]);
    }
    const absent = this.takeNoted(unit, this.#sorted, 0);
    const before = list.count;
    for (let i = 0; i < absent; i++) {
      const neuron = this.#sorted[i];
      const slot = cache.claim(unit, neuron);
      if (slot < 0) break; // what is held at the moment fills the cold region
      ticketOf[slot] = this.ask(unit, neuron, slot);
      list.slots[list.count++] = slot;
    }
    return list.count - before;
  }

  /**
   * Lets go of what was asked for ahead of a layer, whether it was needed or not: when the layer's
   * own reads have been waited for.
   */
  settleAhead(layer: number): void {
    const { arena } = this.#state;
    const { cache } = this.#streams[arena];
    const { ahead, ticketOf } = this.#reads[arena];
    const list = ahead[layer & 1];
    if (list.layer !== layer) return;
    for (let i = 0; i < list.count; i++) {
      const slot = list.slots[i];
      if (cache.state(slot) !== LOADING) cache.unpin(slot);
      else if (this.#neurons.wait(ticketOf[slot]) !== "") {
        cache.drop(slot); // no harm: who needs the neuron will ask again
      } else {
        cache.settle(slot, this.#arrived);
        cache.unpin(slot);
      }
    }
    list.count = 0;
  }

  /**
   * Lets go of what was asked for ahead when neurons find no slot any more: guesses that were wrong
   * hold them. What could not be read stays held, somebody may wait for it.
   */
  yieldAhead(): void {
    for (const list of this.#reads[this.#state.arena].ahead) this.#yield(list);
  }

  #yield(list: Ahead): void {
    const { arena } = this.#state;
    const { cache } = this.#streams[arena];
    const { ticketOf } = this.#reads[arena];
    let kept = 0;
    for (let i = 0; i < list.count; i++) {
      const slot = list.slots[i];
      if (cache.state(slot) === LOADING) {
        if (this.#neurons.wait(ticketOf[slot]) !== "") {
          list.slots[kept++] = slot;
          continue;
        }
        cache.settle(slot, this.#arrived);
      }
      cache.unpin(slot);
    }
    list.count = kept;
  }
}

function aheadOf(slotCount: number): Ahead {
  return { layer: -1, slots: new Int32Array(slotCount), count: 0 };
}
