/**
 * The engine as the main thread holds it: starts the threads, passes requests on, follows their
 * output in shared memory. Knows ids, not text.
 */
import { check } from "../src/base/check.ts";
import { WorkerError } from "../src/base/errors.ts";
import { pause } from "../src/base/pause.ts";
import {
  cancelledBeforeStart,
  type EngineRequest,
  type EngineResult,
  type PredictorChoice,
  type PredictorPolicy,
} from "../src/engine/types.ts";
import type { KvArchiveFile, KvSelection } from "../src/engine/kv_archive.ts";
import { RankCounts } from "../src/engine/rank_counts.ts";
import { createArenaMemory } from "../src/memory/arena.ts";
import { Control, type DraftCounts } from "../src/memory/control.ts";
import { controlWords } from "../src/memory/control_layout.ts";
import { FreedMemory } from "../src/memory/freed_memory.ts";
import { layerViews } from "../src/memory/observation.ts";
import { SharedText } from "../src/memory/shared_text.ts";
import type { RankSetup } from "../src/rank/open_rank.ts";
import { controlSize } from "../src/rank/plan/control_size.ts";
import { WorkerCaller } from "./caller.ts";
import type { EngineOptions, LayerObservation } from "./engine_options.ts";
import { draftSetupOf, observationOf, scriptOf } from "./engine_options.ts";
import { endThreads } from "./engine_end.ts";
import { ImageCalls } from "./image_calls.ts";
import { IoPool } from "./io_pool.ts";
import { KvSaves } from "./kv_saves.ts";
import type { CallName, Calls, LoadParams } from "./protocol.ts";
import { TextCalls } from "./text_calls.ts";
import { Watchdog } from "./watchdog.ts";

/** How long the error of a failed follower is waited for. */
const CAUSE_MS_MAX = 200;

/** Whose words a text as a whole uses. */
const ALONE_SLOT = 0;

/** What is done while an engine starts. */
type Meanwhile = () => Promise<unknown>;

export class EngineHandle {
  /** What is asked of whole texts, while no request runs. */
  readonly texts = new TextCalls((call, params, signal) => this.#askAlone(call, params, signal));
  /** What is asked of a tower. */
  readonly images = new ImageCalls((call, params, signal) => this.#askAlone(call, params, signal));
  readonly #setup: EngineOptions & Pick<RankSetup, "controlBuffer" | "observation">;
  readonly #control: Control;
  /** By slot: ids of the answer of the request that has it. */
  readonly #outputIds: readonly Int32Array[];
  /** Slots that no request has. */
  readonly #freeSlots: number[];
  readonly #callers: WorkerCaller[];
  readonly #watchdog: Watchdog;
  readonly #saves = new KvSaves((call, params) => this.#ask(call, params));
  /** Threads that read a packed model; null: it is none, or they were not started yet. */
  #io: IoPool | null = null;
  #counts: Pick<RankCounts, "activity"> | null = null; // before ranks have memory
  readonly #freed = new FreedMemory();
  /** Why the last step of a packed model is void. */
  readonly #readFailure = new SharedText();
  #onRows: ((rows: Float32Array, firstPosition: number) => void) | null = null;
  /** A text as a whole is worked at: no request may run. */
  #isAlone = false;
  #isClosed = false;
  #failure: Error | null = null;

  private constructor(options: EngineOptions) {
    const { plans, onProgress } = options;
    const size = controlSize(plans[0]);
    const controlBuffer = new SharedArrayBuffer(4 * controlWords(size));
    this.#control = new Control(controlBuffer, {
      ...size,
      rankCount: plans.length,
      leads: false,
    });
    const slots = Array.from({ length: size.slots }, (_, slot) => slot);
    this.#outputIds = slots.map((slot) => this.#control.outputIds(slot));
    this.#freeSlots = slots;
    let loadedBytes = 0;
    this.#callers = plans.map((plan, rank) =>
      new WorkerCaller(
        new URL(scriptOf(plan, options), import.meta.url),
        rank === 0 ? "engine" : `rank-${rank}`,
        {
          ...rank === 0 ? { onPost: () => this.#control.announceMessage() } : {},
          onProgress: (bytes) => this.#tell(() => onProgress?.(loadedBytes += bytes)),
          onRows: (rows, firstPosition) => this.#onRows?.(rows, firstPosition),
          onFailure: (error) => this.#fail(error),
        },
      )
    );
    this.#watchdog = new Watchdog({
      isBusy: () => this.#callers[0].pending > 0,
      progress: () => this.#control.heartbeat,
      // A thread cannot be ended from outside: whoever waits for it is told.
      onStuck: (error) => (this.#fail(error), this.#callers[0].giveUp(error)),
      stuckMs: options.stuckMs,
    });
    this.#setup = { ...options, controlBuffer, observation: observationOf(options) };
  }

  /**
   * Starts the threads and loads the model into their arenas. What `meanwhile` does, it does while
   * threads come up and load; what it throws ends them.
   * @throws {ModelFormatError} when the model's files cannot be read any more.
   */
  static async start(options: EngineOptions, meanwhile?: Meanwhile): Promise<EngineHandle> {
    const handle = new EngineHandle(options);
    try {
      const loading = handle.#load();
      // Awaited below unless `meanwhile` throws, and then nobody asks any more.
      loading.catch(() => {});
      await meanwhile?.();
      await loading;
      handle.#watchdog.start();
    } catch (error) {
      handle.#control.fail(0); // whoever is still loading gives up
      await handle.close();
      throw error;
    }
    return handle;
  }

  /** Room for keys and values that requests have, in tokens. */
  get kvTokens(): number {
    return this.#control.kvTokens;
  }

  /** What neurons have done so far: a look into the ranks' memory. */
  get neurons(): ReturnType<RankCounts["activity"]> {
    return this.#counts!.activity();
  }

  /** Why no request can be served any more, or null. */
  get failure(): Error | null {
    return this.#failure;
  }

  /**
   * Runs a request and yields its ids as they come; returns how it ended. As many at a time as the
   * plans have sequences. Leaving the loop early, or aborting, stops it within a join, or two steps
   * of the others.
   * @param drafts is kept up to date as ids come.
   */
  async *generate(
    request: EngineRequest,
    signal?: AbortSignal,
    drafts: DraftCounts = { drafted: 0, accepted: 0 },
  ): AsyncGenerator<readonly number[], EngineResult> {
    // Whoever waited for a turn until the engine was closed gets what a cancelled request gets.
    if (this.#isClosed || signal?.aborted) return cancelledBeforeStart(request);
    const slot = this.#freeSlots.shift();
    check(slot !== undefined && !this.#isAlone, "as many requests at a time as there are slots");
    const control = this.#control;
    const outputIds = this.#outputIds[slot];
    control.openSlot(slot);
    const cancel = () => control.cancel(slot);
    signal?.addEventListener("abort", cancel);
    let isAnswered = false;
    const answer = this.#ask("generate", { request, slot }).finally(() => {
      isAnswered = true;
      control.announceOutput();
    });
    // Awaited below in any case; this keeps a failure in between from being "unhandled".
    answer.catch(() => {});
    try {
      let seen = 0;
      for (;;) {
        const version = control.outputVersion;
        const count = control.outputCount(slot);
        if (count > seen) {
          control.readDrafts(slot, drafts);
          yield Array.from(outputIds.subarray(seen, count));
          seen = count;
        } else if (isAnswered) return await answer;
        else await control.outputChanged(version);
      }
    } finally {
      signal?.removeEventListener("abort", cancel);
      if (!isAnswered) cancel();
      await answer.catch(() => {});
      this.#freeSlots.push(slot);
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
    this.#beginAlone();
    let thrown: { readonly error: unknown } | null = null;
    this.#onRows = (rows, firstPosition) => {
      if (thrown !== null) return;
      try {
        onRows(rows, firstPosition);
      } catch (error) {
        thrown = { error };
        this.#control.cancel(ALONE_SLOT);
      }
    };
    try {
      const { isComplete } = await this.#ask("logits", { ids, stepTokens });
      if (thrown !== null) throw (thrown as { error: unknown }).error;
      if (!isComplete) throw new WorkerError("The engine was closed before the last logits");
    } finally {
      this.#onRows = null;
      this.#isAlone = false;
    }
  }

  /**
   * Runs `ids` as one text and shows what neurons do, a few tokens and one layer at a time, layers
   * in order. What is yielded are views of shared memory: they change when the loop goes on.
   * @throws {WorkerError} when the engine is closed before the last token.
   */
  async *observe(ids: readonly number[]): AsyncGenerator<LayerObservation, void> {
    const { observation } = this.#setup;
    check(observation !== null, "an engine that is observed was started to be");
    this.#beginAlone();
    try {
      const { tokens: most, layerCount } = observation.plan;
      for (let firstToken = 0; firstToken < ids.length; firstToken += most) {
        const some = ids.slice(firstToken, firstToken + most);
        const { isComplete } = await this.#ask("observe", { ids: some, position: firstToken });
        if (!isComplete) throw new WorkerError("The engine was closed before the last token");
        const tokens = some.length;
        for (let layer = 0; layer < layerCount; layer++) {
          yield { layer, firstToken, tokens, ...layerViews(observation, layer, tokens) };
        }
      }
    } finally {
      this.#isAlone = false;
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
    return (await this.#askAlone("readSpeed", {})).gbps;
  }

  /**
   * Writes what is remembered of prompts into a file while requests go on; what is forgotten before
   * its turn comes is not in it.
   * @returns how many blocks of 32 tokens that is; null: they are on a GPU.
   * @throws as `writeKvFile`; {WorkerError} when the engine is closed before the end.
   */
  saveKv(file: KvArchiveFile & KvSelection): Promise<number | null> {
    return this.#saves.save(file);
  }

  /** Brings back what such a file has; null: it is none of this model. */
  async restoreKv(file: KvArchiveFile): Promise<number | null> {
    return (await this.#ask("restoreKv", file)).blocks;
  }

  /** Stops all threads; what runs or waits is cancelled. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#watchdog.stop();
    this.#outputIds.forEach((_, slot) => this.#control.cancel(slot));
    await endThreads({
      callers: this.#callers,
      control: this.#control,
      io: this.#io,
      hasGpu: Boolean(this.#setup.gpu),
    });
    const last = this.#counts?.activity();
    this.#counts = last === undefined ? null : { activity: () => last };
    await this.#freed.collect();
  }

  /** A text as a whole runs in the first slot, and nothing beside it. */
  #beginAlone(): void {
    const isIdle = this.#freeSlots.length === this.#outputIds.length;
    check(isIdle && !this.#isAlone, "whole texts run alone");
    this.#isAlone = true;
    this.#control.openSlot(ALONE_SLOT);
    if (this.#isClosed) this.#control.cancel(ALONE_SLOT);
  }

  async #load(): Promise<void> {
    const { plans, config, tensors, parts, module, controlBuffer, observation } = this.#setup;
    const gpu = this.#setup.gpu ?? null;
    const memories = plans.map((plan) => plan.arenas.map(createArenaMemory));
    for (const memory of memories.flat()) this.#freed.watch(memory);
    const streams = await this.#startReading(memories);
    this.#counts = new RankCounts({ plans, memories, streams });
    const draft = draftSetupOf(this.#setup);
    for (const memory of draft?.memories.flat() ?? []) this.#freed.watch(memory);
    const loads = this.#callers.map((caller, rankIndex) => {
      const setup: LoadParams = {
        ...{ rankIndex, plans, config, tensors, parts, module, memories },
        ...{ controlBuffer, observation, gpu, streams },
        ...{ speculate: this.#setup.speculate, draft },
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
    const { model: { path, units, stamp }, ioWorkers: workerCount, isDirect: direct } = packed;
    check(direct || workerCount > 0, "the kernel reads past the file cache only");
    const onFailure = (error: Error) => this.#fail(error);
    this.#io = new IoPool({ path, stamp, workerCount, memories, direct, onFailure });
    await this.#io.ready;
    return {
      packed: { path, units },
      board: this.#io.board,
      ioWorkers: workerCount,
      stamp,
      failure: this.#readFailure.buffer,
    };
  }

  /** Calls the leader while no request runs; closing the engine, or the signal, cancels it. */
  async #askAlone<K extends CallName>(
    call: K,
    params: Calls[K]["params"],
    signal?: AbortSignal,
  ): Promise<Calls[K]["result"]> {
    this.#beginAlone();
    const cancel = () => this.#control.cancel(ALONE_SLOT);
    signal?.addEventListener("abort", cancel);
    if (signal?.aborted) cancel();
    try {
      return await this.#ask(call, params);
    } finally {
      signal?.removeEventListener("abort", cancel);
      this.#isAlone = false;
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
        await pause(5);
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
