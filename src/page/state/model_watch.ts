/** Knows whether the server is there, and which models it has: looks now and then. */
import type { Client } from "../server/client.ts";
import { troubleOf } from "../server/errors.ts";
import { listModels, loadModel } from "../server/models.ts";
import { type AppStore, currentModel } from "./app_state.ts";

const QUIET_MS = 10_000;
const BUSY_MS = 400;
const KEY = "ganglion.model";

export class ModelWatch {
  readonly #store: AppStore;
  readonly #client: Client;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isLooking = false;
  /** The trouble that is shown is of the last look. */
  #isTroubled = false;

  constructor(store: AppStore, client: Client) {
    this.#store = store;
    this.#client = client;
  }

  start(): void {
    this.#store.set({ modelId: readKept() });
    document.addEventListener("visibilitychange", () => this.look());
    this.look();
  }

  /** Chooses a model, and loads it. */
  async choose(modelId: string): Promise<void> {
    this.#store.set({ modelId, trouble: null });
    keep(modelId);
    if (currentModel(this.#store.state)?.state === "loaded") return;
    const loading = loadModel(this.#client, modelId);
    setTimeout(() => this.look(), BUSY_MS / 4);
    try {
      await loading;
    } catch (error) {
      this.#store.set({ trouble: troubleOf(error) });
    }
    this.look();
  }

  /** The person wants to know it now. */
  lookAgain(): void {
    this.#client.askAgain();
    this.#store.set({ trouble: null });
    this.look();
  }

  /** Looks now, and again after a while. */
  async look(): Promise<void> {
    clearTimeout(this.#timer);
    if (this.#isLooking || document.hidden) return;
    this.#isLooking = true;
    try {
      await this.#look();
    } finally {
      this.#isLooking = false;
    }
    const { connection, models, running } = this.#store.state;
    const isBusy = connection !== "ready" || models.some(({ state }) => state === "loading") ||
      running !== null && currentModel(this.#store.state)?.state !== "loaded";
    this.#timer = setTimeout(() => this.look(), isBusy ? BUSY_MS : QUIET_MS);
  }

  async #look(): Promise<void> {
    const health = await this.#client.health();
    if (health === null) {
      this.#store.set({ connection: "lost" });
      return;
    }
    try {
      const models = await listModels(this.#client);
      this.#store.set({ models, connection: health });
      if (this.#isTroubled) this.#store.set({ trouble: null });
      this.#isTroubled = false;
    } catch (error) {
      this.#isTroubled = true;
      this.#store.set({ connection: health, trouble: troubleOf(error) });
    }
  }
}

function readKept(): string {
  try {
    return localStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

function keep(modelId: string): void {
  try {
    localStorage.setItem(KEY, modelId);
  } catch {
    // It is chosen for this page, then.
  }
}
