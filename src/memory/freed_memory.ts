/**
 * Gives memory that nobody uses any more back to the system at once. V8 frees a WebAssembly memory
 * when it collects garbage, which an idle process does after half a minute: until then a model that
 * was closed takes as much as one that runs, and the next one may find no room beside it.
 */
import { pause } from "../base/pause.ts";
import { MiB } from "../base/units.ts";

/** Less than this may wait for V8. */
const WORTH_BYTES = 64 * MiB;
/** V8 collects after allocations of this kind: of buffers, whose pages nobody touches. */
const PRESSURE_BYTES = 256 * MiB;
const TRIES_MAX = 16;

/** Memories whose end is waited for. */
export class FreedMemory {
  readonly #registry = new FinalizationRegistry<null>(() => this.#alive--);
  #alive = 0;
  #sizeBytes = 0;

  /** Keeps no memory alive. */
  watch(memory: WebAssembly.Memory): void {
    this.#registry.register(memory, null);
    this.#alive++;
    this.#sizeBytes += memory.buffer.byteLength;
  }

  /**
   * Has V8 collect the memories that were watched; this thread must hold none of them any more.
   * @returns false where some are left, for later: they are held, or too small to matter.
   */
  async collect(): Promise<boolean> {
    if (this.#sizeBytes < WORTH_BYTES) return this.#alive === 0;
    const pressure: ArrayBuffer[] = [];
    for (let tries = 0; this.#alive > 0 && tries < TRIES_MAX; tries++) {
      try {
        pressure.push(new ArrayBuffer(PRESSURE_BYTES));
      } catch {
        break; // no room even for promises: V8 has collected before it said so
      }
      // Who counts the dead gets a turn.
      await pause(0);
    }
    return this.#alive === 0;
  }
}
