/** Turns at the engine: one runs, a bounded number waits in order, the rest is refused at once. */
import { RequestError } from "../base/errors.ts";

/** Weight of the newest turn in the running average of turn lengths. */
const AVERAGE_SHARE = 0.3;
const RETRY_SECONDS_MAX = 120;

interface Waiter {
  admit(): void;
}

export class TurnQueue {
  readonly #waitingMax: number;
  readonly #waiters: Waiter[] = [];
  #isTaken = false;
  #averageTurnMs = 1_000;

  constructor(waitingMax: number) {
    this.#waitingMax = waitingMax;
  }

  get running(): number {
    return this.#isTaken ? 1 : 0;
  }

  get waiting(): number {
    return this.#waiters.length;
  }

  /**
   * Takes the next free turn.
   * @returns settles, when the turn has come, with the function that ends it; rejects with the
   *   signal's reason when it is aborted before.
   * @throws {RequestError} 503 `queue_full`, at once and not through the promise.
   */
  enter(signal?: AbortSignal): Promise<() => void> {
    if (this.#isTaken && this.#waiters.length >= this.#waitingMax) throw this.#full();
    if (!this.#isTaken) {
      this.#isTaken = true;
      return Promise.resolve(this.#turn());
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        reject(signal?.reason);
      };
      const waiter: Waiter = {
        admit: () => {
          signal?.removeEventListener("abort", leave);
          resolve(this.#turn());
        },
      };
      if (signal?.aborted) return reject(signal.reason);
      signal?.addEventListener("abort", leave, { once: true });
      this.#waiters.push(waiter);
    });
  }

  /** The function that ends a turn that begins now; calling it again does nothing. */
  #turn(): () => void {
    const startMs = performance.now();
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      const turnMs = performance.now() - startMs;
      this.#averageTurnMs += AVERAGE_SHARE * (turnMs - this.#averageTurnMs);
      const next = this.#waiters.shift();
      if (next === undefined) this.#isTaken = false;
      else next.admit();
    };
  }

  #full(): RequestError {
    const seconds = Math.ceil((this.#averageTurnMs * (this.#waiters.length + 1)) / 1000);
    return new RequestError(
      `The server is busy: ${this.#waiters.length} requests wait already: try again later`,
      {
        status: 503,
        type: "server_error",
        code: "queue_full",
        retryAfterSeconds: Math.min(RETRY_SECONDS_MAX, Math.max(1, seconds)),
      },
    );
  }
}
