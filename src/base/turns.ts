/** Long work on a thread that others need, too: who does it gives them a turn now and then. */

const TURN_INTERVAL_MS = 50;

/** Gives other work of this thread its turn, now and then: Ctrl-C, timers, messages. */
export class Turns {
  readonly #signal: AbortSignal | undefined;
  #nextMs = performance.now() + TURN_INTERVAL_MS;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  /** True when the last turn is long enough ago; asked first, so that pieces cost no promise. */
  isDue(): boolean {
    return performance.now() >= this.#nextMs;
  }

  /** @throws the signal's reason when it was aborted in the meantime. */
  async give(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 0));
    this.#signal?.throwIfAborted();
    this.#nextMs = performance.now() + TURN_INTERVAL_MS;
  }
}

/** What `make` makes of each item, in order, with turns for others between them. */
export async function mapInTurns<T, U>(
  items: readonly T[],
  signal: AbortSignal | undefined,
  make: (item: T) => U,
): Promise<U[]> {
  const turns = new Turns(signal);
  const made: U[] = [];
  for (const item of items) {
    made.push(make(item));
    if (turns.isDue()) await turns.give();
  }
  return made;
}
