/**
 * A thread that prepares images or sounds, started for the first one. Decoding runs in it, so that
 * nobody else waits, and ends with it when it takes too long. Knows nothing of towers.
 */
import { RequestError, WorkerError } from "../src/base/errors.ts";
import { checkSoundSize } from "../src/hearing/mod.ts";
import { isOfSounds } from "../src/model/is_of_sounds.ts";
import type { ImageConfig, SoundConfig } from "../src/model/vision_types.ts";
import { checkFileSize, type ImageTables, type PreparedImage } from "../src/vision/mod.ts";
import { WorkerCaller } from "./caller.ts";
import type { Calls } from "./protocol.ts";

export interface ImagePreparerOptions {
  /** How long an image may take; default 30 s, ten times what the largest ones take. */
  readonly timeoutMs?: number;
  /** How long a thread without images stays; default 30 s. */
  readonly idleMs?: number;
}

const TIMEOUT_MS = 30_000;
/** It is started in 0.1 s, and what it decoded last may be a gigabyte that it still has. */
const IDLE_MS = 30_000;
/** How long a thread gets to leave by itself. */
const CLOSE_MS_MAX = 1_000;

/** A thread, and what it was given before. */
interface Started {
  readonly caller: WorkerCaller;
  tables: ImageTables | null;
}

export class ImagePreparer {
  readonly #timeoutMs: number;
  readonly #idleMs: number;
  #idleTimer: ReturnType<typeof setTimeout> | undefined;
  #started: Started | null = null;
  #isClosed = false;
  /** The image that was asked for last: the next one waits for it. */
  #last: Promise<unknown> = Promise.resolve();

  constructor({ timeoutMs = TIMEOUT_MS, idleMs = IDLE_MS }: ImagePreparerOptions = {}) {
    this.#timeoutMs = timeoutMs;
    this.#idleMs = idleMs;
  }

  /**
   * A file as the projector wants it. Images and sounds wait for each other. Aborting takes effect
   * at once; what the thread has begun it ends.
   * @throws {RequestError} 400 when it is no image, damaged, larger than images may be, or takes
   *   too long; {UnsupportedModelError} for a projector of an unknown kind; the signal's reason.
   */
  prepare(
    file: Uint8Array,
    config: ImageConfig | SoundConfig,
    tables: ImageTables,
    signal?: AbortSignal,
  ): Promise<PreparedImage> {
    const prepared = this.#last.then(() => this.#prepare({ file, config }, tables, signal));
    this.#last = prepared.catch(() => {});
    return untilAborted(prepared, signal);
  }

  /** Ends the thread; an image under way is rejected. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#leave();
  }

  async #prepare(
    image: Pick<Calls["prepareImage"]["params"], "file" | "config">,
    tables: ImageTables,
    signal?: AbortSignal,
  ): Promise<PreparedImage> {
    signal?.throwIfAborted();
    if (this.#isClosed) throw new WorkerError("The thread of images is closed");
    const hears = isOfSounds(image.config);
    if (hears) checkSoundSize(image.file);
    else checkFileSize(image.file);
    clearTimeout(this.#idleTimer);
    const started = this.#started ??= this.#start();
    // Tables may be large, and are the same for all images of a model.
    const isKnown = started.tables !== null && areSame(started.tables, tables);
    const sent = { ...image, tables: isKnown ? null : tables };
    started.tables = tables;
    const timer = setTimeout(() => this.#giveUp(started, hears), this.#timeoutMs);
    try {
      return await started.caller.call("prepareImage", sent);
    } finally {
      clearTimeout(timer);
      if (!this.#isClosed) this.#idleTimer = setTimeout(() => this.#leave(), this.#idleMs);
    }
  }

  async #leave(): Promise<void> {
    clearTimeout(this.#idleTimer);
    const started = this.#started;
    this.#started = null;
    await started?.caller.close(CLOSE_MS_MAX);
  }

  #start(): Started {
    const script = new URL("./image_worker.ts", import.meta.url);
    const started: Started = {
      tables: null,
      caller: new WorkerCaller(script, "images", {
        onFailure: () => this.#forget(started),
      }),
    };
    return started;
  }

  #giveUp(started: Started, hears: boolean): void {
    const what = hears ? "listen to the sound" : "look at the image";
    const seconds = this.#timeoutMs / 1000;
    started.caller.giveUp(
      new RequestError(
        `Cannot ${what}: preparing it takes more than ${seconds} s: send a smaller one`,
        {
          status: 400,
          code: hears ? "audio_too_long" : "image_too_large",
          param: "messages",
        },
      ),
    );
    // It is busy, and does not hear that it should leave.
    started.caller.close(0);
  }

  #forget(started: Started): void {
    if (this.#started === started) this.#started = null;
  }
}

function areSame(a: ImageTables, b: ImageTables): boolean {
  return a.positions === b.positions && a.classTokens === b.classTokens &&
    a.patchBias === b.patchBias && a.second?.positions === b.second?.positions &&
    a.filters?.bands === b.filters?.bands;
}

/** Rejects with the signal's reason as soon as there is one. */
async function untilAborted<T>(result: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal === undefined) return await result;
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  try {
    return await Promise.race([result, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
    // Whoever has been told why does not hear what becomes of it.
    result.catch(() => {});
  }
}
