/**
 * Follows one answer by a grammar: which ids may come, and what the chosen one leaves. What is
 * found out about a grammar is shared by all answers that follow it. Works on ids; knows nothing of
 * text.
 */
import { check } from "../base/check.ts";
import { Configurations, DEAD_SET } from "./configurations.ts";
import type { Grammar } from "./network.ts";
import { TokenMasks } from "./token_masks.ts";
import type { TokenTrie } from "./token_trie.ts";

/** What is known of a grammar over a vocabulary so far. */
export class GrammarKnowledge {
  readonly trie: TokenTrie;
  readonly #grammar: Grammar;
  #pages: KnowledgePage;

  constructor(grammar: Grammar, trie: TokenTrie) {
    this.#grammar = grammar;
    this.trie = trie;
    this.#pages = this.#blank();
  }

  /** Where to look things up now; a new one when the last one has become too large. */
  page(): KnowledgePage {
    const { configurations, masks } = this.#pages;
    if (configurations.isFull || masks.isFull) this.#pages = this.#blank();
    return this.#pages;
  }

  #blank(): KnowledgePage {
    const configurations = new Configurations(this.#grammar);
    return { configurations, masks: new TokenMasks(configurations, this.trie) };
  }
}

/** Configurations, and masks of them. */
export interface KnowledgePage {
  readonly configurations: Configurations;
  readonly masks: TokenMasks;
}

/** Where an answer is, as `GrammarMatcher.state` gives it. */
export interface MatcherState {
  readonly page: KnowledgePage;
  readonly set: number;
}

/** The grammar of one answer, and how far it has come. */
export class GrammarMatcher {
  readonly #knowledge: GrammarKnowledge;
  readonly #endIds: readonly number[];
  /** [⌈vocab / 32⌉], of `#maskSet`. */
  readonly #mask: Uint32Array;
  #maskSet = -1;
  #page: KnowledgePage;
  #set: number;
  /** The last id that was looked at, and the set behind it. */
  #lookedAt = -1;
  #behind = DEAD_SET;

  /** endIds: ids that end the answer, which fit exactly where the grammar may end. */
  constructor(
    knowledge: GrammarKnowledge,
    endIds: readonly number[] = knowledge.trie.source.endIds,
    state?: MatcherState,
  ) {
    this.#knowledge = knowledge;
    this.#endIds = endIds;
    this.#mask = new Uint32Array(Math.ceil(knowledge.trie.source.vocabSize / 32));
    this.#page = state?.page ?? knowledge.page();
    this.#set = state?.set ?? this.#page.configurations.start;
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

  /** A matcher that is where this one is and goes its own way. */
  fork(): GrammarMatcher {
    const state = { page: this.#page, set: this.#set };
    return new GrammarMatcher(this.#knowledge, this.#endIds, state);
  }

  /**
   * Whether `id` may come next. Takes as long as the token is.
   * @throws {RequestError} 400 when the grammar is too ambiguous to be followed.
   */
  allows(id: number): boolean {
    if (this.#endIds.includes(id)) return this.isComplete;
    this.#lookedAt = id;
    this.#behind = this.#read(id);
    return this.#behind !== DEAD_SET;
  }

  /** Goes on with an id that is allowed; an end id leaves everything as it is. */
  accept(id: number): void {
    if (this.#endIds.includes(id)) return;
    const behind = this.#lookedAt === id ? this.#behind : this.#read(id);
    check(behind !== DEAD_SET, `the grammar does not allow ${id} here`);
    this.#lookedAt = -1;
    this.#set = behind;
    const page = this.#knowledge.page();
    if (page === this.#page) return;
    this.#set = this.#page.configurations.moveTo(page.configurations, behind);
    this.#page = page;
    this.#maskSet = -1;
  }

  /**
   * The ids that may come next, a bit each, [⌈vocab / 32⌉]: a view that the next call changes.
   * @throws {RequestError} 400 when the grammar is too ambiguous to be followed.
   */
  mask(): Uint32Array {
    if (this.#maskSet === this.#set) return this.#mask;
    this.#maskSet = -1;
    this.#page.masks.fill(this.#set, this.#mask);
    if (this.isComplete) {
      for (const id of this.#endIds) this.#mask[id >>> 5] |= 1 << (id & 31);
    }
    this.#maskSet = this.#set;
    return this.#mask;
  }

  /** The set behind a token's bytes; a marker's spelling counts in free text only. */
  #read(id: number): number {
    const { configurations } = this.#page;
    const { bytes, offsets, isHidden, endIds } = this.#knowledge.trie.source;
    if (!(id >= 0 && id + 1 < offsets.length) || endIds.includes(id)) return DEAD_SET;
    const end = offsets[id + 1];
    let at = offsets[id];
    if (at === end || isHidden[id] === 1 && !configurations.isFree(this.#set)) return DEAD_SET;
    let set = this.#set;
    for (; at < end && set !== DEAD_SET; at++) set = configurations.step(set, bytes[at]);
    return set;
  }
}
