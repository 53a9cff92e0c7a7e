/** A tower's engine: started when it is first asked for, and again after it has failed. */
import type { EngineHandle } from "../../../workers/mod.ts";

export class TowerThreads {
  readonly #start: () => Promise<EngineHandle>;
  #engine: Promise<EngineHandle> | null = null;
  #isClosed = false;

  constructor(start: () => Promise<EngineHandle>) {
    this.#start = start;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The engine; another one in its place when it has failed. */
  async ready(): Promise<EngineHandle> {
    const engine = await this.#engine?.catch(() => null);
    if (engine && engine.failure === null) return engine;
    await engine?.close();
    this.#engine = this.#open();
    return await this.#engine;
  }

  async #open(): Promise<EngineHandle> {
    const engine = await this.#start();
    // Whoever closed meanwhile found none.
    if (this.#isClosed) await engine.close();
    return engine;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const engine = await this.#engine?.catch(() => null);
    await engine?.close();
  }
}
