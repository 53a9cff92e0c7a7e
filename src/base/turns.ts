/** Long work on a thread that others need, too: who does it gives them a turn now and then. */
import { pause } from "./pause.ts";

const TURN_INTERVAL_MS = 20;

/** When the last of those who gave a turn goes on. */
let lastTurn: Promise<void> = Promise.resolve();

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

  /**
   * Goes on one after another, however many work so: others wait for one of them, not for all.
   * @throws the signal's reason when it was aborted in the meantime.
   */
  async give(): Promise<void> {
    await (lastTurn = lastTurn.then(() => pause(0)));
    this.#signal?.throwIfAborted();
    this.#nextMs = performance.now() + TURN_INTERVAL_MS;
  }
}
