/** Noise: the same in each sound, so that the same file is always the same samples. */

export class Random {
  #state = 0x2545f491;

  /** From -1 to 1, never 0 (Marsaglia's xorshift of 32 bits). */
  next(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return state / 2 ** 31;
  }
}
