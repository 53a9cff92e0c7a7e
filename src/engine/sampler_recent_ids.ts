/**
 * Which ids occurred among the last N, and how often: what the penalties look at. Knows no logits.
 * Adding an id takes constant time and allocates nothing.
 */

/** Windows beyond this are no use and a lot of memory: they count as "all". */
const WINDOW_MAX = 1 << 20;

/**
 * A multiset of ids that forgets the oldest one beyond `window`. Distinct ids lie dense in `#ids`;
 * `#slots` says where, so that one can be taken out by moving the last into its place.
 */
export class RecentIds {
  readonly #counts: Int32Array;
  readonly #ids: Int32Array;
  readonly #slots: Int32Array;
  /** The last ids in order, a ring; empty when nothing is ever forgotten. */
  readonly #ring: Int32Array;
  #added = 0;
  #distinct = 0;

  /** `window`: how many ids are remembered, at least 1; -1 = all. Ids are below `vocabSize`. */
  constructor(vocabSize: number, window: number) {
    this.#counts = new Int32Array(vocabSize);
    this.#ids = new Int32Array(vocabSize);
    this.#slots = new Int32Array(vocabSize);
    this.#ring = new Int32Array(window > 0 && window <= WINDOW_MAX ? window : 0);
  }

  /** How many different ids are remembered. */
  get distinct(): number {
    return this.#distinct;
  }

  /** The different ids, in no order: index below `distinct`. */
  idAt(index: number): number {
    return this.#ids[index];
  }

  /** How often `id` is remembered. */
  countOf(id: number): number {
    return this.#counts[id];
  }

  /** Remembers `id`, and forgets the one `window` ids ago. */
  add(id: number): void {
    const { length } = this.#ring;
    if (length > 0) {
      const place = this.#added % length;
      if (this.#added >= length) this.#remove(this.#ring[place]);
      this.#ring[place] = id;
    }
    this.#added++;
    if (this.#counts[id]++ > 0) return;
    this.#slots[id] = this.#distinct;
    this.#ids[this.#distinct++] = id;
  }

  #remove(id: number): void {
    if (--this.#counts[id] > 0) return;
    const last = this.#ids[--this.#distinct];
    this.#ids[this.#slots[id]] = last;
    this.#slots[last] = this.#slots[id];
  }
}
