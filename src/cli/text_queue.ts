/**
 * Texts on their way to a stream whose reader may be slow, or held: one write at a time, which
 * nobody waits for. What comes meanwhile is kept up to a bound; beyond it texts are lost, counted,
 * and told of when there is room again.
 */
import { pause } from "../base/pause.ts";

export interface TextQueueOptions {
  /** Writes some of the bytes and says how many, as `Deno.stderr.write` does. */
  readonly write: (bytes: Uint8Array<ArrayBuffer>) => Promise<number>;
  /** UTF-16 units that are kept beside what is being written. */
  readonly unitsMax: number;
  /** Told of how many texts were lost, where they would have stood: it may push one about it. */
  readonly onLost?: (count: number) => void;
}

export class TextQueue {
  readonly #write: TextQueueOptions["write"];
  readonly #unitsMax: number;
  readonly #onLost: (count: number) => void;
  readonly #encoder = new TextEncoder();
  #kept = "";
  #lostCount = 0;
  /** Null: nothing is being written, and nothing is kept. */
  #writing: Promise<void> | null = null;

  constructor({ write, unitsMax, onLost = () => {} }: TextQueueOptions) {
    this.#write = write;
    this.#unitsMax = unitsMax;
    this.#onLost = onLost;
  }

  /** Takes a text to be written as soon as those before it are. */
  push(text: string): void {
    // Behind a gap nothing is kept until it has been told of: what is lost is in one piece.
    if (this.#lostCount > 0 || this.#kept.length + text.length > this.#unitsMax) {
      this.#lostCount++;
      return;
    }
    this.#kept += text;
    this.#writing ??= this.#writeAll();
  }

  /** Waits until all is written, so many milliseconds at most; returns whether it is. */
  async flush(ms: number): Promise<boolean> {
    if (this.#writing === null) return true;
    const enough = new AbortController();
    const written = this.#writing.then(() => true);
    const late = pause(ms, enough.signal).then(() => false);
    try {
      return await Promise.race([written, late]);
    } finally {
      enough.abort();
    }
  }

  async #writeAll(): Promise<void> {
    while (this.#kept !== "") {
      let rest = this.#encoder.encode(this.#kept);
      this.#kept = "";
      this.#tellOfLost();
      try {
        while (rest.length > 0) rest = rest.subarray(await this.#write(rest));
      } catch {
        // Nobody reads it, or the disk is full: neither is a reason for a server to end.
      }
    }
    this.#writing = null;
  }

  #tellOfLost(): void {
    const count = this.#lostCount;
    if (count === 0) return;
    this.#lostCount = 0;
    this.#onLost(count);
  }
}
