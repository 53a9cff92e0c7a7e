/** Finds special tokens in text: the leftmost, and the longest of those that begin there. */

/** A special token in a text, in UTF-16 units. */
export interface SpecialMatch {
  readonly id: number;
  readonly begin: number;
  readonly end: number;
}

/** Matches a fixed set of texts. */
export class SpecialMatcher {
  /** Sorted, so that all texts with one beginning are neighbours. */
  readonly #texts: readonly string[];
  readonly #ids: readonly number[];
  /** By UTF-16 unit, whether a text begins with it. */
  readonly #begins = new Uint8Array(0x10000);

  /** Of two equal texts the first counts; empty texts do not. */
  constructor(entries: Iterable<{ readonly id: number; readonly text: string }>) {
    const byText = new Map<string, number>();
    for (const { id, text } of entries) if (text && !byText.has(text)) byText.set(text, id);
    const sorted = [...byText].sort(([a], [b]) => a < b ? -1 : 1);
    this.#texts = sorted.map(([text]) => text);
    this.#ids = sorted.map(([, id]) => id);
    for (const text of this.#texts) this.#begins[text.charCodeAt(0)] = 1;
  }

  /** The first special token of `text` at or after `from`, or null. */
  find(text: string, from: number): SpecialMatch | null {
    if (this.#texts.length === 0) return null;
    for (let begin = from; begin < text.length; begin++) {
      if (this.#begins[text.charCodeAt(begin)] === 0) continue;
      const index = this.#longestAt(text, begin);
      if (index >= 0) {
        return { id: this.#ids[index], begin, end: begin + this.#texts[index].length };
      }
    }
    return null;
  }

  /** Index of the longest text that `text` has at `begin`, or -1. */
  #longestAt(text: string, begin: number): number {
    let low = 0;
    let high = this.#texts.length;
    let longest = -1;
    // Texts low to high - 1 agree with `text` in their first `depth` units.
    for (let depth = 0; low < high && begin + depth < text.length; depth++) {
      const unit = text.charCodeAt(begin + depth);
      low = this.#lowerBound({ low, high, depth, unit });
      high = this.#lowerBound({ low, high, depth, unit: unit + 1 });
      if (low < high && this.#texts[low].length === depth + 1) longest = low;
    }
    return longest;
  }

  /** The first text from `low` to `high` whose unit at `depth` is at least `unit`. */
  #lowerBound(range: { low: number; high: number; depth: number; unit: number }): number {
    let { low, high } = range;
    while (low < high) {
      const middle = (low + high) >> 1;
      // NaN, where a text is too short, compares as smaller: shorter texts sort first.
      if (this.#texts[middle].charCodeAt(range.depth) >= range.unit) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
