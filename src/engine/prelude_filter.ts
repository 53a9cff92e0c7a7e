/**
 * Which ids may come while an answer begins with something that has to be over in time, and what
 * follows may be held to a grammar, too. Works on ids; knows nothing of thoughts.
 */
import type { GrammarMatcher } from "../grammar/mod.ts";
import type { IdFilter } from "./sampler.ts";

export interface PreludeOptions {
  /** Ids that end an answer. */
  readonly endIds: readonly number[];
  /** Ids that preludes may have in all, and those that end one, which are not counted. */
  readonly tokensMax: number;
  readonly endTokens: number;
  readonly vocabSize: number;
  /** Ids that never come, whatever closes a prelude: those of a bias of -Infinity. */
  readonly never?: readonly number[];
}

/**
 * The prelude's matcher beside that of the whole answer, which has the last word: where both leave
 * nothing that may come at all, or the answer is bound within a prelude (a call that thoughts are
 * not closed before), preludes are given up. Allocates nothing per token.
 */
export class PreludeFilter implements IdFilter {
  readonly #newMatcher: () => GrammarMatcher;
  readonly #answer: GrammarMatcher | null;
  readonly #endIds: readonly number[];
  readonly #endTokens: number;
  readonly #never: readonly number[];
  /** [⌈vocab / 32⌉]: what both leave. */
  readonly #mask: Uint32Array;
  readonly #all: Uint32Array;
  /** Null: what follows is free of it. Read by `#bounding`. */
  #prelude: GrammarMatcher | null;
  /** The prompt has begun it: there is one only. */
  readonly #isOpened: boolean;
  /** The answer so far is in the midst of one. */
  #isWithin = false;
  #tokensLeft: number;

  /** newMatcher: of what an answer is, from a prelude on. */
  constructor(
    newMatcher: () => GrammarMatcher,
    answer: GrammarMatcher | null,
    { endIds, tokensMax, endTokens, vocabSize, never = [] }: PreludeOptions,
  ) {
    this.#newMatcher = newMatcher;
    this.#answer = answer;
    this.#endIds = endIds;
    this.#endTokens = endTokens;
    this.#never = never;
    this.#tokensLeft = tokensMax;
    this.#mask = new Uint32Array(Math.ceil(vocabSize / 32));
    this.#all = new Uint32Array(this.#mask.length).fill(-1);
    this.#prelude = newMatcher();
    this.#isOpened = !this.#prelude.isComplete;
    if (this.#isOpened) this.#begin(this.#prelude);
  }

  get isFree(): boolean {
    return (this.#bounding()?.isFree ?? true) && (this.#answer?.isFree ?? true);
  }

  /** A model may end its answer within the prelude: it is not held to go on. */
  allows(id: number): boolean {
    if (this.#answer !== null && !this.#answer.allows(id)) return false;
    const prelude = this.#bounding();
    return prelude === null || this.#endIds.includes(id) || prelude.allows(id);
  }

  /** Among these there is no end of the answer: whoever is told to come to an end goes on. */
  mask(): Uint32Array {
    const whole = this.#answer?.mask() ?? this.#all;
    const prelude = this.#bounding();
    if (prelude === null) return whole;
    const own = prelude.mask();
    for (let i = 0; i < this.#mask.length; i++) this.#mask[i] = whole[i] & own[i];
    for (let i = 0; i < this.#never.length; i++) {
      const id = this.#never[i];
      this.#mask[id >> 5] &= ~(1 << (id & 31));
    }
    let left = 0;
    for (let i = 0; i < this.#mask.length; i++) left |= this.#mask[i];
    return left === 0 ? whole : this.#mask;
  }

  /** Is told the answer's ids, in order. */
  accept(id: number): void {
    const prelude = this.#bounding();
    if (prelude === null || this.#endIds.includes(id)) return;
    if (!prelude.allows(id)) {
      this.#prelude = null;
      return;
    }
    prelude.accept(id);
    if (this.#isWithin) this.#tokensLeft--;
    if (prelude.isComplete === !this.#isWithin) return;
    if (!this.#isWithin) return this.#begin(prelude);
    this.#isWithin = false;
    this.#tokensLeft = Math.max(0, this.#tokensLeft + this.#endTokens);
    this.#prelude = this.#isOpened ? null : this.#newMatcher();
  }

  /** Preludes are free text: where the answer is bound, what closes one would be a part of that. */
  #bounding(): GrammarMatcher | null {
    if (this.#isWithin && this.#answer !== null && !this.#answer.isFree) this.#prelude = null;
    return this.#prelude;
  }

  #begin(prelude: GrammarMatcher): void {
    this.#isWithin = true;
    prelude.endWithin(this.#tokensLeft + this.#endTokens);
  }
}
