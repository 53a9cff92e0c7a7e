/** Threads that train predictors, one each at a time. Knows nothing of models and files. */
import type { BlockSamples, TrainedPredictor, TrainerOptions } from "../src/train/mod.ts";
import { WorkerCaller } from "./caller.ts";

export interface TrainerPoolOptions {
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
  readonly #options: TrainerPoolOptions;
  readonly #callers: WorkerCaller[] = [];
  /** Threads without work, and work without a thread: one of them is empty. */
  readonly #idle: WorkerCaller[] = [];
  readonly #waiting: ((caller: WorkerCaller) => void)[] = [];
  readonly #cancelWord = new SharedArrayBuffer(4);
  readonly #cancel = () => Atomics.store(new Int32Array(this.#cancelWord), 0, 1);
  /** The first failure: it ends all that is under way, and nothing begins behind it. */
  #failure: { readonly reason: unknown } | null = null;

  constructor(options: TrainerPoolOptions) {
    this.#options = options;
    options.signal.addEventListener("abort", this.#cancel);
  }

  /**
   * Trains a predictor, as soon as a thread is free, in the order of calls.
   * @throws the signal's reason, or what the first training failed with that did.
   */
  async train(samples: BlockSamples, options: TrainerOptions): Promise<TrainedPredictor> {
    const { module } = this.#options;
    const caller = await this.#take();
    try {
      this.#throwIfOver();
      const job = { samples, options, module, cancelWord: this.#cancelWord };
      return await caller.call("trainPredictor", job);
    } catch (reason) {
      this.#options.signal.throwIfAborted();
      this.#failure ??= { reason };
      this.#cancel();
      throw this.#failure.reason;
    } finally {
      this.#giveBack(caller);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#options.signal.removeEventListener("abort", this.#cancel);
    this.#cancel();
    await Promise.all(this.#callers.map((caller) => caller.close(CLOSE_MS_MAX)));
  }

  #throwIfOver(): void {
    this.#options.signal.throwIfAborted();
    if (this.#failure !== null) throw this.#failure.reason;
  }

  async #take(): Promise<WorkerCaller> {
    this.#throwIfOver();
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    if (this.#callers.length < this.#options.threads) return this.#start();
    return await new Promise((resolve) => this.#waiting.push(resolve));
  }

  #giveBack(caller: WorkerCaller): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(caller);
    else next(caller);
  }

  #start(): WorkerCaller {
    const script = new URL("./train_worker.ts", import.meta.url);
    const { onTrained } = this.#options;
    const caller = new WorkerCaller(script, `trainer-${this.#callers.length}`, { onTrained });
    this.#callers.push(caller);
    return caller;
  }
}
