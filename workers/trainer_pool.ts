/** Threads that train predictors, a layer each at a time. Knows nothing of models and files. */
import type { LayerResult, LayerSamples, LayerTraining } from "../src/train/mod.ts";
import { WorkerCaller } from "./caller.ts";

/** A layer to train. */
export interface LayerJob {
  readonly samples: LayerSamples;
  readonly training: LayerTraining;
}

export interface TrainerOptions {
  readonly threads: number;
  /** The compiled kernels. */
  readonly module: WebAssembly.Module;
  /** Ends the training: what is under way is rejected with the signal's reason. */
  readonly signal: AbortSignal;
  /** Samples trained on since the last such call, and the rank they were for. */
  readonly onTrained?: (samples: number, rank: number) => void;
}

/** How long a thread gets to leave by itself. */
const CLOSE_MS_MAX = 1_000;

export class TrainerPool implements AsyncDisposable {
  readonly #options: TrainerOptions;
  readonly #callers: WorkerCaller[] = [];
  readonly #cancelWord = new SharedArrayBuffer(4);
  readonly #cancel = () => Atomics.store(new Int32Array(this.#cancelWord), 0, 1);

  constructor(options: TrainerOptions) {
    this.#options = options;
    options.signal.addEventListener("abort", this.#cancel);
  }

  /** Trains all layers; results come in the order of the jobs, `onDone` as they are ready. */
  async train(jobs: readonly LayerJob[], onDone: () => void = () => {}): Promise<LayerResult[]> {
    const { signal, module, threads } = this.#options;
    const results: LayerResult[] = [];
    let next = 0;
    const work = async (caller: WorkerCaller) => {
      while (next < jobs.length) {
        signal.throwIfAborted();
        const index = next++;
        const job = { ...jobs[index], module, cancelWord: this.#cancelWord };
        results[index] = await caller.call("trainLayer", job);
        onDone();
      }
    };
    const count = Math.min(threads, jobs.length);
    while (this.#callers.length < count) this.#callers.push(this.#start());
    const ends = await Promise.allSettled(this.#callers.slice(0, count).map(work));
    signal.throwIfAborted();
    for (const end of ends) if (end.status === "rejected") throw end.reason;
    return results;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#options.signal.removeEventListener("abort", this.#cancel);
    this.#cancel();
    await Promise.all(this.#callers.map((caller) => caller.close(CLOSE_MS_MAX)));
  }

  #start(): WorkerCaller {
    const script = new URL("./train_worker.ts", import.meta.url);
    const { onTrained } = this.#options;
    return new WorkerCaller(script, `trainer-${this.#callers.length}`, { onTrained });
  }
}
