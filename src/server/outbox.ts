/**
 * A byte stream to a reader of unknown speed: holds what the reader has not taken yet, up to a
 * bound, and gives up on a reader that takes nothing for too long. Knows nothing of what it sends.
 */

export interface OutboxOptions {
  /** Characters held beyond which `isFull`. */
  readonly bufferChars: number;
  /** How long text may wait for the reader. */
  readonly lagMs: number;
  /** Called once when the reader has gone or was given up. */
  readonly onGone: () => void;
}

/** Text on its way to a reader. */
export class Outbox {
  /** What the reader reads. */
  readonly stream: ReadableStream<Uint8Array>;
  readonly #options: OutboxOptions;
  readonly #encoder = new TextEncoder();
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #state: "open" | "closing" | "ended" = "open";
  #held = "";
  #lagTimer: ReturnType<typeof setTimeout> | undefined;
  /** Resolves the reader's pending pull; null while the reader wants nothing. */
  #pulled: (() => void) | null = null;
  #drained: (() => void) | null = null;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => this.#pull(),
      cancel: () => this.#giveUp(),
    }, { highWaterMark: 0 });
  }

  /** True when the caller should wait for `room()` before it sends more. */
  get isFull(): boolean {
    return this.#held.length >= this.#options.bufferChars;
  }

  /** True when everything sent has been taken. */
  get isEmpty(): boolean {
    return this.#held === "";
  }

  /** Sends `text`, or holds it for the reader; nothing happens once the reader has gone. */
  send(text: string): void {
    if (this.#state !== "open") return;
    this.#held += text;
    if (this.#pulled) this.#deliver();
    else this.#lagTimer ??= setTimeout(() => this.#drop(), this.#options.lagMs);
  }

  /** Resolves when there is room again, or nobody to make room for. */
  room(): Promise<void> {
    if (!this.isFull || this.#state === "ended") return Promise.resolve();
    return new Promise((resolve) => this.#drained = resolve);
  }

  /** Ends the stream after what it still holds. */
  close(): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    if (this.#held === "") this.#end(() => this.#controller.close());
  }

  #pull(): Promise<void> | void {
    if (this.#held !== "") return this.#deliver();
    return new Promise((resolve) => this.#pulled = resolve);
  }

  #deliver(): void {
    clearTimeout(this.#lagTimer);
    this.#lagTimer = undefined;
    this.#controller.enqueue(this.#encoder.encode(this.#held));
    this.#held = "";
    if (this.#state === "closing") this.#end(() => this.#controller.close());
    else this.#wake();
  }

  #drop(): void {
    if (this.#state === "ended") return;
    const error = new Error(`A client left its answer unread for ${this.#options.lagMs} ms`);
    // Deno logs what fails a stream, and there is nothing to find at the end of this trace.
    error.stack = error.message;
    this.#controller.error(error);
    this.#giveUp();
  }

  #giveUp(): void {
    if (this.#state === "ended") return;
    this.#end(() => {});
    this.#options.onGone();
  }

  #end(finish: () => void): void {
    this.#state = "ended";
    clearTimeout(this.#lagTimer);
    this.#held = "";
    finish();
    this.#wake();
  }

  #wake(): void {
    this.#pulled?.();
    this.#drained?.();
    this.#pulled = this.#drained = null;
  }
}
