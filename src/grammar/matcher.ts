/**
 * Follows one answer by a grammar: which ids may come, and what the chosen one leaves. What is
 * found out about a grammar is shared by all answers that follow it. Works on ids; knows nothing of
 * text.
 */
import { check } from "../base/check.ts";
import { Completions } from "./completions.ts";
import { Configurations, DEAD_SET } from "./configurations.ts";
import type { Grammar } from "./network.ts";
import { type ShortestEnds, shortestEnds } from "./shortest_ends.ts";
import { TokenMasks } from "./token_masks.ts";
import type { TokenTrie } from "./token_trie.ts";

/** What is known of a grammar over a vocabulary so far. */
export class GrammarKnowledge {
  readonly trie: TokenTrie;
  readonly #grammar: Grammar;
  readonly #ends: ShortestEnds;
  #pages: KnowledgePage;

  constructor(grammar: Grammar, trie: TokenTrie) {
    this.#grammar = grammar;
    this.trie = trie;
    this.#ends = shortestEnds(grammar);
    this.#pages = this.#blank();
  }

  /** Where to look things up now; a new one when the last one has become too large. */
  page(): KnowledgePage {
    const { configurations, completions, masks } = this.#pages;
    if (configurations.isFull || completions.isFull || masks.isFull) this.#pages = this.#blank();
    return this.#pages;
  }

  #blank(): KnowledgePage {
    const configurations = new Configurations(this.#grammar);
    const completions = new Completions(configurations, this.trie, this.#ends);
    const masks = new TokenMasks(configurations, completions, this.trie);
    return { configurations, completions, masks };
  }
}

/** Configurations, how each comes to an end, and masks of them. */
interface KnowledgePage {
  readonly configurations: Configurations;
  readonly completions: Completions;
  readonly masks: TokenMasks;
}

/**
 * The grammar of one answer, and how far it has come. An answer of so many tokens at most comes to
 * its end within them: no id is allowed behind which they are too few. Where they are too few from
 * the beginning, or have become so, no number of them is minded.
 */
export class GrammarMatcher {
  readonly #knowledge: GrammarKnowledge;
  readonly #endIds: readonly number[];
  /** [⌈vocab / 32⌉], of `#maskSet`. */
  readonly #mask: Uint32Array;
  #maskSet = -1;
  /** Bytes that are missing at most behind an id of `#mask`, and whether ids were taken out. */
  #maskMissing = 0;
  #isMaskNarrow = false;
  #page: KnowledgePage;
  #set: number;
  /** Tokens that may still come; Infinity: nobody counts. */
  #tokensLeft: number;
  /** Ids that end the answer from `#planSet` on, where the set's own ones are too many. */
  #plan: Int32Array | null = null;
  #planSet = DEAD_SET;
  /** The last id that was looked at, and the set behind it. */
  #lookedAt = -1;
  #behind = DEAD_SET;

  /**
   * Begins an answer.
   * @param options.endIds ids that end it, which fit exactly where the grammar may end.
   * @param options.tokensMax ids that it may have, those that end it not counted.
   */
  constructor(
    knowledge: GrammarKnowledge,
    options: { readonly endIds?: readonly number[]; readonly tokensMax?: number } = {},
  ) {
    const { endIds = knowledge.trie.source.endIds, tokensMax = Infinity } = options;
    this.#knowledge = knowledge;
    this.#endIds = endIds;
    this.#mask = new Uint32Array(Math.ceil(knowledge.trie.source.vocabSize / 32));
    this.#page = knowledge.page();
    this.#set = this.#page.configurations.start;
    this.#tokensLeft = this.#enough(tokensMax);
  }

  /** The answer so far is a sentence of the grammar. */
  get isComplete(): boolean {
    return this.#page.configurations.mayEnd(this.#set);
  }

  /** It is one, and nothing may follow. */
  get isFinished(): boolean {
    return this.isComplete && !this.#page.configurations.goesOn(this.#set);
  }

  /** Whether any text may come, as before a trigger: then masking is seldom needed. */
  get isFree(): boolean {
    return this.#page.configurations.isFree(this.#set);
  }

  /**
   * Whether `id` may come next. Takes as long as the token is.
   * @throws {RequestError} 400 when the grammar is too ambiguous to be followed.
   */
  allows(id: number): boolean {
    if (this.#endIds.includes(id)) return this.isComplete;
    this.#lookedAt = id;
    this.#behind = this.#read(id);
    return this.#behind !== DEAD_SET && this.#leavesEnough(this.#behind);
  }

  /** The answer comes to an end within so many ids from here, if it can. */
  endWithin(tokensMax: number): void {
    this.#tokensLeft = this.#enough(tokensMax);
  }

  /** Goes on with an id that is allowed; an end id leaves everything as it is. */
  accept(id: number): void {
    if (this.#endIds.includes(id)) return;
    const behind = this.#lookedAt === id ? this.#behind : this.#read(id);
    check(behind !== DEAD_SET, `the grammar does not allow ${id} here`);
    this.#lookedAt = -1;
    this.#follow(behind);
    this.#set = behind;
    this.#tokensLeft--;
    const page = this.#knowledge.page();
    if (page === this.#page) return;
    this.#set = this.#page.configurations.moveTo(page.configurations, behind);
    if (this.#plan !== null) this.#planSet = this.#set;
    this.#page = page;
    this.#maskSet = -1;
  }

  /** Keeps what is left of the nearest end where only that is near enough. */
  #follow(behind: number): void {
    const isNear = this.#tokensLeft === Infinity || this.#fits(behind);
    const nearest = isNear || !this.#isNearest(behind) ? null : this.#nearest();
    this.#plan = nearest?.subarray(1) ?? null;
    this.#planSet = nearest === null ? DEAD_SET : behind;
  }

  /** Whether the nearest end goes by a set, and is near enough. */
  #isNearest(behind: number): boolean {
    const nearest = this.#nearest();
    return nearest !== null && nearest.length > 0 && nearest.length <= this.#tokensLeft &&
      this.#read(nearest[0]) === behind;
  }

  /**
   * The ids that may come next, a bit each, [⌈vocab / 32⌉]: a view that the next call changes.
   * @throws {RequestError} 400 when the grammar is too ambiguous to be followed.
   */
  mask(): Uint32Array {
    const isNear = this.#tokensLeft < Infinity && this.#tokensLeft - 1 < this.#maskMissing;
    if (this.#maskSet === this.#set && !isNear && !this.#isMaskNarrow) return this.#mask;
    this.#maskSet = -1;
    const { masks } = this.#page;
    this.#maskMissing = masks.fill(this.#set, this.#mask);
    this.#isMaskNarrow = this.#tokensLeft - 1 < this.#maskMissing;
    if (this.#isMaskNarrow) {
      const limits = { tokensBehind: this.#tokensLeft - 1, nearest: this.#nearest() };
      masks.narrow(this.#set, this.#mask, limits);
    }
    if (this.#isMaskNarrow && !this.isComplete && this.#mask.every((word) => word === 0)) {
      // No end is within reach any more: an answer that is cut off is better than none.
      this.#tokensLeft = Infinity;
      this.#isMaskNarrow = false;
      masks.fill(this.#set, this.#mask);
    }
    if (this.isComplete) {
      for (const id of this.#endIds) this.#mask[id >>> 5] |= 1 << (id & 31);
    }
    this.#maskSet = this.#set;
    return this.#mask;
  }

  /** tokensMax, where they are enough from here on. */
  #enough(tokensMax: number): number {
    return this.#page.completions.fits(this.#set, tokensMax) ? tokensMax : Infinity;
  }

  #leavesEnough(behind: number): boolean {
    return this.#tokensLeft === Infinity || this.#fits(behind) || this.#isNearest(behind);
  }

  /** Whether the tokens behind the next one are enough for the nearest end behind a set. */
  #fits(behind: number): boolean {
    return this.#page.completions.fits(behind, this.#tokensLeft - 1);
  }

  /** The fewest ids that are known to end the answer here; null: none are. */
  #nearest(): Int32Array | null {
    const own = this.#page.completions.idsOf(this.#set);
    const plan = this.#planSet === this.#set ? this.#plan : null;
    return plan !== null && (own === null || plan.length < own.length) ? plan : own;
  }

  /** The set behind a token's bytes. */
  #read(id: number): number {
    const { configurations } = this.#page;
    const { bytes, offsets, endIds } = this.#knowledge.trie.source;
    if (!(id >= 0 && id + 1 < offsets.length) || endIds.includes(id)) return DEAD_SET;
    const end = offsets[id + 1];
    let at = offsets[id];
    if (at === end) return DEAD_SET;
    let set = this.#set;
    for (; at < end && set !== DEAD_SET; at++) set = configurations.step(set, bytes[at]);
    return set;
  }
}
