/**
 * The engine as the main thread holds it: starts the threads, passes requests on, follows their
 * output in shared memory. Knows ids, not text.
 */
import { check } from "../src/base/check.ts";
import { WorkerError } from "../src/base/errors.ts";
import {
  cancelledBeforeStart,
  type EngineRequest,
  type EngineResult,
  type PredictorChoice,
  type PredictorPolicy,
} from "../src/engine/types.ts";
import type { Pooling } from "../src/engine/text_pooler.ts";
import { createArenaMemory } from "../src/memory/arena.ts";
import { Control } from "../src/memory/control.ts";
import { controlWords } from "../src/memory/control_layout.ts";
import { type LayerViews, layerViews } from "../src/memory/observation.ts";
import { SharedText } from "../src/memory/shared_text.ts";
import type { RankSetup } from "../src/rank/open_rank.ts";
import type { RankPlan } from "../src/rank/plan_types.ts";
import { WorkerCaller } from "./caller.ts";
import { type EngineOptions, observationOf } from "./engine_options.ts";
import { IoPool } from "./io_pool.ts";
import type { CallName, Calls } from "./protocol.ts";

/** What some tokens of a text show of a layer: src/memory/observation.ts. */
export interface LayerObservation extends LayerViews {
  readonly layer: number;
  /** Index of the first of the tokens in the text. */
  readonly firstToken: number;
  readonly tokens: number;
}

/** How long threads get to leave by themselves when the engine closes. */
const CLOSE_MS_MAX = 1_000;
/** Threads that have said goodbye still free their isolates; no process should exit meanwhile. */
const TEARDOWN_MS = 10;
/** The same after a GPU: NVIDIA's driver, taking back gigabytes, brought down ending processes. */
const GPU_TEARDOWN_MS = 1_000;
/** How long the error of a failed follower is waited for. */
const CAUSE_MS_MAX = 200;

export class EngineHandle {
  readonly #setup: EngineOptions & Pick<RankSetup, "controlBuffer" | "observation">;
  readonly #control: Control;
  readonly #outputIds: Int32Array;
  readonly #callers: WorkerCaller[];
  /** Threads that read a packed model; null: it is none, or they were not started yet. */
  #io: IoPool | null = null;
  /** Why the last step of a packed model is void. */
  readonly #readFailure = new SharedText();
  #onRows: ((rows: Float32Array, firstPosition: number) => void) | null = null;
  #isBusy = false;
  #isClosed = false;
  #failure: Error | null = null;

  private constructor(options: EngineOptions) {
    const { plans, onProgress } = options;
    const { chunkTokens, contextLength } = plans[0];
    const controlBuffer = new SharedArrayBuffer(4 * controlWords(chunkTokens, contextLength));
    const size = { rankCount: plans.length, chunkTokens, leads: false };
    this.#control = new Control(controlBuffer, size);
    this.#outputIds = this.#control.outputIds();
    let loadedBytes = 0;
    this.#callers = plans.map((plan, rank) =>
      new WorkerCaller(
        new URL(scriptOf(plan), import.meta.url),
        rank === 0 ? "engine" : `rank-${rank}`,
        {
          onProgress: (bytes) => this.#tell(() => onProgress?.(loadedBytes += bytes)),
          onRows: (rows, firstPosition) => this.#onRows?.(rows, firstPosition),
          onFailure: (error) => this.#fail(error),
        },
      )
    );
    this.#setup = { ...options, controlBuffer, observation: observationOf(options) };
  }

  /**
   * Starts the threads and loads the model into their arenas. What `meanwhile` does, it does while
   * threads come up and load; what it throws ends them.
   * @throws {ModelFormatError} when the model's files cannot be read any more.
   */
  static async start(options: EngineOptions, meanwhile?: () => void): Promise<EngineHandle> {
    const handle = new EngineHandle(options);
    try {
      const loading = handle.#load();
      // Awaited below unless `meanwhile` throws, and then nobody asks any more.
      loading.catch(() => {});
      meanwhile?.();
      await loading;
    } catch (error) {
      handle.#control.fail(0); // whoever is still loading gives up
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
    // Whoever waited for a turn until the engine was closed gets what a cancelled request gets.
    if (this.#isClosed) return cancelledBeforeStart(request);
    this.#isBusy = true;
    const control = this.#control;
    control.cancelled = signal?.aborted ?? false;
    control.outputCount = 0;
    const cancel = () => control.cancelled = true;
    signal?.addEventListener("abort", cancel);
    let isAnswered = false;
    const answer = this.#ask("generate", request).finally(() => {
      isAnswered = true;
      control.announceOutput();
    });
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
        else await control.outputChanged(version);
      }
    } finally {
      cancel();
      signal?.removeEventListener("abort", cancel);
      await answer.catch(() => {});
      this.#isBusy = false;
    }
  }

  /**
   * Logits of every position of `ids`, in order, a few rows at a time: [rows, vocab].
   * stepTokens: of a step at most; left out: as many as a step gives logits of.
   * @throws {WorkerError} when the engine is closed before the last row; and what `onRows` throws.
   */
  async logits(
    ids: readonly number[],
    onRows: (rows: Float32Array, firstPosition: number) => void,
    stepTokens?: number,
  ): Promise<void> {
    check(!this.#isBusy, "one request at a time");
    this.#isBusy = true;
    this.#control.cancelled = this.#isClosed;
    let thrown: { readonly error: unknown } | null = null;
    this.#onRows = (rows, firstPosition) => {
      if (thrown !== null) return;
      try {
        onRows(rows, firstPosition);
      } catch (error) {
        thrown = { error };
        this.#control.cancelled = true;
      }
    };
    try {
      const { isComplete } = await this.#ask("logits", { ids, stepTokens });
      if (thrown !== null) throw (thrown as { error: unknown }).error;
      if (!isComplete) throw new WorkerError("The engine was closed before the last logits");
    } finally {
      this.#onRows = null;
      this.#isBusy = false;
    }
  }

  /**
   * Sum of −log p (nats) of the ids from index `from` on, each after all before it.
   * @throws {WorkerError} when the engine is closed before the last one.
   */
  async score(ids: readonly number[], from: number): Promise<number> {
    const { nll } = await this.#askAlone("score", { ids, from });
    if (nll === null) throw new WorkerError("The engine was closed before the text was scored");
    return nll;
  }

  /**
   * The vector of a text: see TextPooler.
   * @throws {WorkerError} when the engine is closed before its last token.
   */
  async embed(ids: readonly number[], pooling: Pooling): Promise<Float32Array> {
    const { vector } = await this.#askAlone("embed", { ids, pooling });
    if (vector === null) throw new WorkerError("The engine was closed before the text was read");
    return vector;
  }

  /**
   * Runs `ids` as one text and shows what neurons do, a few tokens and one layer at a time, layers
   * in order. What is yielded are views of shared memory: they change when the loop goes on.
   * @throws {WorkerError} when the engine is closed before the last token.
   */
  async *observe(ids: readonly number[]): AsyncGenerator<LayerObservation, void> {
    const { observation } = this.#setup;
    check(observation !== null, "an engine that is observed was started to be");
    check(!this.#isBusy, "one request at a time");
    this.#isBusy = true;
    try {
      const { tokens: most, layerCount } = observation.plan;
      for (let firstToken = 0; firstToken < ids.length; firstToken += most) {
        const some = ids.slice(firstToken, firstToken + most);
        this.#control.cancelled = this.#isClosed;
        const { isComplete } = await this.#ask("observe", { ids: some, position: firstToken });
        if (!isComplete) throw new WorkerError("The engine was closed before the last token");
        const tokens = some.length;
        for (let layer = 0; layer < layerCount; layer++) {
          yield { layer, firstToken, tokens, ...layerViews(observation, layer, tokens) };
        }
      }
    } finally {
      this.#isBusy = false;
    }
  }

  /**
   * Compares the model's predictors with the neurons that fire in a text, and decides which of them
   * are used from now on. Without it none is.
   * @throws {WorkerError} when the engine is closed before the end of the text.
   */
  async rehearse(
    ids: readonly number[],
    policy: PredictorPolicy,
  ): Promise<readonly PredictorChoice[]> {
    const { choices } = await this.#askAlone("rehearse", { ids, policy });
    if (choices === null) throw new WorkerError("The engine was closed while it was loaded");
    return choices;
  }

  /** Rate at which all threads together read their weights, GB/s. */
  async readSpeedGbps(): Promise<number> {
    check(!this.#isBusy, "one request at a time");
    return (await this.#ask("readSpeed", {})).gbps;
  }

  /** Stops all threads; what runs or waits is cancelled. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#control.cancelled = true;
    const goodbyes = this.#callers.map((caller) => caller.close(CLOSE_MS_MAX));
    // The leader sends followers home; where it cannot, they leave through the failure word.
    await goodbyes[0];
    this.#control.fail(0);
    await Promise.all(goodbyes);
    await this.#io?.close();
    const { gpu } = this.#setup;
    const ms = gpu && !gpu.mayBeSoftware ? GPU_TEARDOWN_MS : TEARDOWN_MS;
    await new Promise((resolve) => setTimeout(resolve, ms));
  }

  async #load(): Promise<void> {
    const { plans, config, tensors, parts, module, controlBuffer, observation } = this.#setup;
    const gpu = this.#setup.gpu ?? null;
    const memories = plans.map((plan) => plan.arenas.map(createArenaMemory));
    const streams = await this.#startReading(memories);
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
        observation,
        gpu,
        streams,
      };
      return caller.call("load", setup);
    });
    try {
      await Promise.all(loads);
    } catch (error) {
      throw this.#failure ?? error; // threads that gave up do not know why
    }
    if (this.#failure !== null) throw this.#failure;
  }

  /** Starts the threads that read a packed model. */
  async #startReading(
    memories: readonly (readonly WebAssembly.Memory[])[],
  ): Promise<RankSetup["streams"]> {
    const { packed } = this.#setup;
    if (packed === undefined) return null;
    const { model: { path, units, stamp }, ioWorkers: workerCount } = packed;
    const onFailure = (error: Error) => this.#fail(error);
    this.#io = new IoPool({ path, stamp, workerCount, memories, onFailure });
    await this.#io.ready;
    return {
      packed: { path, units },
      board: this.#io.board,
      ioWorkers: workerCount,
      stamp,
      failure: this.#readFailure.buffer,
    };
  }

  /** Calls the leader while no request runs; closing the engine cancels it. */
  async #askAlone<K extends CallName>(
    call: K,
    params: Calls[K]["params"],
  ): Promise<Calls[K]["result"]> {
    check(!this.#isBusy, "one request at a time");
    this.#isBusy = true;
    this.#control.cancelled = this.#isClosed;
    try {
      return await this.#ask(call, params);
    } finally {
      this.#isBusy = false;
    }
  }

  /** Calls the leader; an engine that fails on the way says why, also when a follower knows it. */
  async #ask<K extends CallName>(call: K, params: Calls[K]["params"]): Promise<Calls[K]["result"]> {
    try {
      return await this.#callers[0].call(call, params);
    } catch (error) {
      const failedRank = this.#control.failedRank();
      if (failedRank < 0 || this.#isClosed) throw error;
      // The message of the rank that failed may come a moment after the leader's.
      for (let ms = 0; failedRank > 0 && this.#failure === null && ms < CAUSE_MS_MAX; ms += 5) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      this.#failure ??= error as Error;
      throw this.#failure;
    }
  }

  /** Runs a caller's function; what it throws ends the loading. */
  #tell(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    // Whoever still waits at a join would wait for ever.
    this.#control.fail(0);
  }
}

function scriptOf({ rankIndex, gpu }: RankPlan): string {
  if (rankIndex === 0) return "./engine_worker.ts";
  return gpu === null ? "./compute_worker.ts" : "./gpu_worker.ts";
}
