/** One download, however many ask for the same: it ends when the last of them has gone. */
import type { PullProgress } from "./options.ts";
import type { PulledModel } from "./pull_model.ts";

export interface Watcher {
  /** Aborted when whoever asked has gone. */
  readonly signal: AbortSignal;
  readonly onProgress: (progress: PullProgress) => void;
}

interface Job {
  readonly watchers: Set<Watcher>;
  readonly stop: AbortController;
  readonly done: Promise<PulledModel>;
}

/** Pulls the model of that reference. */
export type PullOne = (reference: string, watcher: Watcher) => Promise<PulledModel>;

export class SharedPulls {
  readonly #pull: PullOne;
  readonly #jobs = new Map<string, Job>();

  constructor(pull: PullOne) {
    this.#pull = pull;
  }

  /** Downloads under way. */
  get count(): number {
    return this.#jobs.size;
  }

  /** True while that one is under way. */
  has(reference: string): boolean {
    return this.#jobs.has(reference);
  }

  /**
   * Joins a download, or begins it.
   * @throws what the download does, or the watcher's reason to leave.
   */
  async join(reference: string, watcher: Watcher): Promise<PulledModel> {
    const { signal } = watcher;
    signal.throwIfAborted();
    let job = this.#jobs.get(reference);
    while (job?.stop.signal.aborted) {
      // The last one left it a moment ago.
      await job.done.catch(() => {});
      signal.throwIfAborted();
      job = this.#jobs.get(reference);
    }
    job ??= this.#begin(reference);
    return await this.#watch(job, watcher);
  }

  async #watch(job: Job, watcher: Watcher): Promise<PulledModel> {
    const { signal } = watcher;
    const { promise: gone, reject } = Promise.withResolvers<never>();
    const leave = () => {
      job.watchers.delete(watcher);
      if (job.watchers.size === 0) job.stop.abort(signal.reason);
      reject(signal.reason);
    };
    job.watchers.add(watcher);
    signal.addEventListener("abort", leave, { once: true });
    try {
      return await Promise.race([job.done, gone]);
    } finally {
      job.watchers.delete(watcher);
      signal.removeEventListener("abort", leave);
    }
  }

  #begin(reference: string): Job {
    const watchers = new Set<Watcher>();
    const stop = new AbortController();
    const onProgress = (progress: PullProgress) => {
      for (const watcher of watchers) watcher.onProgress(progress);
    };
    const done = this.#pull(reference, { signal: stop.signal, onProgress })
      .finally(() => this.#jobs.delete(reference));
    // All who wait may have gone.
    done.catch(() => {});
    const job = { watchers, stop, done };
    this.#jobs.set(reference, job);
    return job;
  }
}
