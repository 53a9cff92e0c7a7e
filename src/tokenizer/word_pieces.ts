/**
 * One word to ids by WordPiece: the longest token that the rest of the word begins with, again and
 * again; a word of which anything is left over is unknown as a whole. Tokens are spelt as GGUF
 * files spell them, "▁" before those that begin a word. Knows nothing of how text is cut.
 */
import { appendSteps, runSteps, type Steps } from "../base/steps.ts";
import type { ByteTrie } from "./byte_trie.ts";
import { SPACE_MARK } from "./spaced_text.ts";
import { WordCache } from "./word_cache.ts";

/** Of a long word, ids that are found in a few milliseconds. */
const STEP_IDS = 1 << 12;

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
      ids = runSteps(this.#spell(word));
      this.#cache.set(word, ids);
    }
    for (let i = 0; i < ids.length; i++) out.push(ids[i]);
  }

  /** The same in steps, of a long word. */
  *encodeLong(word: string, out: number[]): Steps<void> {
    yield* appendSteps(yield* this.#spell(word), out);
  }

  *#spell(word: string): Steps<readonly number[]> {
    const bytes = this.#utf8.encode(SPACE_MARK + word);
    const ids: number[] = [];
    for (let at = 0; at < bytes.length;) {
      const found = this.#tokens.longest(bytes, at);
      if (found === null) return this.#unknown;
      ids.push(found.id);
      if (ids.length % STEP_IDS === 0) yield;
      at = found.end;
    }
    return ids;
  }
}
