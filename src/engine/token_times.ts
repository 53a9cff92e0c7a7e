/** How long each token of an answer took. Allocates nothing per token. */

export class TokenTimes {
  readonly #ms: Float32Array;
  #count = 0;
  #last = 0;
  /** The first one of a wait; -1: none is under way. */
  #waitFrom = -1;

  constructor(tokensMax: number) {
    this.#ms = new Float32Array(tokensMax);
  }

  /** Begins an answer; nowMs: when its prompt was done. */
  restart(nowMs: number): void {
    this.#count = 0;
    this.#waitFrom = -1;
    this.#last = nowMs;
  }

  /** A token was done. */
  add(nowMs: number): void {
    this.#ms[this.#count++] = nowMs - this.#last;
    this.#last = nowMs;
  }

  /** The tokens that come until `endWait` were computed together: each took the same part. */
  beginWait(): void {
    this.#waitFrom = this.#count;
  }

  endWait(): void {
    const first = this.#waitFrom;
    this.#waitFrom = -1;
    if (first < 0 || first === this.#count) return;
    let ms = 0;
    for (let i = first; i < this.#count; i++) ms += this.#ms[i];
    this.#ms.fill(ms / (this.#count - first), first, this.#count);
  }

  /** Nearest-rank percentiles of the answer so far; 0 before the first token. */
  percentiles(): { p50: number; p90: number; p99: number } {
    this.endWait();
    const sorted = this.#ms.slice(0, this.#count).sort();
    const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
    return { p50: at(0.5), p90: at(0.9), p99: at(0.99) };
  }
}
