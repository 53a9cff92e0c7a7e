/**
 * Takes jobs from a store and has them run, a bounded number at once, while the process has nothing
 * better to do. Knows neither what jobs ask nor who answers.
 */
import type { BatchStore, JobResult, TakenJob } from "./batch_store.ts";
import { pause } from "../base/pause.ts";

/** What running a job came to: its result, or that it is to be tried again. */
export type RunOutcome =
  | { readonly result: JobResult }
  | { readonly retryMs: number; readonly isAttempt: boolean };

export interface RunnerOptions {
  readonly store: BatchStore;
  /** Jobs at once. */
  readonly concurrency: number;
  /** Runs a job. When `signal` is aborted it ends soon, with a result only where it has one. */
  readonly run: (job: TakenJob, signal: AbortSignal) => Promise<RunOutcome>;
  /** True when jobs had better not begin: others need what they would take. */
  readonly isBusy: () => boolean;
  /** True when a job that runs is in somebody's way: the newest one is given back. */
  readonly isInTheWay: () => boolean;
  readonly onError: (error: unknown) => void;
  /** Between two beats of a job, which is how soon it hears of its end; default 2 s. */
  readonly beatMs?: number;
  /** A process that is busy for longer works on one job all the same; default 10 s. */
  readonly patienceMs?: number;
}

/** How often it looks whether it is in somebody's way. */
const LOOK_MS = 50;
/** Between two tries to reach a store that is away. */
const AWAY_MS_MIN = 100;
const AWAY_MS_MAX = 10_000;
/** Tries of what the store refuses for another reason. */
const REFUSALS_MAX = 5;

export class JobRunner {
  readonly #in: Required<RunnerOptions>;
  readonly #stop = new AbortController();
  readonly #ended: Promise<unknown>;
  /** Jobs that run, oldest first. */
  readonly #running: AbortController[] = [];

  constructor(options: RunnerOptions) {
    this.#in = { beatMs: 2000, patienceMs: 10_000, ...options };
    const lanes = Array.from({ length: options.concurrency }, (_, lane) => this.#work(lane));
    this.#ended = Promise.all([this.#makeWay(), ...lanes]);
  }

  /** How many jobs run. */
  get running(): number {
    return this.#running.length;
  }

  /** Resolves when what ran is given back. */
  async stop(): Promise<void> {
    this.#stop.abort();
    for (const job of this.#running) job.abort();
    await this.#ended;
  }

  async #makeWay(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await pause(LOOK_MS, signal);
      if (this.#running.length > 0 && this.#in.isInTheWay()) this.#running.at(-1)!.abort();
    }
  }

  /** One job after the other. The first lane's patience ends. */
  async #work(lane: number): Promise<void> {
    const { signal } = this.#stop;
    let idleAtMs = performance.now();
    const mustWait = () =>
      this.#in.isBusy() && (lane > 0 || performance.now() - idleAtMs < this.#in.patienceMs);
    while (!signal.aborted) {
      if (!this.#in.isBusy()) idleAtMs = performance.now();
      if (mustWait()) {
        await pause(LOOK_MS, signal);
        continue;
      }
      try {
        const job = await this.#in.store.jobs.take(signal);
        // Somebody may have come while it was waited for.
        if (job !== null && mustWait()) await this.#giveBack(job, LATER);
        // One that had to make way is not begun again at once.
        else if (job !== null && !await this.#do(job)) idleAtMs = performance.now();
        // Jobs that are refused at once must not keep everybody else from the event loop.
        await pause(0, signal);
      } catch (error) {
        this.#in.onError(error);
        await pause(AWAY_MS_MIN, signal);
      }
    }
  }

  /** Runs a job; false when it had to make way. */
  async #do(job: TakenJob): Promise<boolean> {
    if (this.#stop.signal.aborted) {
      await this.#giveBack(job, LATER);
      return true;
    }
    const stop = new AbortController();
    this.#running.push(stop);
    const beats = setInterval(() => {
      // A store that is away says nothing about the job.
      job.beat().then((isOurs) => isOurs || stop.abort(), () => {});
    }, this.#in.beatMs);
    let outcome: RunOutcome;
    try {
      outcome = await this.#in.run(job, stop.signal);
    } catch (error) {
      if (!stop.signal.aborted) this.#in.onError(error);
      outcome = { retryMs: RETRY_MS, isAttempt: true };
    } finally {
      clearInterval(beats);
      this.#running.splice(this.#running.indexOf(stop), 1);
    }
    if (!("result" in outcome)) {
      await this.#giveBack(job, stop.signal.aborted ? LATER : outcome);
      return !stop.signal.aborted;
    }
    const { result } = outcome;
    if (!await this.#insist(() => job.finish(result))) {
      await this.#insist(() => job.finish(REFUSED));
    }
    return true;
  }

  async #giveBack(
    job: TakenJob,
    { retryMs: delayMs, isAttempt }: { readonly retryMs: number; readonly isAttempt: boolean },
  ): Promise<void> {
    // One that cannot be given back is free when its lease ends.
    await job.giveBack({ delayMs, isAttempt }).catch(this.#in.onError);
  }

  /**
   * Until the store is there again: what was computed is not thrown away. False when the store is
   * there and refuses it for good.
   */
  async #insist(act: () => Promise<unknown>): Promise<boolean> {
    let refusals = 0;
    for (let ms = AWAY_MS_MIN;; ms = Math.min(2 * ms, AWAY_MS_MAX)) {
      try {
        await act();
        return true;
      } catch (error) {
        this.#in.onError(error);
        if (this.#stop.signal.aborted) return true;
        if (!isPassing(error) && ++refusals >= REFUSALS_MAX) return false;
        await pause(ms, this.#stop.signal);
      }
    }
  }
}

/** A store that is away, or full, will take it another time. */
function isPassing(error: unknown): boolean {
  const status = (error as { status?: unknown } | null)?.status;
  return status === 503 || status === 507;
}

const REFUSED: JobResult = {
  response: null,
  error: { code: "result_refused", message: "The answer could not be kept" },
};

/** Not its fault. */
const LATER = { retryMs: 0, isAttempt: false };
const RETRY_MS = 1000;
