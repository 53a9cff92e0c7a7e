/**
 * Guesses of how a sequence goes on, and who makes them. A guess that is wrong costs a row of a
 * step and changes nothing: ids are sampled as ever. Knows ids, not where guesses come from.
 */

import type { Scheduler } from "../scheduler.ts";
import type { Sequence } from "../sequence.ts";

/** Most ids that are guessed at once. */
export const DRAFTS_MAX = 15;

/** How drafts are used: as many as pay; always so many, where there are guesses; 0: never. */
export type Speculate = "auto" | number;

/** What a drafter sees of a sequence. */
export interface DraftedText {
  readonly slot: number;
  /** Its ids, of which the first `known` are. */
  readonly ids: Int32Array;
  readonly known: number;
}

/** Guesses for one sequence and one step. */
export class Drafts {
  /** [DRAFTS_MAX], of which the first `count` are guesses. */
  readonly ids = new Int32Array(DRAFTS_MAX);
  /** [DRAFTS_MAX]: how likely each is right, if those before it are. */
  readonly odds = new Float64Array(DRAFTS_MAX);
  /** [DRAFTS_MAX]: the drafter's own kind of each guess, from which it learns. */
  readonly kinds = new Uint8Array(DRAFTS_MAX);
  count = 0;
}

/** Of the first `seen` guesses the first `right` were so; there is at most one more of them. */
export interface GuessCounts {
  readonly seen: number;
  readonly right: number;
}

/** Guesses how sequences go on, and learns how good it is at it. */
export interface Drafter {
  /** The slot has a new sequence, of which so many ids were computed before. */
  open(slot: number, computed: number): void;
  /** Puts at most `most` guesses into `drafts`, which has none yet. */
  propose(text: DraftedText, most: number, drafts: Drafts): void;
  /** What came of its guesses. */
  learn(slot: number, drafts: Drafts, counts: GuessCounts): void;
}

/** One whose guesses cost time: it says how much, and reads what others have chosen. */
export interface ModelDrafter extends Drafter {
  /** It follows answers, too, when it is not asked. */
  readonly followsAnswers: boolean;
  /** Milliseconds that one more guess takes; 0: nobody knows yet. */
  readonly guessMs: number;
  /**
   * Milliseconds that the next `guesses` of a text take, of which it first reads what others have
   * chosen since it was asked last; 0: nobody knows yet.
   */
  costMs(text: DraftedText, guesses: number): number;
  /** A step of the other model has run: whoever wants its rows takes them. */
  keep?(scheduler: Scheduler<Sequence>): void;
  /** How likely the slot's next guess is right, before it is made. */
  chanceOf(slot: number): number;
  /** Reads a piece of what the other model has read, the first `count` ids. */
  follow(text: DraftedText, count: number): void;
  /** least: behind a guess less likely than that, all before it right as well, none is made. */
  propose(text: DraftedText, most: number, drafts: Drafts, least?: number): void;
}
