/**
 * Stacks of a network, each once: a state on top of another stack. Equal stacks have equal numbers,
 * so that sets of them can be compared. Knows nothing of what states do.
 */

/** No stack. */
export const NONE = 0;
/** The empty stack: below it, the text ends. */
export const BOTTOM = 1;
/** Below it lies what is not known: the end of the part that a mask is made of. */
export const HOLE = 2;
/** Count of a stack that counts nothing: its state is gone on with as it is. */
export const UNCOUNTED = -1;

const FIRST = 3;

/** A table of stacks that only grows. */
export class StackTable {
  /** By number: the state on top, what it has counted, what lies below. */
  states: Int32Array;
  counts: Int32Array;
  below: Int32Array;
  #size = FIRST;
  /** Open addressing: numbers of stacks, 0 where there is none. */
  #slots: Int32Array;

  constructor(capacity = 1024) {
    this.states = new Int32Array(capacity);
    this.counts = new Int32Array(capacity);
    this.below = new Int32Array(capacity);
    this.#slots = new Int32Array(2 * capacity);
  }

  get size(): number {
    return this.#size;
  }

  /** The number of the stack of `state`, with its count, on `below`. */
  push(state: number, count: number, below: number): number {
    const mask = this.#slots.length - 1;
    let slot = hash(state, count, below) & mask;
    for (;; slot = (slot + 1) & mask) {
      const found = this.#slots[slot];
      if (found === NONE) break;
      const isSame = this.states[found] === state && this.counts[found] === count &&
        this.below[found] === below;
      if (isSame) return found;
    }
    const stack = this.#size++;
    this.#slots[slot] = stack;
    this.states[stack] = state;
    this.counts[stack] = count;
    this.below[stack] = below;
    if (this.#size === this.states.length) this.#grow();
    return stack;
  }

  #grow(): void {
    this.states = grown(this.states);
    this.counts = grown(this.counts);
    this.below = grown(this.below);
    this.#slots = new Int32Array(2 * this.states.length);
    const mask = this.#slots.length - 1;
    for (let stack = FIRST; stack < this.#size; stack++) {
      let slot = hash(this.states[stack], this.counts[stack], this.below[stack]) & mask;
      while (this.#slots[slot] !== NONE) slot = (slot + 1) & mask;
      this.#slots[slot] = stack;
    }
  }
}

/** Twice as long, with what it held. */
export function grown(values: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(2 * values.length);
  larger.set(values);
  return larger;
}

/** A number for three others. */
export function hash(state: number, count: number, below: number): number {
  let h = Math.imul(state, 0x9e3779b1) ^ Math.imul(count, 0x85ebca77) ^
    Math.imul(below, 0xc2b2ae3d);
  h ^= h >>> 15;
  h = Math.imul(h, 0x2c1b3c6d);
  return h ^ (h >>> 13);
}
