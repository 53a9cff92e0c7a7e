/**
 * Merges neighbours of a word, the lowest rank first and the leftmost among equals, until no pair
 * of neighbours is in the table: what SentencePiece and byte-pair encoding have in common. Works on
 * symbol ids; knows nothing of text. O(n log n) in the word's length.
 */
import { check } from "../base/check.ts";
import { runSteps } from "../base/steps.ts";
import type { PairTable } from "./pair_table.ts";

/** A heap entry is `rank * POSITIONS + position` in one exact number: it sorts as it should. */
const POSITIONS = 2 ** 27;

/** Scratch space beyond this many symbols is given back after the word that needed it. */
const KEPT_SYMBOLS = 1 << 16;

const NONE = -1;
const MERGED_AWAY = -0x80000000;

/** Of a long word, pairs that are looked up, or merged, in about a millisecond. */
const STEP_PAIRS = 1 << 12;

/** Merges words, one at a time, in scratch space of its own. */
export class Merger {
  readonly #pairs: PairTable;
  #next = new Int32Array(64);
  #previous = new Int32Array(64);
  #heap = new Float64Array(3 * 64);
  #heapSize = 0;

  constructor(pairs: PairTable) {
    this.#pairs = pairs;
  }

  /**
   * Merges `symbols[0, count)` in place; negative symbols stay as they are.
   * @returns how many are left, at the beginning of `symbols`.
   */
  merge(symbols: Int32Array, count: number): number {
    return runSteps(this.mergeSteps(symbols, count));
  }

  /** The same in steps; until the last one it merges nothing else. */
  *mergeSteps(symbols: Int32Array, count: number): Generator<void, number> {
    if (count < 2) return count;
    check(count < POSITIONS, `a word of ${count} symbols`);
    if (count > this.#next.length) this.#allocate(Math.max(count, 2 * this.#next.length));
    this.#heapSize = 0;
    for (let begin = 0; begin < count; begin += STEP_PAIRS) {
      if (begin > 0) yield;
      const end = Math.min(count, begin + STEP_PAIRS);
      for (let at = begin; at < end; at++) {
        this.#next[at] = at + 1;
        this.#previous[at] = at - 1;
        if (at + 1 < count) this.#push(symbols, at);
      }
    }
    this.#next[count - 1] = NONE;
    while (!this.#mergeSome(symbols)) yield;
    return this.#gather(symbols, count);
  }

  /** Merges some pairs; false: there are more. */
  #mergeSome(symbols: Int32Array): boolean {
    for (let left = STEP_PAIRS; this.#heapSize > 0 && left > 0; left--) this.#mergeBest(symbols);
    return this.#heapSize === 0;
  }

  /** Puts what is left next to each other. */
  #gather(symbols: Int32Array, count: number): number {
    let left = 0;
    for (let at = 0; at !== NONE; at = this.#next[at]) symbols[left++] = symbols[at];
    if (count > KEPT_SYMBOLS) this.#allocate(KEPT_SYMBOLS);
    return left;
  }

  #allocate(count: number): void {
    this.#next = new Int32Array(count);
    this.#previous = new Int32Array(count);
    // n - 1 pairs to begin with, and two new ones for each of at most n - 1 merges.
    this.#heap = new Float64Array(3 * count);
  }

  /**
   * Takes the best entry and merges its pair. An entry is stale when the symbols at its position
   * have changed so that their rank is another; a new pair of the same rank had an equal entry.
   */
  #mergeBest(symbols: Int32Array): void {
    const key = this.#pop();
    const rank = Math.floor(key / POSITIONS);
    const left = key - rank * POSITIONS;
    const right = this.#next[left];
    if (right === NONE) return;
    const pair = this.#pairs.find(symbols[left], symbols[right]);
    if (pair < 0 || this.#pairs.rankAt(pair) !== rank) return;
    symbols[left] = this.#pairs.mergedAt(pair);
    symbols[right] = MERGED_AWAY;
    const after = this.#next[right];
    this.#next[left] = after;
    if (after !== NONE) {
      this.#previous[after] = left;
      this.#push(symbols, left);
    }
    if (this.#previous[left] !== NONE) this.#push(symbols, this.#previous[left]);
  }

  /** Puts the pair that begins at `left` on the heap, if it is one. */
  #push(symbols: Int32Array, left: number): void {
    const pair = this.#pairs.find(symbols[left], symbols[this.#next[left]]);
    if (pair < 0) return;
    const key = this.#pairs.rankAt(pair) * POSITIONS + left;
    const heap = this.#heap;
    let at = this.#heapSize++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent] <= key) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = key;
  }

  #pop(): number {
    const heap = this.#heap;
    const top = heap[0];
    const size = --this.#heapSize;
    const moved = heap[size];
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && heap[child + 1] < heap[child]) child++;
      if (heap[child] >= moved) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = moved;
    return top;
  }
}
