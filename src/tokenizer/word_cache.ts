/**
 * A bounded cache of what frequent words encode to. Two generations: the young one takes what is
 * used, and when it is full the old one is dropped. Near enough to least recently used, without
 * a list.
 */

/** Words of one generation. */
const GENERATION_WORDS = 16384;

/** Longer words are rare and cost more to keep than to encode. */
const WORD_UNITS_MAX = 48;

/** Ids by word. */
export class WordCache {
  #young = new Map<string, readonly number[]>();
  #old = new Map<string, readonly number[]>();

  get(word: string): readonly number[] | undefined {
    const young = this.#young.get(word);
    if (young !== undefined) return young;
    const old = this.#old.get(word);
    if (old !== undefined) this.#keep(word, old);
    return old;
  }

  /** Keeps `ids` for `word` when it is short enough. */
  set(word: string, ids: readonly number[]): void {
    if (word.length <= WORD_UNITS_MAX) this.#keep(ownCopy(word), ids);
  }

  #keep(word: string, ids: readonly number[]): void {
    if (this.#young.size >= GENERATION_WORDS) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(word, ids);
  }
}

/**
 * A string with characters of its own: V8 makes a slice of 13 characters or more a window on the
 * text it was cut from, and a cached window would keep a whole document in memory.
 */
function ownCopy(word: string): string {
  return word.length < 13 ? word : (" " + word).slice(1);
}
