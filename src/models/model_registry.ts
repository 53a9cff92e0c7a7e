/**
 * Several models behind one server: loaded when they are asked for, kept for a while, evicted when
 * another needs their memory, and never while a request uses them. Knows neither files nor HTTP;
 * what a model is made of is the loader's business.
 *
 * Requests that wait are served in the order in which they came. The first one that needs memory
 * closes the models that must go for it to newcomers: a busy model cannot keep another one out.
 */
import { isModelChanged, RequestError, shutdownError, withoutFolders } from "../base/errors.ts";
import { findNamed } from "../base/latest_tag.ts";
import { counted } from "../base/units.ts";
import type { LanguageModel } from "../llm/types.ts";
import { Entry } from "./entry.ts";
import type {
  AcquireOptions,
  FileFacts,
  ModelCatalog,
  ModelLease,
  ModelLoader,
  ModelStatus,
  RegistryEvent,
  UnloadReason,
} from "./types.ts";

export interface RegistryOptions {
  readonly catalog: ModelCatalog;
  readonly loader: ModelLoader;
  /** Memory that all loaded models may take together; a model that needs more gets all of it. */
  readonly memoryBytes: number;
  /** How long a model stays after its last use; default 5 minutes. */
  readonly keepAliveMs?: number;
  /** Requests that may wait for models; default 64. */
  readonly waitingMax?: number;
  /** For how long a model that could not be loaded is not tried again; default 5 s. */
  readonly retryMs?: number;
  readonly onEvent?: (event: RegistryEvent) => void;
}

interface Waiter {
  /** Which model is meant of those in one engine. */
  readonly id: string;
  readonly entry: Entry;
  readonly keepAliveMs: number | undefined;
  readonly settle: (outcome: ModelLease | Error) => void;
}

export class ModelRegistry implements AsyncDisposable {
  readonly #options: Required<RegistryOptions>;
  readonly #entries = new Map<string, Entry>();
  readonly #waiters: Waiter[] = [];
  #changed = Promise.withResolvers<void>();
  #isLoading = false;
  #isClosed = false;
  #isPreloading = false;

  constructor(options: RegistryOptions) {
    const { keepAliveMs = 5 * 60_000, waitingMax = 64, retryMs = 5_000 } = options;
    const { onEvent = () => {} } = options;
    this.#options = { ...options, keepAliveMs, waitingMax, retryMs, onEvent };
  }

  /** "loading" while a model is loaded that the server is to begin with. */
  get state(): "loading" | "ready" {
    return this.#isPreloading ? "loading" : "ready";
  }

  /** Every model, the default one first. */
  list(): readonly ModelStatus[] {
    // Asked for once: a folder may have more models the next time.
    const ids = this.#options.catalog.ids();
    const statuses = this.#known(ids).map((entry) =>
      [entry.id, entry.status(this.#waitersOf(entry).length)] as const
    );
    const byId = new Map(statuses);
    return ids.map((id) => {
      const base = this.#baseOf(id);
      return id === base ? byId.get(id)! : statusBeside(byId.get(base)!, id);
    });
  }

  /** The id of the model that a name stands for. */
  idOf(name: string): string | undefined {
    const { catalog } = this.#options;
    return findNamed(catalog.ids(), name) ?? catalog.idOf?.(name);
  }

  fileOf(id: string): FileFacts | undefined {
    return this.#options.catalog.fileOf?.(id);
  }

  /**
   * Loads a model that the server is to begin with; meanwhile `state` says so.
   * @throws {Error} what the loader throws.
   */
  async preload(id?: string): Promise<void> {
    this.#isPreloading = true;
    try {
      (await this.acquire(id))?.release();
    } catch (error) {
      throw error instanceof RequestError ? error.cause ?? error : error;
    } finally {
      this.#isPreloading = false;
    }
  }

  /**
   * The right to use a model, once it is loaded.
   * @param id its name; left out: the default model's. Where there is one only, any name is its.
   * @returns undefined where there is no such model.
   * @throws {RequestError} 503 when too many wait, it is closed, or the model's engine has failed
   *   too often; 500 `model_load_failed`. What aborts `signal` is thrown as its reason.
   */
  async acquire(id?: string, options: AcquireOptions = {}): Promise<ModelLease | undefined> {
    const { keepAliveMs, signal } = options;
    signal?.throwIfAborted();
    const found = this.#find(id);
    if (this.#isClosed) throw shutdownError();
    if (found === undefined) return undefined;
    const { entry } = found;
    if (entry.isOpen) return this.#lease(found, keepAliveMs);
    const { broken, loadFailure } = entry;
    if (broken !== null) throw brokenError(entry.id, broken);
    if (loadFailure !== null && performance.now() - loadFailure.atMs < this.#options.retryMs) {
      throw loadError(entry.id, loadFailure.error);
    }
    if (this.#waiters.length >= this.#options.waitingMax) throw this.#full();
    return await new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        reject(signal?.reason);
        this.#announce();
      };
      const waiter: Waiter = {
        ...found,
        keepAliveMs,
        settle: (outcome) => {
          signal?.removeEventListener("abort", leave);
          if (outcome instanceof Error) reject(outcome);
          else resolve(outcome);
        },
      };
      signal?.addEventListener("abort", leave, { once: true });
      this.#waiters.push(waiter);
      this.#serve();
    });
  }

  /**
   * Lets a model leave as soon as no request uses it; who asks from now on gets it loaded anew.
   * @returns false when there is no such model.
   */
  unload(id: string): boolean {
    const entry = this.#find(id)?.entry;
    if (entry === undefined) return false;
    if (entry.state === "ready" && entry.leases === 0) this.#unload(entry, "stopped");
    else if (entry.state === "ready" || entry.state === "loading") entry.leaving = "stopped";
    return true;
  }

  /**
   * Ends all models; who waits is told so. abandonsLoads: one that is being loaded is not waited
   * for, by whom ends the process: a large file takes minutes.
   */
  async close({ abandonsLoads = false } = {}): Promise<void> {
    this.#isClosed = true;
    for (const waiter of [...this.#waiters]) this.#settle(waiter, shutdownError());
    this.#announce();
    for (const entry of this.#entries.values()) {
      if (entry.state === "ready") this.#unload(entry, "closing");
    }
    // One that is being loaded leaves when it has come.
    const left = () =>
      [...this.#entries.values()].filter(({ state }) =>
        state !== "unloaded" && !(abandonsLoads && state === "loading")
      );
    while (left().length > 0) await Promise.all(left().map((entry) => entry.closing));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Those of all ids that have engines. */
  #known(ids: readonly string[]): Entry[] {
    return ids.filter((id) => this.#baseOf(id) === id).map((id) => {
      let entry = this.#entries.get(id);
      if (entry === undefined) {
        this.#entries.set(id, entry = new Entry(id, this.#options.keepAliveMs));
      }
      return entry;
    });
  }

  /** The id of the model in whose engine that of this id is. */
  #baseOf(id: string): string {
    return this.#options.catalog.baseOf?.(id) ?? id;
  }

  #find(name: string | undefined): Pick<Waiter, "id" | "entry"> | undefined {
    const ids = this.#options.catalog.ids();
    const entries = this.#known(ids);
    const id = name === undefined || ids.length === 1 ? ids[0] : this.idOf(name);
    const entry = id && entries.find((each) => each.id === this.#baseOf(id));
    return entry ? { id: id!, entry } : undefined;
  }

  #lease({ id, entry }: Pick<Waiter, "id" | "entry">, keepAliveMs: number | undefined): ModelLease {
    entry.keepAliveMs = keepAliveMs ?? this.#options.keepAliveMs;
    entry.stopTimer();
    entry.leases++;
    entry.lastUsedMs = performance.now();
    let isOver = false;
    return {
      model: modelOf(entry.model!, id),
      release: () => {
        if (isOver) return;
        isOver = true;
        entry.leases--;
        entry.lastUsedMs = performance.now();
        if (entry.leases > 0) return;
        this.#rest(entry);
        this.#serve();
      },
    };
  }

  /** Nobody uses it any more. */
  #rest(entry: Entry): void {
    if (entry.state !== "ready") return;
    if (this.#isClosed) this.#unload(entry, "closing");
    else if (entry.model?.failure) {
      this.#unload(entry, isModelChanged(entry.model.failure) ? "changed" : "failed");
    } else if (entry.leaving !== null) this.#unload(entry, entry.leaving);
    else if (entry.keepAliveMs <= 0) this.#unload(entry, "stopped");
    else entry.startTimer(() => this.#unload(entry, "idle"));
  }

  /** Gives to those who wait what there is, and begins to load for the first who needs it. */
  #serve(): void {
    for (const waiter of [...this.#waiters]) {
      const { entry, keepAliveMs } = waiter;
      if (entry.isOpen) this.#settle(waiter, this.#lease(waiter, keepAliveMs));
      else if (entry.state === "ready" && entry.leases === 0) this.#rest(entry);
    }
    // One at a time: how much is free is known then, and loading takes all cores anyway.
    if (this.#isLoading || this.#isClosed) return;
    const next = this.#waiters.find(({ entry }) => entry.state === "unloaded");
    if (next === undefined) return;
    this.#isLoading = true;
    next.entry.closing = this.#load(next.entry);
  }

  #settle(waiter: Waiter, outcome: ModelLease | Error): void {
    this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
    waiter.settle(outcome);
  }

  async #load(entry: Entry): Promise<void> {
    const { loader, memoryBytes, onEvent } = this.#options;
    const { id } = entry;
    entry.state = "loading";
    entry.loadedShare = 0;
    const startMs = performance.now();
    try {
      const bytes = Math.min(memoryBytes, await loader.bytesOf(id));
      if (await this.#makeRoom(entry, bytes)) {
        entry.bytes = bytes;
        entry.put(await loader.load(id, (share) => entry.loadedShare = share));
        onEvent({ kind: "loaded", id, ms: performance.now() - startMs, bytes });
      } else entry.giveUp();
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      entry.giveUp();
      entry.loadFailure = { error, atMs: performance.now() };
      onEvent({ kind: "load_failed", id, error });
      for (const waiter of this.#waitersOf(entry)) this.#settle(waiter, loadError(id, error));
    }
    this.#isLoading = false;
    this.#serve();
    if (entry.leases === 0) this.#rest(entry);
  }

  /**
   * Evicts what was used longest ago until there is room: what is idle at once, the rest when its
   * requests have ended.
   * @returns false when nobody waits for the model any more.
   */
  async #makeRoom(entry: Entry, bytes: number): Promise<boolean> {
    for (;;) {
      const others = [...this.#entries.values()].filter((each) => each.bytes > 0);
      for (const other of others) if (other.leaving === "evicted") other.leaving = null;
      if (this.#isClosed || this.#waitersOf(entry).length === 0) return false;
      const taken = others.reduce((sum, other) => sum + other.bytes, 0);
      let excess = taken + bytes - this.#options.memoryBytes;
      if (excess <= 0) return true;
      for (const { bytes, state } of others) if (state === "unloading") excess -= bytes;
      const changed = this.#changed.promise;
      for (const other of byUse(others)) {
        if (excess <= 0) break;
        excess -= other.bytes;
        other.leaving ??= "evicted";
        if (other.leases === 0) this.#rest(other);
      }
      await changed;
    }
  }

  #unload(entry: Entry, reason: UnloadReason): void {
    const { id } = entry;
    const model = entry.take();
    if (reason === "failed") entry.noteFailure();
    const gone = () => {
      entry.state = "unloaded";
      entry.bytes = 0;
      this.#options.onEvent({ kind: "unloaded", id, reason });
      this.#announce();
      this.#serve();
    };
    // A model that cannot end properly is no reason to do without its memory for ever.
    entry.closing = (model as LanguageModel).close().then(gone, gone);
  }

  #waitersOf(entry: Entry): Waiter[] {
    return this.#waiters.filter((waiter) => waiter.entry === entry);
  }

  /** Tells who makes room to look again. */
  #announce(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  #full(): RequestError {
    return new RequestError(
      `The server is busy (${counted(this.#waiters.length, "request")} waiting for models): ` +
        "try again later",
      { status: 503, code: "queue_full", retryAfterSeconds: 5 },
    );
  }
}

/** The model of that id in an engine: the first one, or that with an adapter. */
function modelOf(model: LanguageModel, id: string): LanguageModel {
  return model.adapted?.find((each) => each.id === id) ?? model;
}

/** Of a model that is in another one's engine. */
function statusBeside(base: ModelStatus, id: string): ModelStatus {
  const model = base.model && modelOf(base.model, id);
  return {
    ...{ ...base, id, base: base.id, model, details: model?.details },
    ...{ bytes: 0, leases: 0, waiting: 0 },
  };
}

/** Ready ones, idle ones first, and of these what was used longest ago. */
function byUse(entries: readonly Entry[]): Entry[] {
  return entries.filter(({ state }) => state === "ready").sort((a, b) =>
    Number(a.leases > 0) - Number(b.leases > 0) || a.lastUsedMs - b.lastUsedMs
  );
}

function loadError(id: string, cause: Error): RequestError {
  // Clients need not know where this machine has its files; its log has the whole message.
  const why = withoutFolders(cause.message);
  const error = new RequestError(`Cannot load the model "${id}": ${why}`, {
    status: 500,
    code: "model_load_failed",
    retryAfterSeconds: 5,
  });
  return Object.assign(error, { cause });
}

function brokenError(id: string, { message }: Error): RequestError {
  return new RequestError(`The model "${id}" cannot answer: ${message}: start the server again`, {
    status: 503,
    code: "engine_failed",
    retryAfterSeconds: 30,
  });
}
