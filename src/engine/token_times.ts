/** How long each token of an answer took. Allocates nothing per token. */

export class TokenTimes {
  readonly #ms: Float32Array;
  #count = 0;
  #last = 0;

  constructor(tokensMax: number) {
    this.#ms = new Float32Array(tokensMax);
  }

  /** Begins an answer; nowMs: when its prompt was done. */
  restart(nowMs: number): void {
    this.#count = 0;
    this.#last = nowMs;
  }

  /** A token was done. */
  add(nowMs: number): void {
    this.#ms[this.#count++] = nowMs - this.#last;
    this.#last = nowMs;
  }

  /** Nearest-rank percentiles of the answer so far; 0 before the first token. */
  percentiles(): { p50: number; p90: number; p99: number } {
    const sorted = this.#ms.slice(0, this.#count).sort();
    const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
    return { p50: at(0.5), p90: at(0.9), p99: at(0.99) };
  }
}
