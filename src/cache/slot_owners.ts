/**
 * Which neuron is in which slot, both ways. A neuron is a place in one table of all units, behind
 * each other. Knows nothing of states and of who may stay.
 */
export class SlotOwners {
  /** By place: slot or -1. */
  readonly slotOf: Int32Array;
  /** By slot: place or -1. */
  readonly placeIn: Int32Array;
  /** By unit: its part of slotOf. */
  readonly ofUnit: readonly Int32Array[];

  /** starts: first place of each unit, and where the last one ends. */
  constructor(starts: ArrayLike<number>, slots: number) {
    const slotOf = new Int32Array(starts[starts.length - 1]).fill(-1);
    this.slotOf = slotOf;
    this.ofUnit = Array.from(
      { length: starts.length - 1 },
      (_, unit) => slotOf.subarray(starts[unit], starts[unit + 1]),
    );
    this.placeIn = new Int32Array(slots).fill(-1);
  }

  put(place: number, slot: number): void {
    this.slotOf[place] = slot;
    this.placeIn[slot] = place;
  }

  /** Empties `count` slots. @returns how many had a neuron */
  clear(slot: number, count: number): number {
    let cleared = 0;
    for (let i = slot; i < slot + count; i++) {
      const place = this.placeIn[i];
      if (place < 0) continue;
      this.slotOf[place] = -1;
      this.placeIn[i] = -1;
      cleared++;
    }
    return cleared;
  }

  /**
   * Moves what is in `count` slots to as many empty ones, and writes pairs (from, to) of slots that
   * had a neuron to moves[2 · done …]. @returns done, and those
   */
  move(from: number, to: number, count: number, moves: Int32Array, done: number): number {
    for (let i = 0; i < count; i++) {
      const place = this.placeIn[from + i];
      if (place < 0) continue;
      this.placeIn[from + i] = -1;
      this.put(place, to + i);
      moves[2 * done] = from + i;
      moves[2 * done + 1] = to + i;
      done++;
    }
    return done;
  }
}
