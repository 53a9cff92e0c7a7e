/**
 * A scripted model that answers like a batching engine: some generations at once, each a piece a
 * step, a bounded number waiting, the rest refused at once.
 */
import { RequestError } from "../../src/base/errors.ts";
import type {
  GenerateChunk,
  GenerateRequest,
  GenerateResult,
  Generation,
} from "../../src/llm/types.ts";
import { ScriptedModel } from "./scripted_model.ts";

export interface PacedModelOptions {
  readonly id?: string;
  /** Generations that run at once. */
  readonly parallel: number;
  readonly waitingMax: number;
  /** Between two pieces of a generation; the first takes as long. */
  readonly stepMs: number;
  /** Pieces of an answer. */
  readonly pieces: number;
  /** Text of a piece; default "word ". */
  readonly piece?: string;
}

/** A generation that waits or runs. */
interface Job {
  readonly request: GenerateRequest;
  readonly chunks: GenerateChunk[];
  readonly ids: number[];
  end: GenerateResult | null;
  wake: () => void;
  readonly finished: (result: GenerateResult) => void;
}

export class PacedModel extends ScriptedModel {
  readonly #paced: PacedModelOptions;
  readonly #running = new Set<Job>();
  readonly #waiting: Job[] = [];
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(options: PacedModelOptions) {
    super({ id: options.id });
    this.#paced = options;
  }

  override get load(): { readonly running: number; readonly waiting: number } {
    return { running: this.#running.size, waiting: this.#waiting.length };
  }

  override generate(request: GenerateRequest): Generation {
    const { parallel, waitingMax } = this.#paced;
    // It answers tens of thousands: what a scripted model remembers of them would look like a leak.
    this.chats.length = this.chatOptions.length = 0;
    if (this.#running.size >= parallel && this.#waiting.length >= waitingMax) {
      const detail = { status: 503, code: "queue_full", retryAfterSeconds: 1 };
      throw new RequestError("The server is busy: try again later", detail);
    }
    const { promise: result, resolve: finished } = Promise.withResolvers<GenerateResult>();
    const job: Job = { request, chunks: [], ids: [], end: null, wake: () => {}, finished };
    request.signal?.addEventListener("abort", () => this.#end(job, "cancelled"), { once: true });
    this.#waiting.push(job);
    this.#admit();
    if (request.signal?.aborted) this.#end(job, "cancelled");
    return { result, [Symbol.asyncIterator]: () => read(job) };
  }

  #admit(): void {
    while (this.#running.size < this.#paced.parallel && this.#waiting.length > 0) {
      this.#running.add(this.#waiting.shift()!);
    }
    if (this.#running.size > 0) this.#timer ??= setInterval(() => this.#step(), this.#paced.stepMs);
    else {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  #step(): void {
    const { piece = "word ", pieces } = this.#paced;
    for (const job of [...this.#running]) {
      job.chunks.push({ text: piece, ids: [1] });
      job.ids.push(1);
      if (job.chunks.length >= pieces) this.#end(job, "stop");
      else job.wake();
    }
  }

  #end(job: Job, finishReason: "stop" | "cancelled"): void {
    if (job.end !== null) return;
    const timings = { promptTokens: job.request.ids.length, promptMs: 1, predictedMs: 1 };
    const text = job.chunks.map((chunk) => chunk.text).join("");
    const predictedTokens = job.ids.length;
    job.end = { text, ids: job.ids, finishReason, timings: { ...timings, predictedTokens } };
    this.#running.delete(job);
    const index = this.#waiting.indexOf(job);
    if (index >= 0) this.#waiting.splice(index, 1);
    job.finished(job.end);
    job.wake();
    this.#admit();
  }
}

async function* read(job: Job): AsyncGenerator<GenerateChunk> {
  for (let next = 0;;) {
    if (next < job.chunks.length) yield job.chunks[next++];
    else if (job.end !== null) return;
    else await new Promise<void>((resolve) => job.wake = resolve);
  }
}
