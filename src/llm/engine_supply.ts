/**
 * The engine of a loaded model, and a new one in its place when its GPU has failed: a device that
 * is lost costs the request that ran on it, not the server. Knows no text.
 */
import type { EngineHandle } from "../../workers/mod.ts";
import { WorkerError } from "../base/errors.ts";
import type { GpuPart } from "./choose_gpu.ts";

/** A running engine, and what of it a GPU computes; null: nothing. */
export interface OpenEngine {
  readonly engine: EngineHandle;
  readonly gpu: GpuPart | null;
}

export class EngineSupply {
  readonly #reopen: () => Promise<OpenEngine>;
  #open: OpenEngine;
  #isClosed = false;

  /** reopen: on the GPU again, or without one. */
  constructor(first: OpenEngine, reopen: () => Promise<OpenEngine>) {
    this.#open = first;
    this.#reopen = reopen;
  }

  /** What a GPU computes now; null: nothing. */
  get gpu(): GpuPart | null {
    return this.#open.gpu;
  }

  /** Why no request can be served any more, or null; a GPU's failure ends only its request. */
  get failure(): Error | null {
    const { failure } = this.#open.engine;
    return isGpuError(failure) ? null : failure;
  }

  /**
   * The engine, started anew where its GPU has failed. One turn at a time asks.
   * @throws {Error} when it cannot be started, not even without a GPU.
   */
  async ready(): Promise<EngineHandle> {
    const { engine } = this.#open;
    if (!isGpuError(engine.failure)) return engine;
    await engine.close();
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

/** Names of the errors of gpu/, which cross threads by name. */
const GPU_ERRORS = ["GpuUnavailableError", "GpuOutOfMemoryError", "GpuLostError"];

/** True of what a GPU's thread failed with. */
export function isGpuError(error: unknown): boolean {
  return GPU_ERRORS.includes(gpuErrorName(error));
}

/** True when a smaller share might fit. */
export function isOutOfGpuMemory(error: unknown): boolean {
  return gpuErrorName(error) === "GpuOutOfMemoryError";
}

function gpuErrorName(error: unknown): string {
  if (!(error instanceof Error)) return "";
  const { cause } = error;
  return cause instanceof Error ? cause.name : error.name;
}
