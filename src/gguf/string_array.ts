/**
 * Strings packed back to back in one buffer, decoded when somebody asks. A vocabulary costs its
 * bytes and four more per string, not 150,000 JavaScript objects.
 */
import { check } from "../base/check.ts";
import type { StringArray } from "./types.ts";

const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });

/** A `StringArray` over GGUF's own form: each string is a u64 length and its bytes. */
export class PackedStrings implements StringArray {
  readonly kind = "strings" as const;
  readonly length: number;
  readonly #bytes: Uint8Array;
  /** Where each string's bytes end, in `#bytes`; a string begins 8 bytes after its forerunner. */
  readonly #ends: Uint32Array;

  constructor(bytes: Uint8Array, ends: Uint32Array) {
    this.#bytes = bytes;
    this.#ends = ends;
    this.length = ends.length;
  }

  at(index: number): string {
    return DECODER.decode(this.bytesAt(index));
  }

  bytesAt(index: number): Uint8Array {
    check(index >= 0 && index < this.length, `string ${index} of ${this.length}`);
    const begin = (index === 0 ? 0 : this.#ends[index - 1]) + LENGTH_BYTES;
    return this.#bytes.subarray(begin, this.#ends[index]);
  }

  *[Symbol.iterator](): IterableIterator<string> {
    for (let index = 0; index < this.length; index++) yield this.at(index);
  }
}

/** The length before each string: a u64. */
const LENGTH_BYTES = 8;

/** A `StringArray` of strings that are in memory already, for tests and made-up models. */
export function packStrings(texts: readonly string[]): StringArray {
  const encoder = new TextEncoder();
  const parts = texts.map((text) => encoder.encode(text));
  const ends = new Uint32Array(parts.length);
  let sizeBytes = 0;
  for (let i = 0; i < parts.length; i++) ends[i] = sizeBytes += LENGTH_BYTES + parts[i].length;
  const bytes = new Uint8Array(sizeBytes);
  for (let i = 0; i < parts.length; i++) bytes.set(parts[i], ends[i] - parts[i].length);
  return new PackedStrings(bytes, ends);
}
