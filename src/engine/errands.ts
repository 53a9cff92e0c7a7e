/**
 * Work that may wait, done a little between two steps, so that no answer waits for all of it. Knows
 * nothing of what it is.
 */

/** Between two steps no more is begun when so much time has gone by: a step takes longer. */
const SLICE_MS = 5;

/** How an errand ends. */
export interface ErrandEnd<R> {
  done(result: R): void;
  failed(error: unknown): void;
}

interface Errand {
  /** Does a piece of it; true: that was the last one. */
  advance(): boolean;
  failed(error: unknown): void;
}

export class Errands {
  readonly #now: () => number;
  /** In the order in which they came. */
  readonly #waiting: Errand[] = [];

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Nothing is to be done. */
  get isIdle(): boolean {
    return this.#waiting.length === 0;
  }

  /** work: yields after each piece. */
  add<R>(work: Generator<void, R>, end: ErrandEnd<R>): void {
    this.#waiting.push({
      advance: () => {
        const step = work.next();
        if (step.done) end.done(step.value);
        return step.done === true;
      },
      failed: (error) => end.failed(error),
    });
  }

  /** Goes on with the oldest ones for a while: a piece at least. */
  advance(): void {
    const endMs = this.#now() + SLICE_MS;
    do this.#advanceOne(); while (this.#now() < endMs && !this.isIdle);
  }

  /** Does all that is left. */
  finish(): void {
    while (!this.isIdle) this.#advanceOne();
  }

  /** Nothing more will be done. */
  failAll(error: unknown): void {
    for (const errand of this.#waiting.splice(0)) errand.failed(error);
  }

  #advanceOne(): void {
    const [oldest] = this.#waiting;
    if (oldest === undefined) return;
    try {
      if (oldest.advance()) this.#waiting.shift();
    } catch (error) {
      this.#waiting.shift();
      oldest.failed(error);
    }
  }
}
