/**
 * The engine as the main thread holds it: starts the threads, passes requests on, follows their
 * output in shared memory. Knows ids, not text.
 */
import { check } from "../src/base/check.ts";
import type { EngineRequest, EngineResult } from "../src/engine/types.ts";
import type { GgufPart, GgufTensor } from "../src/gguf/types.ts";
import { createArenaMemory } from "../src/memory/arena.ts";
import { Control } from "../src/memory/control.ts";
import { controlWords } from "../src/memory/control_layout.ts";
import type { ModelConfig } from "../src/model/types.ts";
import type { RankSetup } from "../src/rank/open_rank.ts";
import type { RankPlan } from "../src/rank/plan_types.ts";
import { WorkerCaller } from "./caller.ts";

export interface EngineOptions {
  /** One per thread. */
  readonly plans: readonly RankPlan[];
  readonly config: ModelConfig;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  readonly parts: readonly GgufPart[];
  /** The compiled kernels. */
  readonly module: WebAssembly.Module;
  /** Told how many bytes of weights all threads have read so far. */
  readonly onProgress?: (loadedBytes: number) => void;
}

/** How long threads get to leave by themselves when the engine closes. */
const CLOSE_MS_MAX = 1_000;

export class EngineHandle {
  readonly #setup: EngineOptions & { readonly controlBuffer: SharedArrayBuffer };
  readonly #control: Control;
  readonly #outputIds: Int32Array;
  readonly #callers: WorkerCaller[];
  #onRows: ((rows: Float32Array, firstPosition: number) => void) | null = null;
  #isBusy = false;
  #failure: Error | null = null;

  private constructor(options: EngineOptions) {
    const { plans, onProgress } = options;
    const { chunkTokens, contextLength } = plans[0];
    const controlBuffer = new SharedArrayBuffer(4 * controlWords(chunkTokens, contextLength));
    const size = { rankCount: plans.length, chunkTokens, leads: false };
    this.#control = new Control(controlBuffer, size);
    this.#outputIds = this.#control.outputIds();
    let loadedBytes = 0;
    this.#callers = plans.map((_, rank) =>
      new WorkerCaller(
        new URL(rank === 0 ? "./engine_worker.ts" : "./compute_worker.ts", import.meta.url),
        rank === 0 ? "engine" : `rank-${rank}`,
        {
          onProgress: (bytes) => onProgress?.(loadedBytes += bytes),
          onRows: (rows, firstPosition) => this.#onRows?.(rows, firstPosition),
          onFailure: (error) => this.#fail(error),
        },
      )
    );
    this.#setup = { ...options, controlBuffer };
  }

  /**
   * Starts the threads and loads the model into their arenas.
   * @throws {ModelFormatError} when the model's files cannot be read any more.
   */
  static async start(options: EngineOptions): Promise<EngineHandle> {
    const handle = new EngineHandle(options);
    try {
      await handle.#load();
    } catch (error) {
      await handle.close();
      throw error;
    }
    return handle;
  }

  /** Why no request can be served any more, or null. */
  get failure(): Error | null {
    return this.#failure;
  }

  /**
   * Runs a request and yields its ids as they come; returns how it ended. One at a time. Leaving
   * the loop early, or aborting, stops the engine within a join.
   */
  async *generate(
    request: EngineRequest,
    signal?: AbortSignal,
  ): AsyncGenerator<readonly number[], EngineResult> {
    check(!this.#isBusy, "one request at a time");
    this.#isBusy = true;
    const control = this.#control;
    control.cancelled = signal?.aborted ?? false;
    control.outputCount = 0;
    const cancel = () => control.cancelled = true;
    signal?.addEventListener("abort", cancel);
    let isAnswered = false;
    const answer = this.#callers[0].call("generate", request).finally(() => isAnswered = true);
    // Awaited below in any case; this keeps a failure in between from being "unhandled".
    answer.catch(() => {});
    try {
      let seen = 0;
      for (;;) {
        const version = control.outputVersion;
        const count = control.outputCount;
        if (count > seen) {
          yield Array.from(this.#outputIds.subarray(seen, count));
          seen = count;
        } else if (isAnswered) return await answer;
        else await Promise.race([control.outputChanged(version), answer]);
      }
    } finally {
      cancel();
      signal?.removeEventListener("abort", cancel);
      await answer.catch(() => {});
      this.#isBusy = false;
    }
  }

  /** Logits of every position of `ids`, in order, a few rows at a time: [rows, vocab]. */
  async logits(
    ids: readonly number[],
    onRows: (rows: Float32Array, firstPosition: number) => void,
  ): Promise<void> {
    check(!this.#isBusy, "one request at a time");
    this.#isBusy = true;
    this.#onRows = onRows;
    this.#control.cancelled = false;
    try {
      await this.#callers[0].call("logits", { ids });
    } finally {
      this.#onRows = null;
      this.#isBusy = false;
    }
  }

  /** Rate at which all threads together read their weights, GB/s. */
  async readSpeedGbps(): Promise<number> {
    check(!this.#isBusy, "one request at a time");
    return (await this.#callers[0].call("readSpeed", {})).gbps;
  }

  /** Stops all threads. */
  async close(): Promise<void> {
    this.#control.cancelled = true;
    if (this.#failure === null) {
      const home = this.#callers[0].call("close", {}).catch(() => {});
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise((resolve) => timer = setTimeout(resolve, CLOSE_MS_MAX));
      await Promise.race([home, late]);
      clearTimeout(timer);
    }
    // Followers that never saw the exit step leave through the failure word.
    this.#control.fail(0);
    for (const caller of this.#callers) caller.close();
  }

  async #load(): Promise<void> {
    const { plans, config, tensors, parts, module, controlBuffer } = this.#setup;
    const memories = plans.map((plan) => plan.arenas.map(createArenaMemory));
    const loads = this.#callers.map((caller, rankIndex) => {
      const setup: RankSetup = {
        rankIndex,
        plans,
        config,
        tensors,
        parts,
        module,
        memories,
        controlBuffer,
      };
      return caller.call("load", setup);
    });
    await Promise.all(loads);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    // Whoever still waits at a join would wait for ever.
    this.#control.fail(0);
  }
}
