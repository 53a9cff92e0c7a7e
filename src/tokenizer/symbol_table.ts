/**
 * Byte strings with consecutive ids in one buffer, and a hash index over some of them. A vocabulary
 * lives here as bytes from load to use; no JavaScript string is made of a token until somebody asks
 * for its text. Knows nothing of what the strings mean.
 */
import { check } from "../base/check.ts";

const EMPTY = -1;

/** The hash of no bytes at all. */
export const EMPTY_HASH = 0;

/** Multiplier of the hash: odd, so that no byte is ever shifted out of 32 bits. */
const HASH_BASE = 0x01000193;

/**
 * The hash of a string that is `byte` longer than the one with `hash`: a polynomial mod 2^32, so
 * that the hash of a tail follows from those of the whole and of the head (`HashPowers`).
 */
export function extendHash(hash: number, byte: number): number {
  return (Math.imul(hash, HASH_BASE) + byte + 1) | 0;
}

/** Hash of `bytes[begin, end)`. */
export function hashBytes(bytes: Uint8Array, begin: number, end: number): number {
  let hash = EMPTY_HASH;
  for (let i = begin; i < end; i++) hash = extendHash(hash, bytes[i]);
  return hash;
}

/** Powers of the hash's multiplier, which take a head off a hash. */
export class HashPowers {
  readonly #powers = [1];

  /** Hash of a string's last `tailBytes` bytes, from the hashes of the whole and of the rest. */
  tailHash(whole: number, head: number, tailBytes: number): number {
    const powers = this.#powers;
    while (powers.length <= tailBytes) {
      powers.push(Math.imul(powers[powers.length - 1], HASH_BASE));
    }
    return (whole - Math.imul(head, powers[tailBytes])) | 0;
  }
}

/** Byte strings by id, and ids by byte string. */
export class SymbolTable {
  #bytes: Uint8Array;
  /** Where each string ends; it begins where its forerunner ends. */
  #ends: Uint32Array;
  #count = 0;
  #slots: Int32Array;
  #indexed = 0;
  /** Of each indexed string its hash, which spares most comparisons. */
  #hashes: Int32Array;

  constructor(expectedCount: number) {
    this.#ends = new Uint32Array(Math.max(16, expectedCount));
    this.#hashes = new Int32Array(this.#ends.length);
    this.#bytes = new Uint8Array(8 * this.#ends.length);
    this.#slots = new Int32Array(1 << (33 - Math.clz32(this.#ends.length))).fill(EMPTY);
  }

  get count(): number {
    return this.#count;
  }

  /** Adds a copy of `bytes[begin, end)`, which `find` does not see before `index`; its id. */
  append(bytes: Uint8Array, begin = 0, end = bytes.length): number {
    const offset = this.beginOf(this.#count);
    this.#reserve(offset + end - begin);
    for (let i = begin, to = offset; i < end; i++, to++) this.#bytes[to] = bytes[i];
    this.#ends[this.#count] = offset + end - begin;
    return this.#count++;
  }

  /** Lets `find` see `id`, unless an id with the same bytes is seen already or it has no bytes. */
  index(id: number): void {
    const begin = this.beginOf(id);
    const end = this.#ends[id];
    if (begin === end) return;
    if (2 * this.#indexed >= this.#slots.length) this.#growIndex();
    const hash = hashBytes(this.#bytes, begin, end);
    const slot = this.#slotOf(this.#bytes, begin, end, hash);
    if (this.#slots[slot] !== EMPTY) return;
    this.#slots[slot] = id;
    this.#hashes[id] = hash;
    this.#indexed++;
  }

  /** The indexed id whose bytes are `bytes[begin, end)`, or -1. */
  find(bytes: Uint8Array, begin: number, end: number): number {
    return this.findHashed(bytes, begin, end, hashBytes(bytes, begin, end));
  }

  /** `find` for a caller that has the hash. */
  findHashed(bytes: Uint8Array, begin: number, end: number, hash: number): number {
    return this.#slots[this.#slotOf(bytes, begin, end, hash)];
  }

  /** `find`, or else a new indexed id. */
  intern(bytes: Uint8Array, begin: number, end: number): number {
    const found = this.find(bytes, begin, end);
    if (found >= 0) return found;
    const id = this.append(bytes, begin, end);
    this.index(id);
    return id;
  }

  /** The bytes of `id`, a view that must not be written to. */
  bytesOf(id: number): Uint8Array {
    check(id >= 0 && id < this.#count, `symbol ${id} of ${this.#count}`);
    return this.#bytes.subarray(this.beginOf(id), this.#ends[id]);
  }

  /** All strings back to back; the next `append` may replace the buffer. */
  get buffer(): Uint8Array {
    return this.#bytes;
  }

  /** Offset in `buffer` of the first byte of `id`. */
  beginOf(id: number): number {
    return id === 0 ? 0 : this.#ends[id - 1];
  }

  /** Offset in `buffer` behind the last byte of `id`. */
  endOf(id: number): number {
    return this.#ends[id];
  }

  /** The slot that holds the string, or the empty one where it would go. */
  #slotOf(bytes: Uint8Array, begin: number, end: number, hash: number): number {
    const mask = this.#slots.length - 1;
    // The upper bits of a product depend on all bits of the hash, the lower ones do not.
    let slot = (Math.imul(hash, 0x9e3779b1) >>> 7) & mask;
    for (;;) {
      const id = this.#slots[slot];
      if (id === EMPTY) return slot;
      if (this.#hashes[id] === hash && this.#equals(id, bytes, begin, end)) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #equals(id: number, bytes: Uint8Array, begin: number, end: number): boolean {
    const own = this.beginOf(id);
    if (this.#ends[id] - own !== end - begin) return false;
    for (let i = 0; i < end - begin; i++) {
      if (this.#bytes[own + i] !== bytes[begin + i]) return false;
    }
    return true;
  }

  #growIndex(): void {
    const old = this.#slots;
    this.#slots = new Int32Array(2 * old.length).fill(EMPTY);
    for (const id of old) {
      if (id === EMPTY) continue;
      const slot = this.#slotOf(this.#bytes, this.beginOf(id), this.#ends[id], this.#hashes[id]);
      this.#slots[slot] = id;
    }
  }

  #reserve(sizeBytes: number): void {
    if (sizeBytes > this.#bytes.length) {
      const length = Math.max(sizeBytes, 2 * this.#bytes.length);
      this.#bytes = copyInto(new Uint8Array(length), this.#bytes);
    }
    if (this.#count === this.#ends.length) {
      this.#ends = copyInto(new Uint32Array(2 * this.#count), this.#ends);
      this.#hashes = copyInto(new Int32Array(2 * this.#count), this.#hashes);
    }
  }
}

function copyInto<T extends Uint8Array | Uint32Array | Int32Array>(target: T, source: T): T {
  target.set(source);
  return target;
}
