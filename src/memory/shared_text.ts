/** A short text that one thread leaves for another: the first one that comes stays until taken. */

const LENGTH_WORD = 0;
const BYTES_MAX = 1020;
/** Being written. */
const BUSY = -1;

export class SharedText {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;

  constructor(buffer = new SharedArrayBuffer(4 + BYTES_MAX)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer, 0, 1);
    this.#bytes = new Uint8Array(buffer, 4);
  }

  /** Leaves a text unless there is one; what is too long is cut. */
  leave(text: string): void {
    const bytes = new TextEncoder().encode(text).subarray(0, BYTES_MAX);
    if (Atomics.compareExchange(this.#words, LENGTH_WORD, 0, BUSY) !== 0) return;
    this.#bytes.set(bytes);
    Atomics.store(this.#words, LENGTH_WORD, bytes.length);
  }

  /** The text, which is gone then; empty: there is none. */
  take(): string {
    const length = Atomics.load(this.#words, LENGTH_WORD);
    if (length <= 0) return "";
    const text = new TextDecoder().decode(this.#bytes.slice(0, length));
    Atomics.store(this.#words, LENGTH_WORD, 0);
    return text;
  }
}
