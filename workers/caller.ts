/** The main thread's side of the protocol: one thread, its calls under way and its life. */
import {
  ModelFormatError,
  RequestError,
  UnsupportedModelError,
  WorkerError,
} from "../src/base/errors.ts";
import type { CallMessage, CallName, Calls, ErrorData, ReplyMessage } from "./protocol.ts";

/**
 * A thread's life. Messages posted while it is `running` are answered; when it is `failed` or
 * `closed`, calls under way are rejected and new ones refused.
 */
type Life = "running" | "failed" | "closed";

export interface CallerEvents {
  /** A message to the thread is about to be posted. */
  onPost?(): void;
  /** Bytes loaded since the last such event. */
  onProgress?(bytes: number): void;
  /** Logits of positions from `firstPosition` on, [rows, vocab]. */
  onRows?(rows: Float32Array, firstPosition: number): void;
  /** A trainer went on: samples since the last such event, and the rank it is at. */
  onTrained?(samples: number, rank: number): void;
  /** The thread died; nothing it was asked will be answered. */
  onFailure?(error: Error): void;
}

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** Starts a thread and calls it. */
export class WorkerCaller {
  readonly #worker: Worker;
  readonly #name: string;
  readonly #events: CallerEvents;
  readonly #waiting = new Map<number, Waiting>();
  readonly #goodbye = Promise.withResolvers<void>();
  #life: Life = "running";
  #failure: Error | null = null;
  #nextId = 1;

  constructor(script: URL, name: string, events: CallerEvents) {
    this.#name = name;
    this.#events = events;
    this.#worker = new Worker(script, { type: "module", name });
    this.#worker.onmessage = (event: MessageEvent<ReplyMessage>) => this.#receive(event.data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(new WorkerError(`Thread "${name}" died: ${event.message}`));
      this.#goodbye.resolve();
    };
    this.#worker.onmessageerror = () => {
      this.#fail(new WorkerError(`Thread "${name}" sent what cannot be read`));
    };
  }

  /** Asks the thread for something; rejects with the error that its handler threw. */
  call<K extends CallName>(call: K, params: Calls[K]["params"]): Promise<Calls[K]["result"]> {
    if (this.#life !== "running") {
      return Promise.reject(this.#failure ?? new WorkerError(`Thread "${this.#name}" is closed`));
    }
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, {
        resolve: (result) => resolve(result as Calls[K]["result"]),
        reject,
      });
      this.#post({ call, id, params } as CallMessage);
    });
  }

  /** Calls that wait for their answers. */
  get pending(): number {
    return this.#waiting.size;
  }

  /** Gives the thread up: its calls under way are rejected with `error`, new ones refused. */
  giveUp(error: Error): void {
    this.#fail(error);
  }

  /**
   * Asks the thread to end, and waits for its goodbye; what it was asked before is answered. One
   * that does not come back within `waitMs` is told to stop from outside, which a busy thread
   * notices late.
   *
   * A process that exits while threads are being torn down can crash: they leave by themselves.
   */
  async close(waitMs: number): Promise<void> {
    if (this.#life === "running") this.#life = "closed";
    this.#post({ call: "close", id: 0, params: {} });
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<"late">((resolve) => {
      timer = setTimeout(() => resolve("late"), waitMs);
    });
    if (await Promise.race([this.#goodbye.promise, late]) === "late") this.#worker.terminate();
    clearTimeout(timer);
    this.#rejectAll(new WorkerError(`Thread "${this.#name}" was closed`));
  }

  #post(message: CallMessage): void {
    this.#events.onPost?.();
    this.#worker.postMessage(message);
  }

  #receive(message: ReplyMessage): void {
    if (message.kind === "progress") return this.#events.onProgress?.(message.bytes);
    if (message.kind === "trained") {
      return this.#events.onTrained?.(message.samples, message.rank);
    }
    if (message.kind === "rows") {
      return this.#events.onRows?.(message.rows, message.firstPosition);
    }
    if (message.kind === "bye") return this.#goodbye.resolve();
    if (message.kind === "failure") return this.#fail(errorFrom(message.error));
    const waiting = this.#waiting.get(message.id);
    if (waiting === undefined) return;
    this.#waiting.delete(message.id);
    if (message.kind === "result") waiting.resolve(message.result);
    else waiting.reject(errorFrom(message.error));
  }

  #fail(error: Error): void {
    if (this.#life !== "running") return;
    this.#life = "failed";
    this.#failure = error;
    this.#rejectAll(error);
    this.#events.onFailure?.(error);
  }

  #rejectAll(error: Error): void {
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
  }
}

/** Rebuilds an error on this side: the same class where callers tell it apart. */
function errorFrom(data: ErrorData): Error {
  const cause = new Error(data.message);
  cause.name = data.name;
  cause.stack = data.stack;
  if (data.request !== undefined) return new RequestError(data.message, data.request);
  if (data.name === "UnsupportedModelError") {
    return Object.assign(new UnsupportedModelError(data.message), { cause });
  }
  if (data.name === "ModelFormatError") {
    const message = data.message.replace(/ \(at byte \d+.*\)$/s, "");
    const at = { offsetBytes: data.offsetBytes ?? 0, path: data.path };
    return Object.assign(new ModelFormatError(message, at), { cause });
  }
  return new WorkerError(`${data.worker}: ${data.message}`, { cause });
}
