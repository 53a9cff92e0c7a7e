/**
 * Finds stop strings in text that arrives in pieces. What might be the beginning of one is held
 * back until it is known; what is passed on is never taken back.
 */
export class StopText {
  readonly #stops: readonly string[];
  #held = "";
  #found: string | null = null;

  /** Empty strings stop nothing and are left out. */
  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop.length > 0);
  }

  /** True once a stop string was seen; everything after it is dropped. */
  get isStopped(): boolean {
    return this.#found !== null;
  }

  /** The stop string that was seen; null: none yet. */
  get found(): string | null {
    return this.#found;
  }

  /** The part of the text so far that is safe to show and was not shown yet. */
  push(piece: string): string {
    if (this.isStopped) return "";
    const text = this.#held + piece;
    const first = this.#firstStop(text);
    if (first !== null) {
      this.#found = first.stop;
      this.#held = "";
      return text.slice(0, first.at);
    }
    const keep = this.#heldLength(text);
    this.#held = text.slice(text.length - keep);
    return text.slice(0, text.length - keep);
  }

  /** What was held back, once no more text can come. */
  flush(): string {
    const rest = this.#held;
    this.#held = "";
    return rest;
  }

  #firstStop(text: string): { readonly stop: string; readonly at: number } | null {
    let first: { readonly stop: string; readonly at: number } | null = null;
    for (const stop of this.#stops) {
      const at = text.indexOf(stop);
      if (at >= 0 && (first === null || at < first.at)) first = { stop, at };
    }
    return first;
  }

  /** Length of the longest end of `text` that a stop string begins with. */
  #heldLength(text: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      const most = Math.min(stop.length - 1, text.length);
      for (let length = most; length > longest; length--) {
        if (text.endsWith(stop.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}
