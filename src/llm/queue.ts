/**
 * Turns at the engine: as many run as it takes at once, a bounded number waits, in order of
 * priority, the rest is refused at once. A turn alone waits until nobody else has one.
 */
import { RequestError } from "../base/errors.ts";
import { counted } from "../base/units.ts";

/** Weight of the newest turn in the running average of turn lengths. */
const AVERAGE_SHARE = 0.3;
const RETRY_SECONDS_MAX = 120;

interface Waiter {
  readonly priority: number;
  readonly isAlone: boolean;
  admit(): void;
}

/** How a turn is waited for. */
export interface TurnOptions {
  readonly signal?: AbortSignal;
  /** Larger ones are admitted first. Default 0. */
  readonly priority?: number;
  /** Nobody else has a turn meanwhile. */
  readonly isAlone?: boolean;
}

export class TurnQueue {
  readonly #in: { readonly runningMax: number; readonly waitingMax: number };
  /** In the order in which they are admitted. */
  readonly #waiters: Waiter[] = [];
  #running = 0;
  #hasOneAlone = false;
  #averageTurnMs = 1_000;

  constructor(limits: { readonly runningMax: number; readonly waitingMax: number }) {
    this.#in = limits;
  }

  get running(): number {
    return this.#running;
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
  enter({ signal, priority = 0, isAlone = false }: TurnOptions = {}): Promise<() => void> {
    if (this.#waiters.length === 0 && this.#hasRoom(isAlone)) {
      return Promise.resolve(this.#turn(isAlone));
    }
    if (this.#waiters.length >= this.#in.waitingMax) throw this.#full();
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        reject(signal?.reason);
        // Others may have waited for one that wanted to be alone.
        this.#admit();
      };
      const waiter: Waiter = {
        priority,
        isAlone,
        admit: () => {
          signal?.removeEventListener("abort", leave);
          resolve(this.#turn(isAlone));
        },
      };
      if (signal?.aborted) return reject(signal.reason);
      signal?.addEventListener("abort", leave, { once: true });
      let at = this.#waiters.length;
      while (at > 0 && this.#waiters[at - 1].priority < priority) at--;
      this.#waiters.splice(at, 0, waiter);
      // It may be before one that waits to be alone, and need not wait itself.
      this.#admit();
    });
  }

  #hasRoom(isAlone: boolean): boolean {
    return isAlone
      ? this.#running === 0
      : this.#running < this.#in.runningMax && !this.#hasOneAlone;
  }

  /** Admits those who wait, until one has to wait on: it is not overtaken. */
  #admit(): void {
    while (this.#waiters.length > 0 && this.#hasRoom(this.#waiters[0].isAlone)) {
      this.#waiters.shift()!.admit();
    }
  }

  /** The function that ends a turn that begins now; calling it again does nothing. */
  #turn(isAlone: boolean): () => void {
    const startMs = performance.now();
    this.#running++;
    this.#hasOneAlone = isAlone;
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      const turnMs = performance.now() - startMs;
      this.#averageTurnMs += AVERAGE_SHARE * (turnMs - this.#averageTurnMs);
      this.#running--;
      if (isAlone) this.#hasOneAlone = false;
      this.#admit();
    };
  }

  #full(): RequestError {
    const turns = (this.#waiters.length + 1) / this.#in.runningMax;
    const seconds = Math.ceil(this.#averageTurnMs * turns / 1000);
    return new RequestError(
      `The server is busy (${counted(this.#waiters.length, "request")} waiting): try again later`,
      {
        status: 503,
        type: "server_error",
        code: "queue_full",
        retryAfterSeconds: Math.min(RETRY_SECONDS_MAX, Math.max(1, seconds)),
      },
    );
  }
}
