/**
 * Notices that somebody who works has stopped getting anywhere. Looks now and then at a number that
 * changes with every bit of progress; knows nothing of what is done. A process that was suspended
 * sees one look, however long it slept: looks are counted, not time.
 */

import { WorkerError } from "../src/base/errors.ts";

export interface Watched {
  /** True while there is something to get on with. */
  readonly isBusy: () => boolean;
  /** Changes whenever something was done. */
  readonly progress: () => number;
  /** Called once, when nothing was done for too long. */
  readonly onStuck: (error: WorkerError) => void;
  /**
   * For how long nothing may be done; in looks of a twentieth of it, or a second at most. Default
   * 60 s: between two joins lies half a layer, a hundredth of a second, or seconds of a slow disk.
   */
  readonly stuckMs?: number;
}

const LOOKS = 20;
const LOOK_MS_MAX = 1_000;

export class Watchdog {
  readonly #watched: Watched;
  readonly #stuckMs: number;
  #timer: ReturnType<typeof setInterval> | undefined;
  #seen = 0;
  /** Looks since the last progress. */
  #idleLooks = 0;

  constructor(watched: Watched) {
    this.#watched = watched;
    this.#stuckMs = watched.stuckMs ?? 60_000;
  }

  /** Looks from now on, without keeping the process alive. */
  start(): void {
    const lookMs = Math.min(LOOK_MS_MAX, this.#stuckMs / LOOKS);
    this.#timer = setInterval(() => this.#look(this.#stuckMs / lookMs), lookMs);
    Deno.unrefTimer(this.#timer);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(looksMax: number): void {
    const { isBusy, progress, onStuck } = this.#watched;
    const now = progress();
    this.#idleLooks = isBusy() && now === this.#seen ? this.#idleLooks + 1 : 0;
    this.#seen = now;
    if (this.#idleLooks < looksMax) return;
    this.stop();
    const seconds = this.#stuckMs / 1000;
    onStuck(new WorkerError(`The engine got nowhere for ${seconds} s: it is given up`));
  }
}
