/**
 * Positions of a unit, a bit for each: what was added in any order is taken in ascending order,
 * without comparing. Allocates nothing after the constructor.
 */
export class PositionSet {
  readonly #words: Int32Array;
  #count = 0;

  /** Of positions 0 .. most-1. */
  constructor(most: number) {
    this.#words = new Int32Array((most + 31) >> 5);
  }

  add(position: number): void {
    this.#words[position >> 5] |= 1 << (position & 31);
    this.#count++;
  }

  /**
   * Empties the set: order[p] of each position p, ascending by p, goes into `to` from place `first`
   * on. A position that was added twice comes once.
   * @returns how many there were.
   */
  take(order: Uint32Array, to: Uint32Array, first: number): number {
    let end = first;
    if (this.#count === 0) return 0;
    this.#count = 0;
    for (let word = 0; word < this.#words.length; word++) {
      let bits = this.#words[word];
      if (bits === 0) continue;
      this.#words[word] = 0;
      for (; bits !== 0; bits &= bits - 1) {
        to[end++] = order[(word << 5) + 31 - Math.clz32(bits & -bits)];
      }
    }
    return end - first;
  }
}
