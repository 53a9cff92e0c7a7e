/**
 * One word to ids by WordPiece: the longest token that the rest of the word begins with, again and
 * again; a word of which anything is left over is unknown as a whole. Tokens are spelt as GGUF
 * files spell them, "▁" before those that begin a word. Knows nothing of how text is cut.
 */
import type { ByteTrie } from "./byte_trie.ts";
import { SPACE_MARK } from "./spaced_text.ts";
import { WordCache } from "./word_cache.ts";

/** Spells words, one at a time. */
export class WordPieces {
  readonly #tokens: ByteTrie;
  readonly #unknown: readonly number[];
  readonly #cache = new WordCache();
  readonly #utf8 = new TextEncoder();

  constructor(tokens: ByteTrie, unknownId: number | null) {
    this.#tokens = tokens;
    this.#unknown = unknownId === null ? [] : [unknownId];
  }

  /** Appends the ids of `word` to `out`. */
  encode(word: string, out: number[]): void {
    let ids = this.#cache.get(word);
    if (ids === undefined) {
      ids = this.#spell(word);
      this.#cache.set(word, ids);
    }
    for (let i = 0; i < ids.length; i++) out.push(ids[i]);
  }

  #spell(word: string): readonly number[] {
    const bytes = this.#utf8.encode(SPACE_MARK + word);
    const ids: number[] = [];
    for (let at = 0; at < bytes.length;) {
      const found = this.#tokens.longest(bytes, at);
      if (found === null) return this.#unknown;
      ids.push(found.id);
      at = found.end;
    }
    return ids;
  }
}
