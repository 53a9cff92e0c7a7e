/**
 * Several generations of one request, together: what they make comes as one stream of events. Knows
 * nothing of what is done with it.
 */
import { RequestError } from "../../base/errors.ts";
import type {
  GenerateChunk,
  GenerateRequest,
  GenerateResult,
  Generation,
} from "../../llm/types.ts";

/** What one of the generations made, or how it ended. */
export type GenerationEvent =
  | { readonly kind: "chunk"; readonly index: number; readonly chunk: GenerateChunk }
  | { readonly kind: "end"; readonly index: number; readonly result: GenerateResult };

/** One client's share of the engine. */
const TOGETHER_MAX = 8;

/** Starts one of them, as `LanguageModel.generate`. */
export type StartGeneration = (request: GenerateRequest) => Generation;

/**
 * Starts as many of `requests` as may run together; the others follow as these end. When one fails,
 * all end.
 * @throws {RequestError} at once, when the model refuses the first.
 */
export function startGenerations(
  start: StartGeneration,
  requests: readonly GenerateRequest[],
  signal: AbortSignal,
): AsyncGenerator<GenerationEvent> {
  const set = new GenerationSet(start, requests, signal);
  set.startMore();
  return set.read();
}

class GenerationSet {
  readonly #start: StartGeneration;
  readonly #requests: readonly GenerateRequest[];
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  #events: GenerationEvent[] = [];
  #failure: { readonly error: unknown } | null = null;
  #started = 0;
  #running = 0;
  #wake: (() => void) | null = null;

  constructor(
    start: StartGeneration,
    requests: readonly GenerateRequest[],
    signal: AbortSignal,
  ) {
    this.#start = start;
    this.#requests = requests;
    this.#signal = AbortSignal.any([signal, this.#stop.signal]);
  }

  startMore(): void {
    while (this.#started < this.#requests.length && this.#running < TOGETHER_MAX) {
      let generation;
      try {
        const request = this.#requests[this.#started];
        generation = this.#start({ ...request, signal: this.#signal });
      } catch (error) {
        // One of its own ends some time, and makes room for the next.
        if (this.#running > 0 && error instanceof RequestError && error.code === "queue_full") {
          return;
        }
        this.#stop.abort();
        throw error;
      }
      this.#follow(this.#started, generation);
      this.#started += 1;
    }
  }

  async *read(): AsyncGenerator<GenerationEvent> {
    let isOver = false;
    try {
      for (;;) {
        const events = this.#events;
        this.#events = [];
        yield* events;
        if (this.#events.length > 0) continue;
        if (this.#failure !== null) throw this.#failure.error;
        if (this.#running === 0 && this.#started === this.#requests.length) break;
        await new Promise<void>((resolve) => this.#wake = resolve);
      }
      isOver = true;
    } finally {
      // Left early.
      if (!isOver) this.#stop.abort();
    }
  }

  async #follow(index: number, generation: Generation): Promise<void> {
    this.#running += 1;
    // Whoever iterates learns of a failure; nobody may be waiting for the result at that time.
    generation.result.catch(() => {});
    try {
      for await (const chunk of generation) this.#push({ kind: "chunk", index, chunk });
      this.#push({ kind: "end", index, result: await generation.result });
      this.#running -= 1;
      if (this.#failure === null && !this.#signal.aborted) this.startMore();
    } catch (error) {
      this.#fail(error);
    }
    this.#wake?.();
  }

  #push(event: GenerationEvent): void {
    this.#events.push(event);
    this.#wake?.();
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#stop.abort();
  }
}
