/**
 * The engine of a loaded model, and a new one in its place when its GPU has failed: a device that
 * is lost costs the request that ran on it, not the server. Knows no text.
 */
import type { EngineHandle } from "../../workers/mod.ts";
import { isModelChanged, messageOf, RequestError, WorkerError } from "../base/errors.ts";
import type { GpuPart } from "./choose_gpu.ts";
import type { IdSource } from "./generation.ts";
import type { Notice } from "./predictor_report.ts";
import type { NeuronActivity } from "./types.ts";

/** A running engine, and what of it a GPU computes; null: nothing. */
export interface OpenEngine {
  readonly engine: EngineHandle;
  readonly gpu: GpuPart | null;
}

export class EngineSupply {
  readonly #reopen: () => Promise<OpenEngine>;
  #open: OpenEngine;
  /** Another engine is being started. */
  #reopening: Promise<EngineHandle> | null = null;
  #isClosed = false;
  /** Its file is not what was loaded any more: every request that reads it fails. */
  #changed: RequestError | null = null;

  /** reopen: on the GPU again, or without one. */
  constructor(first: OpenEngine, reopen: () => Promise<OpenEngine>) {
    this.#open = first;
    this.#reopen = reopen;
  }

  /** What a GPU computes now; null: nothing. */
  get gpu(): GpuPart | null {
    return this.#open.gpu;
  }

  /** Room for keys and values that requests have, in tokens. */
  get kvTokens(): number {
    return this.#open.engine.kvTokens;
  }

  /** What neurons have done since the engine was started. */
  get neurons(): NeuronActivity {
    return this.#open.engine.neurons;
  }

  /** Why no request can be served any more, or null; a GPU's failure ends only its request. */
  get failure(): Error | null {
    const { failure } = this.#open.engine;
    return isGpuError(failure) ? this.#changed : failure ?? this.#changed;
  }

  /** The ids of an answer as they come, of an engine that can give some. */
  async *generate(...of: Parameters<IdSource>): ReturnType<IdSource> {
    const engine = await this.ready();
    try {
      return yield* engine.generate(...of);
    } catch (error) {
      throw this.#noted(error);
    }
  }

  /** What `read` makes of an engine that can be asked. */
  async use<T>(read: (engine: EngineHandle) => Promise<T>): Promise<T> {
    const engine = await this.ready();
    try {
      return await read(engine);
    } catch (error) {
      throw this.#noted(error);
    }
  }

  /** Whoever loads the model again can answer soon. */
  #noted(error: unknown): unknown {
    if (!isModelChanged(error)) return error;
    const { message, status, code } = error;
    return this.#changed = new RequestError(message, { status, code, retryAfterSeconds: 1 });
  }

  /**
   * The engine, started anew where its GPU has failed: once, however many ask meanwhile.
   * @throws {Error} when it cannot be started, not even without a GPU.
   */
  async ready(): Promise<EngineHandle> {
    const { engine } = this.#open;
    if (!isGpuError(engine.failure)) return engine;
    this.#reopening ??= this.#startAnother(engine).finally(() => this.#reopening = null);
    return await this.#reopening;
  }

  async #startAnother(failed: EngineHandle): Promise<EngineHandle> {
    await failed.close();
    if (this.#isClosed) throw new WorkerError("The engine was closed");
    const next = await this.#reopen();
    this.#open = next;
    // Whoever closed meanwhile closed the one before.
    if (this.#isClosed) await next.engine.close();
    return next.engine;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#open.engine.close();
  }
}

/**
 * What `start` makes of the first of `tries` with which it succeeds: one that does not fit the
 * GPU's memory is followed by the next, any other trouble of the GPU by none at all (null, the
 * last), where that may be.
 * @throws what `start` throws with the last, or what is not the GPU's fault.
 */
export async function firstThatFits<T>(
  tries: readonly (GpuPart | null)[],
  start: (part: GpuPart | null) => Promise<T>,
  notify: (notice: Notice) => void,
): Promise<T> {
  const last = tries.length - 1;
  for (let index = 0;;) {
    try {
      return await start(tries[index]);
    } catch (error) {
      if (index === last || !isGpuError(error)) throw error;
      const { share } = tries[index]!;
      if (isOutOfGpuMemory(error)) index++;
      // What is not there will not be there for less.
      else if (tries[last] === null) index = last;
      else throw error;
      const next = tries[index] === null
        ? "without the GPU"
        : tries[index]?.share === share
        ? "with the room of one context on the GPU for all requests"
        : "with less of it on the GPU";
      const reason = messageOf(error);
      notify({ kind: "warning", text: `The model is loaded again, ${next}: ${reason}` });
    }
  }
}

/** Names of the errors of gpu/, which cross threads by name. */
const GPU_ERRORS = ["GpuUnavailableError", "GpuOutOfMemoryError", "GpuLostError"];

/** True of what a GPU's thread failed with. */
export function isGpuError(error: unknown): boolean {
  return GPU_ERRORS.includes(gpuErrorName(error));
}

/** True when a smaller share might fit. */
function isOutOfGpuMemory(error: unknown): boolean {
  return gpuErrorName(error) === "GpuOutOfMemoryError";
}

function gpuErrorName(error: unknown): string {
  if (!(error instanceof Error)) return "";
  const { cause } = error;
  return cause instanceof Error ? cause.name : error.name;
}
