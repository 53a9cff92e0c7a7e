/**
 * Guesses that a text goes on as it did before: the last few ids are looked up among all ids of
 * the same sequence, prompt and answer, and what followed them there is the guess. It costs next to
 * nothing and is right wherever a model copies: code that is edited, quotations, records.
 *
 * For each of a few lengths a table says where every run of so many ids was last seen. Tables are
 * filled as ids become known; nothing is allocated.
 */
import { check } from "../../base/check.ts";
import type { DraftedText, Drafter, Drafts, GuessCounts } from "./drafts.ts";
import { DraftOdds } from "./draft_odds.ts";

/** Ids that must agree, the best match first. */
const LENGTHS = [4, 3, 2] as const;
/** Longer matches are as good as this long. */
const MATCH_MAX = 16;
/** Kinds of guesses, by how many ids before them agree, so many or more; and the odds of each. */
const KIND_FROM = [2, 3, 4, 6, 10] as const;
const KIND_PRIOR = [0.25, 0.4, 0.55, 0.75, 0.9] as const;

export class PromptLookup implements Drafter {
  /** By slot. */
  readonly #tables: readonly RunTables[];
  readonly #odds: readonly DraftOdds[];

  constructor({ slots, contextLength }: { slots: number; contextLength: number }) {
    this.#tables = Array.from({ length: slots }, () => new RunTables(contextLength));
    this.#odds = Array.from({ length: slots }, () => new DraftOdds(KIND_PRIOR));
  }

  open(slot: number): void {
    this.#tables[slot].clear();
    this.#odds[slot].clear();
  }

  propose({ slot, ids, known }: DraftedText, most: number, drafts: Drafts): void {
    const tables = this.#tables[slot];
    tables.index(ids, known);
    const from = tables.find(ids, known);
    if (from < 0) return;
    const match = matchLength(ids, from, known);
    const { odds } = this.#odds[slot];
    for (let i = 0; i < most; i++) {
      const at = from + i;
      // A text that repeats itself at once goes on with what it is about to repeat.
      drafts.ids[i] = at < known ? ids[at] : drafts.ids[at - known];
      // A row that was given is no token that could be chosen.
      if (drafts.ids[i] < 0) return;
      const kind = kindOf(match + i);
      drafts.kinds[i] = kind;
      drafts.odds[i] = odds[kind];
      drafts.count = i + 1;
    }
  }

  learn(slot: number, drafts: Drafts, counts: GuessCounts): void {
    this.#odds[slot].learn(drafts.kinds, counts);
  }
}

/** How many ids before `from` are those before `known`, at most MATCH_MAX. */
function matchLength(ids: Int32Array, from: number, known: number): number {
  const most = Math.min(MATCH_MAX, from);
  let length = 0;
  while (length < most && ids[from - 1 - length] === ids[known - 1 - length]) length++;
  return length;
}

function kindOf(match: number): number {
  let kind = KIND_FROM.length - 1;
  while (kind > 0 && match < KIND_FROM[kind]) kind--;
  return kind;
}

/** Where runs of ids were last seen in one text. */
class RunTables {
  /** A table for each length: 1 + the index of the id behind a run; 0: a free place. */
  readonly #tables: readonly Int32Array[];
  readonly #mask: number;
  /** Ids whose runs are in the tables. */
  #indexed = 0;

  constructor(contextLength: number) {
    // At most half full, so that a place is found after few looks.
    const size = 2 ** Math.ceil(Math.log2(2 * contextLength));
    this.#tables = LENGTHS.map(() => new Int32Array(size));
    this.#mask = size - 1;
  }

  clear(): void {
    if (this.#indexed === 0) return;
    for (let i = 0; i < LENGTHS.length; i++) this.#tables[i].fill(0);
    this.#indexed = 0;
  }

  /** Puts in the runs that have an id behind them among the first `known`. */
  index(ids: Int32Array, known: number): void {
    check(known <= ids.length && 2 * known <= this.#mask + 1, "a text fits its tables");
    for (let next = Math.max(1, this.#indexed); next < known; next++) {
      for (let i = 0; i < LENGTHS.length; i++) {
        const length = LENGTHS[i];
        if (next < length) continue;
        const table = this.#tables[i];
        table[this.#placeOf(table, ids, next, length)] = next + 1;
      }
    }
    this.#indexed = Math.max(this.#indexed, known);
  }

  /** The index of the id behind the last place of the longest run that ends the text; -1: none. */
  find(ids: Int32Array, known: number): number {
    for (let i = 0; i < LENGTHS.length; i++) {
      const length = LENGTHS[i];
      if (known < length) continue;
      const table = this.#tables[i];
      const found = table[this.#placeOf(table, ids, known, length)];
      if (found > 0) return found - 1;
    }
    return -1;
  }

  /** Where the run of `length` ids before `end` is, or would be. */
  #placeOf(table: Int32Array, ids: Int32Array, end: number, length: number): number {
    let place = hashOf(ids, end, length) & this.#mask;
    while (table[place] !== 0 && !isSame(ids, table[place] - 1, end, length)) {
      place = (place + 1) & this.#mask;
    }
    return place;
  }
}

function isSame(ids: Int32Array, end: number, other: number, length: number): boolean {
  for (let i = 1; i <= length; i++) if (ids[end - i] !== ids[other - i]) return false;
  return true;
}

/** Of the `length` ids before `end`: 32 bits. */
function hashOf(ids: Int32Array, end: number, length: number): number {
  let hash = length;
  for (let i = end - length; i < end; i++) {
    hash = Math.imul(hash ^ ids[i], 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return hash;
}
