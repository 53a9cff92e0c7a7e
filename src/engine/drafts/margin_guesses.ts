/**
 * Guesses that are a model's likeliest ids: how far ahead of the second one the best is tells how
 * likely a guess is right, and what came of guesses teaches it. Reads logits; runs no steps.
 */
import type { ScoreBoard } from "../score_board.ts";
import { DraftOdds } from "./draft_odds.ts";
import type { Drafts, GuessCounts } from "./drafts.ts";

/** Kinds of guesses: by how far the best logit is above the second, so far or more; and odds. */
const KIND_FROM = [0, 0.5, 1, 2, 4] as const;
const KIND_PRIOR = [0.3, 0.45, 0.6, 0.8, 0.95] as const;
/** How often the first guess of a step is right, before it is known; and what one counts for. */
const CHANCE_PRIOR = 0.7;
const CHANCE_SHARE = 1 / 16;

export class MarginGuesses {
  readonly #board: ScoreBoard;
  /** Ids that may be guessed are below it. */
  readonly #vocabSize: number;
  /** Which tokens the logits are of; null: all, in their order. */
  readonly #tokens: Int32Array | null;
  readonly #odds: readonly DraftOdds[];
  /** By slot: how often the first guess of a step is right. */
  readonly #chances: Float64Array;

  constructor(
    board: ScoreBoard,
    { slots, vocabSize, tokens = null }: {
      readonly slots: number;
      readonly vocabSize: number;
      readonly tokens?: Int32Array | null;
    },
  ) {
    this.#board = board;
    this.#vocabSize = vocabSize;
    this.#tokens = tokens;
    this.#odds = Array.from({ length: slots }, () => new DraftOdds(KIND_PRIOR));
    this.#chances = new Float64Array(slots).fill(CHANCE_PRIOR);
  }

  /** The slot has another text. */
  open(slot: number): void {
    this.#odds[slot].clear();
    this.#chances[slot] = CHANCE_PRIOR;
  }

  /** How likely the slot's next guess is right, before it is made. */
  chanceOf(slot: number): number {
    return this.#chances[slot];
  }

  /** Puts the likeliest id on the board into `drafts` as number n; false: there is none. */
  add(slot: number, drafts: Drafts, n: number): boolean {
    const board = this.#board;
    const count = board.keepLargest(Math.min(2, board.vocabSize));
    if (count === 0) return false;
    const [first, second] = board.ids;
    const isSecond = count > 1 && board.scores[second] > board.scores[first];
    const best = isSecond ? second : first;
    if (best >= this.#vocabSize) return false;
    const margin = count > 1 ? Math.abs(board.scores[first] - board.scores[second]) : Infinity;
    let kind = KIND_FROM.length - 1;
    while (kind > 0 && !(margin >= KIND_FROM[kind])) kind--;
    drafts.ids[n] = this.#tokens === null ? best : this.#tokens[best];
    drafts.kinds[n] = kind;
    drafts.odds[n] = this.#odds[slot].odds[kind];
    // One that is not worth its row is looked at, too, when its id has come.
    drafts.count = n + 1;
    return true;
  }

  learn(slot: number, drafts: Drafts, counts: GuessCounts): void {
    this.#odds[slot].learn(drafts.kinds, counts);
    this.#chances[slot] += CHANCE_SHARE * ((counts.right > 0 ? 1 : 0) - this.#chances[slot]);
  }
}
