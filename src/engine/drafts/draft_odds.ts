/** How often guesses of a few kinds were right lately. Allocates nothing per guess. */
import type { GuessCounts } from "./drafts.ts";

/** Guesses that are remembered: older ones fade. */
const MEMORY_GUESSES = 32;
/** A prior counts as so many guesses. */
const PRIOR_GUESSES = 2;

export class DraftOdds {
  /** By kind: how likely a guess is right. */
  readonly odds: Float64Array;
  readonly #prior: Float64Array;
  /** By kind: guesses that were right, and all; faded. */
  readonly #right: Float64Array;
  readonly #all: Float64Array;

  /** prior: what is believed of each kind before its first guess. */
  constructor(prior: readonly number[]) {
    this.#prior = Float64Array.from(prior);
    this.odds = Float64Array.from(prior);
    this.#right = new Float64Array(prior.length);
    this.#all = new Float64Array(prior.length);
  }

  /** Forgets what was seen. */
  clear(): void {
    this.odds.set(this.#prior);
    this.#right.fill(0);
    this.#all.fill(0);
  }

  /** What came of guesses of these kinds, which were made one behind the other. */
  learn(kinds: ArrayLike<number>, { seen, right }: GuessCounts): void {
    for (let i = 0; i < seen && i <= right; i++) this.add(kinds[i], i < right);
  }

  /** A guess of this kind was seen to be right or wrong. */
  add(kind: number, isRight: boolean): void {
    const fade = 1 - 1 / MEMORY_GUESSES;
    this.#right[kind] = fade * this.#right[kind] + (isRight ? 1 : 0);
    this.#all[kind] = fade * this.#all[kind] + 1;
    this.odds[kind] = (this.#right[kind] + PRIOR_GUESSES * this.#prior[kind]) /
      (this.#all[kind] + PRIOR_GUESSES);
  }
}
