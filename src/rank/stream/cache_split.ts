/**
 * The border between hot clusters and single neurons in an arena's slots, which follows the number
 * of sequences that are decoded (PowerInfer-2): who decodes many at once needs other neurons than
 * who decodes one. Between steps, a few frames at a time, so that no step waits long; a frame that
 * is won gets the most frequent cluster that has none. Knows nothing of blocks and tokens.
 */
import { CLUSTER_SLOTS, type NeuronCache, PRESENT } from "../../cache/mod.ts";
import { clustersByGain } from "../load/first_neurons.ts";
import type { NeuronReads } from "./neuron_reads.ts";
import type { OwnUnit } from "../plan/own_units.ts";

/** Frames that change sides, or are filled, before one step: each costs a read of 8 neurons. */
const FRAMES_PER_STEP = 8;

export interface CacheSplitInput {
  readonly cache: NeuronCache;
  /** Frames that are to be hot for 1, 2, … sequences, and more. */
  readonly goals: readonly number[];
  /** Streamed ones of the arena. */
  readonly units: ReadonlyMap<number, OwnUnit>;
  readonly reads: NeuronReads;
  readonly arena: number;
  /** Where slots lie: the arena's bytes, the address of the first slot, and the size of each. */
  readonly slots: { readonly bytes: Uint8Array; readonly at: number; readonly slotBytes: number };
}

export class CacheSplit {
  readonly #by: CacheSplitInput;
  /** Pairs of a unit and a cluster, the most frequent first. */
  readonly #ranking: Int32Array;
  readonly #moves = new Int32Array(2 * CLUSTER_SLOTS);
  readonly #tickets = new Int32Array(CLUSTER_SLOTS);
  /** Clusters before it in the ranking have frames, or could not get one. */
  #next = 0;

  constructor(by: CacheSplitInput) {
    this.#by = by;
    const ranking = clustersByGain(by.units, CLUSTER_SLOTS);
    this.#ranking = Int32Array.from(ranking.flatMap(({ unit, cluster }) => [unit, cluster]));
  }

  /** Goes some way to where the border is to be for so many sequences. */
  follow(sequences: number): void {
    const { cache, goals } = this.#by;
    const goal = goals[Math.min(sequences, goals.length) - 1];
    for (let frames = 0; frames < FRAMES_PER_STEP; frames++) {
      const before = cache.hotClusters;
      if (before === goal) break;
      this.#copy(cache.resize(goal, this.#moves));
      if (cache.hotClusters === before) break; // who lies at the border is held
      this.#next = 0;
    }
    this.#fill();
  }

  #copy(moves: number): void {
    const { bytes, at, slotBytes } = this.#by.slots;
    for (let i = 0; i < moves; i++) {
      const from = at + this.#moves[2 * i] * slotBytes;
      bytes.copyWithin(at + this.#moves[2 * i + 1] * slotBytes, from, from + slotBytes);
    }
  }

  #fill(): void {
    const { cache } = this.#by;
    const ranking = this.#ranking;
    let filled = 0;
    for (; filled < FRAMES_PER_STEP && this.#next < ranking.length; this.#next += 2) {
      if (!cache.hasFreeFrame) return;
      const [unit, cluster] = [ranking[this.#next], ranking[this.#next + 1]];
      if (cache.findCluster(unit, cluster) >= 0) continue;
      const frame = cache.claimCluster(unit, cluster);
      if (frame < 0) continue; // one of its neurons is held
      this.#read(unit, cluster, frame);
      filled++;
    }
  }

  /** Brings a cluster into a frame that it has been given. */
  #read(unit: number, cluster: number, frame: number): void {
    const { cache, units, reads, arena, slots } = this.#by;
    const own = units.get(unit)!;
    const first = cache.units.firstPosition(unit, cluster);
    const size = cache.units.clusterSize(unit, cluster);
    for (let i = 0; i < size; i++) {
      const address = slots.at + (frame + i) * slots.slotBytes;
      this.#tickets[i] = reads.ask(own, own.order[first + i], arena, address);
    }
    reads.flush();
    let isThere = true;
    for (let i = 0; i < size; i++) if (reads.wait(this.#tickets[i]) !== "") isThere = false;
    // What cannot be read now is asked for again by who needs it, and that one says why.
    if (!isThere) return cache.drop(frame);
    cache.settle(frame, PRESENT);
    cache.unpin(frame);
  }
}
