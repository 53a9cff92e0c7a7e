/**
 * Notices that somebody who works has stopped getting anywhere. Looks now and then at a number that
 * changes with every bit of progress; knows nothing of what is done. A process that was suspended
 * sees one look, however long it slept: looks are counted, not time.
 */

export interface Watched {
  /** True while there is something to get on with. */
  readonly isBusy: () => boolean;
  /** Changes whenever something was done. */
  readonly progress: () => number;
  /** Called once, when nothing was done for too long. */
  readonly onStuck: () => void;
  /** For how long nothing may be done; in looks of a twentieth of it, or a second at most. */
  readonly stuckMs: number;
}

const LOOKS = 20;
const LOOK_MS_MAX = 1_000;

export class Watchdog {
  readonly #watched: Watched;
  #timer: ReturnType<typeof setInterval> | undefined;
  #seen = 0;
  /** Looks since the last progress. */
  #idleLooks = 0;

  constructor(watched: Watched) {
    this.#watched = watched;
  }

  /** Looks from now on, without keeping the process alive. */
  start(): void {
    const lookMs = Math.min(LOOK_MS_MAX, this.#watched.stuckMs / LOOKS);
    this.#timer = setInterval(() => this.#look(this.#watched.stuckMs / lookMs), lookMs);
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
    onStuck();
  }
}
