/**
 * One word to ids: its characters or bytes as symbols, merged, and what became no token spelt in
 * bytes. The half of encoding that SentencePiece and byte-level BPE share; knows nothing of how
 * text is cut into words.
 */
import { appendSteps, runSteps, type Steps } from "../base/steps.ts";
import { Merger } from "./merger.ts";
import type { PairTable } from "./pair_table.ts";
import type { SymbolTable } from "./symbol_table.ts";
import { utf8Length } from "./utf8.ts";
import { WordCache } from "./word_cache.ts";

/** What makes one vocabulary's words differ from another's. */
export interface WordRules {
  /** Tokens, and behind them symbols that only occur on the way to tokens. */
  readonly symbols: SymbolTable;
  readonly pairs: PairTable;
  /** Symbols below this are tokens. */
  readonly vocabSize: number;
  /** What merging begins with: a word's characters, or its bytes. */
  readonly units: "characters" | "bytes";
  /** Ids that spell single bytes, -1 where there is none. */
  readonly byteIds: Int32Array;
  /** For a character that cannot be spelt; null to leave it out. */
  readonly unknownId: number | null;
  /** Which words that are tokens are taken as they stand. */
  readonly takesWholeWords: "none" | "lineBreaks" | "all";
}

const LINE_BREAK = 0x0a;
/** Scratch space beyond this many bytes is given back after the word that needed it. */
const KEPT_BYTES = 1 << 16;

/** Of a long word, units that are looked up or spelt in a few milliseconds. */
const STEP_UNITS = 1 << 14;

/** Encodes words, one at a time, in scratch space of its own. */
export class WordEncoder {
  readonly #rules: WordRules;
  readonly #merger: Merger;
  readonly #cache = new WordCache();
  readonly #utf8 = new TextEncoder();
  /** Symbol of each single byte, -1 where there is none. */
  readonly #byteSymbols: Int32Array;
  #bytes = new Uint8Array(256);
  #units = new Int32Array(256);

  constructor(rules: WordRules) {
    this.#rules = rules;
    this.#merger = new Merger(rules.pairs);
    this.#byteSymbols = Int32Array.from({ length: 256 }, (_, byte) => {
      return rules.symbols.find(Uint8Array.of(byte), 0, 1);
    });
  }

  /** Appends the ids of `word` to `out`. */
  encode(word: string, out: number[]): void {
    let ids = this.#cache.get(word);
    if (ids === undefined) {
      ids = this.#merge(word);
      this.#cache.set(word, ids);
    }
    for (let i = 0; i < ids.length; i++) out.push(ids[i]);
  }

  /** The same in steps, of a long word: with space of its own, for others come in between. */
  *encodeLong(word: string, out: number[]): Steps<void> {
    yield* appendSteps(yield* new WordEncoder(this.#rules).#mergeSteps(word), out);
  }

  #merge(word: string): readonly number[] {
    return runSteps(this.#mergeSteps(word));
  }

  *#mergeSteps(word: string): Steps<readonly number[]> {
    // A UTF-16 unit is at most three bytes of UTF-8.
    this.#reserve(3 * word.length);
    const length = this.#utf8.encodeInto(word, this.#bytes).written;
    let ids = this.#wholeWord(length);
    if (ids === null) {
      const { units } = this.#rules;
      const count = units === "bytes"
        ? this.#toByteUnits(length)
        : yield* this.#toCharacterUnits(length);
      ids = yield* this.#spell(yield* this.#merger.mergeSteps(this.#units, count));
    }
    if (this.#bytes.length > KEPT_BYTES) this.#allocate(KEPT_BYTES);
    return ids;
  }

  #reserve(sizeBytes: number): void {
    if (sizeBytes > this.#bytes.length) this.#allocate(sizeBytes);
  }

  #allocate(sizeBytes: number): void {
    this.#bytes = new Uint8Array(sizeBytes);
    this.#units = new Int32Array(sizeBytes);
  }

  /** The ids of a word that is a token, if such a word is taken as it stands. */
  #wholeWord(length: number): readonly number[] | null {
    const { takesWholeWords } = this.#rules;
    if (takesWholeWords === "none") return null;
    // Words are all line breaks or have none.
    if (takesWholeWords === "lineBreaks" && this.#bytes[0] !== LINE_BREAK) return null;
    const id = this.#rules.symbols.find(this.#bytes, 0, length);
    return id >= 0 && id < this.#rules.vocabSize ? [id] : null;
  }

  /** A symbol for each byte; for one that has none, `~offset`, which merges with nothing. */
  #toByteUnits(length: number): number {
    for (let i = 0; i < length; i++) {
      const symbol = this.#byteSymbols[this.#bytes[i]];
      this.#units[i] = symbol >= 0 ? symbol : ~i;
    }
    return length;
  }

  /** The same for each character. */
  *#toCharacterUnits(length: number): Steps<number> {
    const bytes = this.#bytes;
    let count = 0;
    for (let i = 0; i < length;) {
      const end = i + utf8Length(bytes[i]);
      const symbol = end === i + 1
        ? this.#byteSymbols[bytes[i]]
        : this.#rules.symbols.find(bytes, i, end);
      this.#units[count++] = symbol >= 0 ? symbol : ~i;
      if (count % STEP_UNITS === 0) yield;
      i = end;
    }
    return count;
  }

  /** Ids of the first `count` units: tokens as they are, all else byte by byte. */
  *#spell(count: number): Steps<readonly number[]> {
    const { symbols, vocabSize, units } = this.#rules;
    const ids: number[] = [];
    for (let i = 0; i < count; i++) {
      if (i % STEP_UNITS === STEP_UNITS - 1) yield;
      const symbol = this.#units[i];
      if (symbol >= vocabSize) {
        this.#spellBytes(symbols.bytesOf(symbol), ids);
      } else if (symbol >= 0) {
        ids.push(symbol);
      } else {
        const length = units === "bytes" ? 1 : utf8Length(this.#bytes[~symbol]);
        this.#spellBytes(this.#bytes.subarray(~symbol, ~symbol + length), ids);
      }
    }
    return ids;
  }

  #spellBytes(bytes: Uint8Array, ids: number[]): void {
    const { byteIds, unknownId } = this.#rules;
    if (unknownId !== null && bytes.some((byte) => byteIds[byte] < 0)) {
      ids.push(unknownId);
    } else {
      for (const byte of bytes) if (byteIds[byte] >= 0) ids.push(byteIds[byte]);
    }
  }
}
