/** One model of the registry: what is known of it, and the timer that ends its stay. */
import type { LanguageModel } from "../llm/types.ts";
import type { ModelState, ModelStatus, UnloadReason } from "./types.ts";

/** The longest that a timer can be set to. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/**
 * An engine that failed is replaced, but not for ever: threads that hang cannot be ended, and keep
 * their memory. After so many failures in so long only a new process helps.
 */
const FAILURES_MAX = 3;
const FAILURES_MS = 10 * 60_000;

/** A failure, and when. */
interface Failure {
  readonly error: Error;
  readonly atMs: number;
}

export class Entry {
  readonly id: string;
  state: ModelState = "unloaded";
  model: LanguageModel | null = null;
  bytes = 0;
  /** While it is loaded: how much of it is there, 0 to 1. */
  loadedShare = 0;
  leases = 0;
  /** By `performance.now()`: which of two models was used longer ago. */
  lastUsedMs = 0;
  keepAliveMs: number;
  /** It is to leave as soon as nobody uses it, for this reason; takes no new leases. */
  leaving: UnloadReason | null = null;
  loadFailure: Failure | null = null;
  /** Settles when it has left. */
  closing: Promise<void> = Promise.resolve();
  #failedAtMs: number[] = [];
  #created = 0;
  #contextLength: number | undefined;
  #details: LanguageModel["details"];
  #expiresAt: Date | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(id: string, keepAliveMs: number) {
    this.id = id;
    this.keepAliveMs = keepAliveMs;
  }

  /** True when a request may use it now. */
  get isOpen(): boolean {
    return this.state === "ready" && this.leaving === null && !this.model?.failure;
  }

  /** Why its engine is not replaced any more; null: it would be. */
  get broken(): Error | null {
    const since = performance.now() - FAILURES_MS;
    const count = this.#failedAtMs.filter((ms) => ms > since).length;
    return count > FAILURES_MAX
      ? new Error(`The engine failed ${count} times in ${FAILURES_MS / 60_000} minutes`)
      : null;
  }

  /** Its engine has failed while it was loaded. */
  noteFailure(): void {
    this.#failedAtMs = [...this.#failedAtMs.slice(-FAILURES_MAX), performance.now()];
  }

  /** How much of each adapter its requests were to have is so when it is loaded again. */
  put(model: LanguageModel): void {
    const chosen = this.#details?.choosableAdapters ?? [];
    if (chosen.length > 0) model.chooseAdapters?.(chosen.map(({ scale }, id) => ({ id, scale })));
    this.model = model;
    this.state = "ready";
    this.loadFailure = null;
    this.#created = model.created;
    this.#contextLength = model.contextLength;
    this.#details = model.details;
    this.lastUsedMs = performance.now();
  }

  /** It is let go. */
  take(): LanguageModel | null {
    const { model } = this;
    this.#details = model?.details ?? this.#details;
    this.model = null;
    this.state = "unloading";
    this.leaving = null;
    this.stopTimer();
    return model;
  }

  /** It was not loaded after all. */
  giveUp(): void {
    this.state = "unloaded";
    this.bytes = 0;
    this.leaving = null;
  }

  /** Calls `expire` when `keepAliveMs` have gone by; a wait without end sets no timer. */
  startTimer(expire: () => void): void {
    this.stopTimer();
    if (this.keepAliveMs > TIMER_MS_MAX) return;
    this.#expiresAt = new Date(Date.now() + this.keepAliveMs);
    this.#timer = setTimeout(expire, this.keepAliveMs);
    // A program that has nothing else to do may end.
    Deno.unrefTimer(this.#timer);
  }

  stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#expiresAt = undefined;
  }

  status(waiting: number): ModelStatus {
    return {
      ...{ id: this.id, state: this.state, model: this.model, waiting },
      ...{ created: this.#created, contextLength: this.#contextLength },
      details: this.model?.details ?? this.#details,
      ...{ bytes: this.bytes, leases: this.leases, expiresAt: this.#expiresAt },
      isLoaded: this.model !== null,
      loadedShare: this.state === "loading" ? this.loadedShare : null,
      failure: this.broken,
      loadFailure: this.loadFailure?.error ?? null,
    };
  }
}
