/**
 * Makes one vector of a text: of the rows that a model's last norm leaves for its tokens, the mean,
 * the first or the last. Works on rows; knows nothing of models.
 */
import { check } from "../base/check.ts";
import type { Pooling } from "../model/types.ts";

export class TextPooler {
  readonly #pooling: Pooling;
  readonly #sum: Float64Array;
  #count = 0;

  constructor(pooling: Pooling, length: number) {
    this.#pooling = pooling;
    this.#sum = new Float64Array(length);
  }

  /** Takes in the next n tokens: `rows` [n, stride]. */
  add(rows: Float32Array, n: number): void {
    const stride = rows.length / n;
    for (let t = 0; t < n; t++, this.#count++) {
      if (this.#pooling === "first" && this.#count > 0) continue;
      if (this.#pooling === "last") this.#sum.fill(0);
      for (let i = 0; i < this.#sum.length; i++) this.#sum[i] += rows[t * stride + i];
    }
  }

  /** The vector of all tokens so far, one at least; its length is what the model makes it. */
  result(): Float32Array {
    check(this.#count > 0, "a text has a token");
    const divisor = this.#pooling === "mean" ? this.#count : 1;
    return Float32Array.from(this.#sum, (each) => each / divisor);
  }
}
