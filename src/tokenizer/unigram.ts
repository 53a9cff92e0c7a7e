/**
 * The most likely tokens of a word, by the sum of their scores (Viterbi's algorithm, Kudo 2018).
 * Works on UTF-8; knows nothing of how text is cut.
 */
import { runSteps, type Steps } from "../base/steps.ts";
import type { ByteTrie } from "./byte_trie.ts";
import { utf8Length } from "./utf8.ts";

/** A vocabulary of tokens with scores. */
export interface UnigramRules {
  /** Tokens that text may become. */
  readonly tokens: ByteTrie;
  /** By id, logarithms of likelihoods; user-defined tokens' are 0. */
  readonly scores: Float64Array;
  /** Of a character that is no token. */
  readonly unknownScore: number;
}

/** Stands for a character that is no token, or for all up to where no score is a number. */
export const UNKNOWN = -1;
/** Scratch space beyond this many bytes is given back after the word that needed it. */
const KEPT_BYTES = 1 << 16;
/** Of a long word, bytes that are spelt in a few milliseconds. */
const STEP_BYTES = 1 << 13;

/** Spells words, one at a time, in scratch space of its own. */
export class Unigram {
  readonly #rules: UnigramRules;
  readonly #utf8 = new TextEncoder();
  #bytes = new Uint8Array(0);
  /** By byte, how good the best way to it is, its last token and where that begins. */
  #sums = new Float64Array(0);
  #ids = new Int32Array(0);
  #begins = new Int32Array(0);

  constructor(rules: UnigramRules) {
    this.#rules = rules;
    this.#allocate(256);
  }

  /** Ids of `word`, `UNKNOWN` for each character that is no token. */
  spell(word: string): readonly number[] {
    return runSteps(this.#spellSteps(word));
  }

  /** The same in steps, of a long word: with space of its own, for others come in between. */
  spellLong(word: string): Steps<readonly number[]> {
    return new Unigram(this.#rules).#spellSteps(word);
  }

  *#spellSteps(word: string): Steps<readonly number[]> {
    // A UTF-16 unit is at most three bytes of UTF-8.
    if (3 * word.length > this.#bytes.length) this.#allocate(3 * word.length);
    const length = this.#utf8.encodeInto(word, this.#bytes).written;
    this.#sums.fill(-Number.MAX_VALUE, 0, length + 1);
    // Where no way leads, scores being no numbers, all before it is unknown.
    this.#ids.fill(UNKNOWN, 0, length + 1);
    this.#begins.fill(0, 0, length + 1);
    this.#sums[0] = 0;
    let stepEnd = STEP_BYTES;
    for (let at = 0; at < length;) {
      if (at >= stepEnd) {
        yield;
        stepEnd = at + STEP_BYTES;
      }
      const next = Math.min(length, at + utf8Length(this.#bytes[at]));
      this.#extend({ at, next, length });
      at = next;
    }
    const ids = this.#trace(length);
    if (this.#bytes.length > KEPT_BYTES) this.#allocate(KEPT_BYTES);
    return ids;
  }

  #allocate(sizeBytes: number): void {
    this.#bytes = new Uint8Array(sizeBytes);
    this.#sums = new Float64Array(sizeBytes + 1);
    this.#ids = new Int32Array(sizeBytes + 1);
    this.#begins = new Int32Array(sizeBytes + 1);
  }

  /** Tries all tokens that begin at `at`, a character that ends at `next`. */
  #extend({ at, next, length }: { at: number; next: number; length: number }): void {
    const { tokens, scores, unknownScore } = this.#rules;
    const sum = this.#sums[at];
    let isToken = false;
    let node = tokens.begin(this.#bytes[at]);
    for (let end = at + 1; node >= 0; end++) {
      const id = tokens.idAt(node);
      if (id >= 0) {
        if (end === next) isToken = true;
        this.#offer({ at, end, id, sum: sum + scores[id] });
      }
      node = end < length ? tokens.next(node, this.#bytes[end]) : -1;
    }
    if (!isToken) this.#offer({ at, end: next, id: UNKNOWN, sum: sum + unknownScore });
  }

  /** Of equal ways the first found stays: the one whose last token is the longest. */
  #offer({ at, end, id, sum }: { at: number; end: number; id: number; sum: number }): void {
    if (!(sum > this.#sums[end])) return;
    this.#sums[end] = sum;
    this.#ids[end] = id;
    this.#begins[end] = at;
  }

  #trace(length: number): number[] {
    const ids: number[] = [];
    for (let end = length; end > 0; end = this.#begins[end]) ids.push(this.#ids[end]);
    return ids.reverse();
  }
}
