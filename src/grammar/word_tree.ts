/**
 * Byte strings by what they begin with. Lists of numbers, not objects: a schema may list a hundred
 * thousand values.
 */
export class WordTree {
  /** By node, the byte that leads to it; node 0 is where all begin. */
  readonly bytes: number[] = [];
  /** By node, its first child and what follows it among its parent's; 0: none. */
  readonly first: number[] = [];
  readonly next: number[] = [];
  /** By node: a string ends here. */
  readonly ends: boolean[] = [];
  readonly #last: number[] = [];

  constructor(words: readonly Uint8Array[]) {
    this.#add(0);
    for (const word of words) {
      let at = 0;
      for (let i = 0; i < word.length; i++) at = this.#child(at, word[i]);
      this.ends[at] = true;
    }
  }

  /** Nodes: children have larger numbers than their parents. */
  get size(): number {
    return this.bytes.length;
  }

  #child(parent: number, byte: number): number {
    const last = this.#last[parent];
    if (last > 0 && this.bytes[last] === byte) return last;
    for (let child = this.first[parent]; child > 0; child = this.next[child]) {
      if (this.bytes[child] === byte) return child;
    }
    const child = this.#add(byte);
    if (last > 0) this.next[last] = child;
    else this.first[parent] = child;
    this.#last[parent] = child;
    return child;
  }

  #add(byte: number): number {
    this.first.push(0);
    this.next.push(0);
    this.ends.push(false);
    this.#last.push(0);
    return this.bytes.push(byte) - 1;
  }
}
