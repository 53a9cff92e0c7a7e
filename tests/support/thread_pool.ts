/**
 * Threads that engines of a test file have one after another. To start a thread, and to have V8
 * meet the engine's code in it for the first time, costs several times what most tests compute in
 * it. Whoever imports this gets a `Worker` whose thread is kept, once it has said goodbye, for the
 * next one with the same script. The script's own module is loaded anew each time, so what it
 * remembers is new; a thread that fails or is terminated is used no more. Tests of threads and of
 * how engines start and end (tests/workers, llm/engine_test.ts, whole/engine_faults_test.ts, and
 * all that start processes) do without.
 */
import type { FromPool, ToPool } from "./pooled_thread.ts";
import { chosenSizes } from "./sizes_as_data.ts";

const ThreadOfItsOwn = globalThis.Worker;
const THREAD_SCRIPT = new URL("./pooled_thread.ts", import.meta.url);
/** So many loads, and a thread ends: what V8 keeps of earlier ones is freed with it. */
const TURNS_MAX = 100;
/** Threads that have gone, but whose isolates are still being freed. */
const TEARDOWN_MS = 20;
/** The same where one had a GPU: the driver's libraries go, too. */
const GPU_TEARDOWN_MS = 500;

/** A thread, and who has it. */
class PooledThread {
  readonly script: string;
  owner: PooledWorker | null = null;
  readonly #thread: Worker;
  /** Which of its owners it speaks for; what it says of an earlier one is not heard. */
  #turn = 0;
  #heardTurn = 0;
  #ended = Promise.withResolvers<boolean>();

  constructor(script: string) {
    this.script = script;
    this.#thread = new ThreadOfItsOwn(THREAD_SCRIPT, { type: "module", name: "pooled" });
    this.#thread.onmessage = (event) => this.#receive(event);
    this.#thread.onmessageerror = (event) => this.owner?.onmessageerror?.(event);
    this.#thread.onerror = (event) => {
      const { owner } = this;
      this.owner = null;
      this.#ended.resolve(false);
      owner?.onerror?.(event);
    };
  }

  begin(owner: PooledWorker): void {
    this.owner = owner;
    const turn = ++this.#turn;
    this.#say({ pool: "begin", script: this.script, turn, sizes: chosenSizes() });
  }

  postMessage(message: unknown, transfer: Transferable[]): void {
    this.#thread.postMessage(message, transfer);
  }

  terminate(): void {
    this.owner = null;
    this.#thread.terminate();
  }

  /** Ends it; true: it had a GPU. */
  async end(): Promise<boolean> {
    this.#say({ pool: "end" });
    return await this.#ended.promise;
  }

  #say(message: ToPool): void {
    this.#thread.postMessage(message);
  }

  #receive(event: MessageEvent): void {
    const { data } = event as MessageEvent<FromPool | { readonly kind?: string } | null>;
    if (data !== null && typeof data === "object" && "pool" in data) {
      if (data.pool === "begun") this.#heardTurn = data.turn;
      else this.#ended.resolve(data.hadGpu);
      return;
    }
    const { owner } = this;
    if (owner === null || this.#heardTurn !== this.#turn) return;
    if (data?.kind === "bye") {
      this.owner = null;
      if (this.#turn < TURNS_MAX) idle.push(this);
      else ending.push(this.end());
    }
    owner.onmessage?.(event);
  }
}

const idle: PooledThread[] = [];
/** Threads on their way out: whether they had a GPU. */
const ending: Promise<boolean>[] = [];

/** What `new Worker` gives of a thread of the pool. */
class PooledWorker implements Pick<Worker, "onmessage" | "onmessageerror" | "onerror"> {
  onmessage: ((event: MessageEvent) => void) | null = null;
  onmessageerror: ((event: MessageEvent) => void) | null = null;
  onerror: ((event: ErrorEvent) => void) | null = null;
  readonly #thread: PooledThread;

  constructor(script: string | URL) {
    const at = idle.findLastIndex((thread) => thread.script === String(script));
    this.#thread = at < 0 ? new PooledThread(String(script)) : idle.splice(at, 1)[0];
    this.#thread.begin(this);
  }

  postMessage(message: unknown, transfer: Transferable[] = []): void {
    if (this.#thread.owner === this) this.#thread.postMessage(message, transfer);
  }

  terminate(): void {
    if (this.#thread.owner === this) this.#thread.terminate();
  }
}

Object.defineProperty(globalThis, "Worker", { value: PooledWorker });

Deno.test.afterAll(async () => {
  const hadGpu = await Promise.all([...ending, ...idle.splice(0).map((thread) => thread.end())]);
  const ms = hadGpu.includes(true) ? GPU_TEARDOWN_MS : TEARDOWN_MS;
  await new Promise((resolve) => setTimeout(resolve, ms));
});
