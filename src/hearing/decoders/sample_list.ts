/** Samples while they are decoded: as many as there will be, nobody knows. */
import { checkLength } from "../limits.ts";

export class SampleList {
  readonly #rate: number;
  #values = new Float32Array(1 << 16);
  #count = 0;

  constructor(rate: number) {
    this.#rate = rate;
  }

  get count(): number {
    return this.#count;
  }

  /**
   * Room for so many more, which are zeros; until the next call.
   * @throws {RequestError} 400 when it is too long with them.
   */
  grow(count: number): Float32Array {
    const end = this.#count + count;
    checkLength(end, this.#rate);
    if (end > this.#values.length) {
      const grown = new Float32Array(2 * end);
      grown.set(this.#values.subarray(0, this.#count));
      this.#values = grown;
    }
    const room = this.#values.subarray(this.#count, end);
    this.#count = end;
    return room;
  }

  /** All of them, or the first so many where that is not 0. */
  take(most = 0): Float32Array {
    return this.#values.subarray(0, most > 0 ? Math.min(most, this.#count) : this.#count);
  }
}
