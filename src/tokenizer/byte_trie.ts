/** Byte strings by their beginnings: finds the longest one that a text has at a place. */

const NONE = -1;

export class ByteTrie {
  /** Of each node its byte, its string's number, its first child and its next sibling. */
  #bytes = new Uint8Array(1024);
  #ids = new Int32Array(1024).fill(NONE);
  #children = new Int32Array(1024).fill(NONE);
  #siblings = new Int32Array(1024).fill(NONE);
  #count = 0;
  /** By first byte. */
  readonly #roots = new Int32Array(256).fill(NONE);

  /** Of two equal strings the later one counts; an empty one is never found. */
  insert(bytes: Uint8Array, id: number): void {
    if (bytes.length === 0) return;
    let node = this.#roots[bytes[0]];
    if (node === NONE) node = this.#roots[bytes[0]] = this.#add(bytes[0]);
    for (let i = 1; i < bytes.length; i++) {
      let child = this.#child(node, bytes[i]);
      if (child === NONE) {
        child = this.#add(bytes[i]);
        this.#siblings[child] = this.#children[node];
        this.#children[node] = child;
      }
      node = child;
    }
    this.#ids[node] = id;
  }

  /** The longest string that `bytes` has at `at`, and where it ends; null: none. */
  longest(bytes: Uint8Array, at: number): { readonly id: number; readonly end: number } | null {
    let [id, end] = [NONE, at];
    let node = this.#roots[bytes[at]] ?? NONE;
    for (let i = at + 1; node !== NONE; i++) {
      if (this.#ids[node] !== NONE) [id, end] = [this.#ids[node], i];
      node = i < bytes.length ? this.#child(node, bytes[i]) : NONE;
    }
    return id === NONE ? null : { id, end };
  }

  /** The node of a string of one byte; negative: no string begins with it. */
  begin(byte: number): number {
    return this.#roots[byte];
  }

  /** The node of the string that is one byte longer; negative: none goes on so. */
  next(node: number, byte: number): number {
    return this.#child(node, byte);
  }

  /** Which string ends at a node; negative: none. */
  idAt(node: number): number {
    return this.#ids[node];
  }

  #child(node: number, byte: number): number {
    let child = this.#children[node];
    while (child !== NONE && this.#bytes[child] !== byte) child = this.#siblings[child];
    return child;
  }

  #add(byte: number): number {
    const node = this.#count++;
    if (node === this.#bytes.length) this.#grow();
    this.#bytes[node] = byte;
    return node;
  }

  #grow(): void {
    const length = 2 * this.#bytes.length;
    const bytes = new Uint8Array(length);
    bytes.set(this.#bytes);
    this.#bytes = bytes;
    const longer = (old: Int32Array) => {
      const all = new Int32Array(length).fill(NONE);
      all.set(old);
      return all;
    };
    this.#ids = longer(this.#ids);
    this.#children = longer(this.#children);
    this.#siblings = longer(this.#siblings);
  }
}
