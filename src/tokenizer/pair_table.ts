/**
 * Which two neighbours may merge, into what, and how early. A hash table in one typed array,
 * because a vocabulary has some 300,000 pairs. Knows nothing of the symbols' bytes.
 */

const FIELDS = 4;
const EMPTY = -1;

/** Pairs of symbol ids with a rank (lower merges first) and the symbol they become. */
export class PairTable {
  /** Per slot: left, right, rank, merged. */
  #entries: Int32Array;
  #count = 0;

  constructor(expectedCount: number) {
    this.#entries = emptyEntries(1 << (33 - Math.clz32(Math.max(16, expectedCount))));
  }

  /** Adds a pair; a pair that is there already keeps what it has. */
  add(pair: { left: number; right: number; rank: number; merged: number }): void {
    if (2 * this.#count * FIELDS >= this.#entries.length) this.#grow();
    const at = this.#locate(pair.left, pair.right);
    const entries = this.#entries;
    if (entries[at] !== EMPTY) return;
    entries[at] = pair.left;
    entries[at + 1] = pair.right;
    entries[at + 2] = pair.rank;
    entries[at + 3] = pair.merged;
    this.#count++;
  }

  /** Where the pair is, for `rankAt` and `mergedAt`, or -1. Ids below zero are in no pair. */
  find(left: number, right: number): number {
    if (left < 0 || right < 0) return -1;
    const at = this.#locate(left, right);
    return this.#entries[at] === EMPTY ? -1 : at;
  }

  rankAt(at: number): number {
    return this.#entries[at + 2];
  }

  mergedAt(at: number): number {
    return this.#entries[at + 3];
  }

  #locate(left: number, right: number): number {
    const entries = this.#entries;
    const mask = entries.length - 1;
    const hash = Math.imul(Math.imul(left, 0x9e3779b1) ^ right, 0x85ebca6b);
    let at = ((hash ^ (hash >>> 15)) * FIELDS) & mask;
    while (entries[at] !== EMPTY && (entries[at] !== left || entries[at + 1] !== right)) {
      at = (at + FIELDS) & mask;
    }
    return at;
  }

  #grow(): void {
    const old = this.#entries;
    this.#entries = emptyEntries(2 * old.length / FIELDS);
    for (let i = 0; i < old.length; i += FIELDS) {
      if (old[i] === EMPTY) continue;
      const at = this.#locate(old[i], old[i + 1]);
      for (let field = 0; field < FIELDS; field++) this.#entries[at + field] = old[i + field];
    }
  }
}

function emptyEntries(slotCount: number): Int32Array {
  return new Int32Array(FIELDS * slotCount).fill(EMPTY);
}
