/** Bits of a file, the highest of each byte first; behind its end nothing can be read. */

export class BitReader {
  readonly bytes: Uint8Array;
  /** Makes the error of a file that is not what it should be. */
  readonly damaged: (what: string) => Error;
  #bit = 0;

  constructor(bytes: Uint8Array, damaged: (what: string) => Error) {
    this.bytes = bytes;
    this.damaged = damaged;
  }

  /** The one that is read next, or was begun. */
  get byte(): number {
    return this.#bit >>> 3;
  }

  get bytesLeft(): number {
    return this.bytes.length - this.byte;
  }

  /** The next 0 to 32 bits; zeros behind the end. */
  peek(count: number): number {
    return count === 0 ? 0 : this.#window() >>> 32 - count;
  }

  /** 0 to 32 bits, as a number without a sign. */
  read(count: number): number {
    const value = this.peek(count);
    this.#skip(count);
    return value;
  }

  /** The same in two's complement. */
  readSigned(count: number): number {
    if (count === 0) return 0;
    const value = this.#window() >> 32 - count;
    this.#skip(count);
    return value;
  }

  /** Zeros before the next one, which is read, too. */
  zeros(): number {
    for (let count = 0;; count += 32) {
      const window = this.#window();
      if (window === 0) {
        this.#skip(32);
        continue;
      }
      const zeros = Math.clz32(window);
      this.#skip(zeros + 1);
      return count + zeros;
    }
  }

  /** A whole number in Rice's code, its sign in the last bit. */
  readRice(parameter: number): number {
    const value = this.zeros() * 2 ** parameter + this.read(parameter);
    if (value > 0xffffffff) throw this.damaged("a sample has more than 32 bits");
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** Up to the next byte. */
  align(): void {
    this.#bit = this.#bit + 7 & ~7;
  }

  /** So many times eight bits. */
  skipBytes(count: number): void {
    this.#skip(8 * count);
  }

  #skip(count: number): void {
    this.#bit += count;
    if (this.#bit > 8 * this.bytes.length) throw this.damaged("it ends within its sound");
  }

  /** 32 bits, with a sign. */
  #window(): number {
    const { bytes } = this;
    const at = this.#bit >>> 3, off = this.#bit & 7;
    const four = bytes[at] << 24 | bytes[at + 1] << 16 | bytes[at + 2] << 8 | bytes[at + 3];
    return off === 0 ? four : four << off | bytes[at + 4] >> 8 - off;
  }
}
