/**
 * How long a waiting thread looks before it sleeps, learnt from how its waits ended. On a quiet
 * machine the others come soon, and a sleeper is woken too late; where other programs have the
 * cores, a thread that spins may have the one of whom it waits for. Counts probes; knows neither
 * clocks nor memory.
 */

/** What a wake costs, in probes, 20 µs: a wait that spins no longer is never in vain. */
export const SHORT_PROBES = 500;
/** What waits that ended while they were spun can put aside; a vain one takes several's. */
const CREDIT_MAX = 16;
const VAIN_COST = 4;
/** So many sleeps, and a long spin is tried again; after each that is in vain twice as many. */
const TRIAL_SLEEPS = 32;
const TRIAL_SLEEPS_MAX = 512;

export class SpinBound {
  /** Of the next wait. */
  probes: number;
  readonly #probesMax: number;
  #credit = CREDIT_MAX;
  #sleepsLeft = 0;
  #trialSleeps = TRIAL_SLEEPS;

  /** @param probesMax of a wait whose spinning pays. */
  constructor(probesMax: number) {
    this.#probesMax = probesMax;
    this.probes = probesMax;
  }

  /** A wait ended after more than `SHORT_PROBES`, without a sleep. */
  paid(): void {
    if (this.#credit < CREDIT_MAX) this.#credit++;
    else this.#trialSleeps = TRIAL_SLEEPS;
  }

  /** A wait has spun for all of `probes`, and sleeps now. */
  vain(): void {
    if (this.probes <= SHORT_PROBES) {
      if (--this.#sleepsLeft <= 0) this.probes = this.#probesMax;
      return;
    }
    this.#credit = Math.max(0, this.#credit - VAIN_COST);
    if (this.#credit > 0) return;
    this.probes = SHORT_PROBES;
    this.#sleepsLeft = this.#trialSleeps;
    this.#trialSleeps = Math.min(2 * this.#trialSleeps, TRIAL_SLEEPS_MAX);
  }
}
