/**
 * Reads of single neurons into slots: one for what is not resident of a bundle; or, where streaming
 * does without bundles, one for each matrix's part of it. Knows nothing of caches.
 */
import type { BundlePart } from "../../bundle/types.ts";
import { FAILED, PRIORITY_GATE, PRIORITY_UP_DOWN, type Reads } from "../../io/mod.ts";
import { CountedReads } from "./counted_reads.ts";
import type { OwnUnit } from "../plan/own_units.ts";
import type { StreamPlan } from "../plan/stream_types.ts";

export class NeuronReads {
  readonly #by: { readonly stream: StreamPlan; readonly queue: Reads };
  readonly #reads: CountedReads;
  /** Reads of a neuron, made one after another. */
  readonly #readsOfNeuron: number;

  constructor(by: {
    stream: StreamPlan;
    queue: Reads;
    /** What the rank counts: counts.ts. */
    counts: Float64Array;
  }) {
    const { hasResidentGates, steps } = by.stream;
    this.#by = by;
    this.#reads = new CountedReads(by.queue, by.counts);
    this.#readsOfNeuron = steps.bundles ? 1 : hasResidentGates ? 2 : 3;
  }

  /**
   * Asks for a neuron, into the slot at `address`; flush() lets all that were asked for begin.
   * @returns the ticket of its last read.
   */
  ask(own: OwnUnit, neuron: number, arena: number, address: number): number {
    const { bundleBytes, restOffsetBytes, gate, up, down } = own.bundles;
    const { hasResidentGates, steps } = this.#by.stream;
    const bundle = own.offsetBytes + own.bundleOf[neuron] * bundleBytes;
    const start = hasResidentGates ? restOffsetBytes : 0;
    const slot = address - start;
    if (steps.bundles) return this.#read(bundle, start, bundleBytes, arena, slot);
    if (!hasResidentGates && gate !== null) this.#readPart(bundle, gate, arena, slot);
    this.#readPart(bundle, up, arena, slot);
    return this.#readPart(bundle, down, arena, slot);
  }

  /** Asks for a neuron's gate alone, into the slot of a whole bundle. @returns its ticket. */
  askGate(own: OwnUnit, neuron: number, arena: number, address: number): number {
    const { bundleBytes, gate } = own.bundles;
    const bundle = own.offsetBytes + own.bundleOf[neuron] * bundleBytes;
    return this.#reads.merge(PRIORITY_GATE, bundle, gate!.sizeBytes, arena, address);
  }

  /** Asks for what `askGate` left out. @returns its ticket. */
  askRest(own: OwnUnit, neuron: number, arena: number, address: number): number {
    const { bundleBytes, restOffsetBytes } = own.bundles;
    const bundle = own.offsetBytes + own.bundleOf[neuron] * bundleBytes;
    return this.#read(bundle, restOffsetBytes, bundleBytes, arena, address);
  }

  flush(): void {
    this.#by.queue.flush();
  }

  /** Waits for a neuron. @returns why it could not be read; empty: it is there. */
  wait(ticket: number): string {
    const { queue } = this.#by;
    let failure = "";
    for (let read = 0; read < this.#readsOfNeuron; read++) {
      if (queue.wait(ticket) === FAILED) failure = queue.failure(ticket);
      ticket = queue.before(ticket);
    }
    return failure;
  }

  #readPart(bundle: number, part: BundlePart, arena: number, slot: number): number {
    const { offsetBytes, sizeBytes } = part;
    const ticket = this.#read(bundle, offsetBytes, offsetBytes + sizeBytes, arena, slot);
    this.flush(); // it is not joined with what follows
    return ticket;
  }

  /** Bytes start .. end-1 of a bundle, which begins in the file and in memory at these places. */
  #read(bundle: number, start: number, end: number, arena: number, slot: number): number {
    const size = end - start;
    return this.#reads.merge(PRIORITY_UP_DOWN, bundle + start, size, arena, slot + start);
  }
}
