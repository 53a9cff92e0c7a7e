/**
 * Guesses that are made of another model's rows, whose own keys and values lie in blocks of the
 * same numbers as that model's, so texts that begin alike share them. It follows each text, also
 * where nothing is guessed, a few rows at a time: the other model's rows are kept for a while only,
 * and what it has missed cannot be had again. What a row is made of is said by who extends this.
 * Knows nothing of how texts are sampled.
 */
import type { StepRunner } from "../step_runner.ts";
import { StepTimes } from "../step_times.ts";
import type { DraftedText, Drafts, GuessCounts, ModelDrafter } from "./drafts.ts";
import { MarginGuesses } from "./margin_guesses.ts";

/** So many rows are read at once where nothing is guessed: weights are read for all of them. */
const FOLLOWED_ROWS = 16;

/** Has the slot's text keep blocks for so many positions. */
export type GrowText = (slot: number, positions: number) => void;

export abstract class RowGuesses implements ModelDrafter {
  readonly followsAnswers = true;
  protected readonly steps: StepRunner;
  readonly #grow: GrowText;
  /** How many ids behind its position a row is of. */
  readonly #ahead: number;
  readonly #contextLength: number;
  readonly #chunkTokens: number;
  /** By slot: rows that are right; those behind them were guesses. */
  readonly #followed: Int32Array;
  readonly #guesses: MarginGuesses;
  /** How long steps take that guess. */
  readonly #times: StepTimes;

  constructor(steps: StepRunner, grow: GrowText, ahead: number) {
    const { plan: { contextLength, chunkTokens, sequences: slots }, kept } = steps.runner;
    this.steps = steps;
    this.#grow = grow;
    this.#ahead = ahead;
    this.#contextLength = contextLength;
    this.#chunkTokens = chunkTokens;
    this.#followed = new Int32Array(slots);
    const { vocabSize } = steps.board;
    this.#guesses = new MarginGuesses(steps.board, { slots, vocabSize, tokens: kept!.tokens });
    this.#times = new StepTimes(chunkTokens);
  }

  /** Begins a step and says what its rows, of positions `from` to before `end`, are made of. */
  protected abstract begin(text: DraftedText, from: number, end: number): void;

  /** Begins a step of one row, of a guess and what the row before it, `from` - 1, has left. */
  protected abstract beginBehind(text: DraftedText, from: number, guess: number): void;

  /** Keeps row `row` of the step, of the text's position `position`, for the guess behind it. */
  protected abstract keepLast(slot: number, position: number, row: number): void;

  get guessMs(): number {
    return this.#times.estimate(1);
  }

  costMs({ slot, known }: DraftedText, guesses: number): number {
    const missing = known - this.#ahead - this.#followed[slot];
    const rows = Math.min(Math.max(1, missing), this.#chunkTokens);
    return this.#times.estimate(rows) + (guesses - 1) * this.guessMs;
  }

  chanceOf(slot: number): number {
    return this.#guesses.chanceOf(slot);
  }

  /** computed: ids of the text that others have computed, rows of these guesses with them. */
  open(slot: number, computed: number): void {
    this.#guesses.open(slot);
    this.#followed[slot] = computed;
    this.steps.runner.kept!.clear(slot);
  }

  /** Reads what the other model has computed, its first `count` ids, unless it is little. */
  follow(text: DraftedText, count: number): void {
    const { slot, known } = text;
    const end = Math.min(Math.min(count + 1, known) - this.#ahead, this.#contextLength);
    // It is more than a piece where a step was not followed, one that no cancel may end.
    while (end - this.#followed[slot] >= FOLLOWED_ROWS) {
      const from = this.#followed[slot];
      if (!this.#read(text, from, Math.min(end, from + this.#chunkTokens), 0)) return;
    }
  }

  /** least: behind a guess less likely than that, all before it right as well, none is made. */
  propose(text: DraftedText, most: number, drafts: Drafts, least = 0): void {
    const { slot, known } = text;
    const room = Math.min(most, this.#contextLength - known + 1);
    const end = known - this.#ahead;
    if (room < 1 || end < 1) return;
    // The last row is computed again where it is there: its logits are not.
    const from = Math.min(this.#followed[slot], end - 1);
    if (end - from > this.#chunkTokens) return this.follow(text, known - 1);
    if (!this.#read(text, from, end, 1)) return;
    let chance = 1;
    for (let n = 0; n < room; n++) {
      if (n > 0 && !this.#readGuess(text, end + n - 1, drafts.ids[n - 1])) return;
      if (!this.#guesses.add(slot, drafts, n)) return;
      chance *= drafts.odds[n];
      if (chance < least) return;
    }
  }

  learn(slot: number, drafts: Drafts, counts: GuessCounts): void {
    this.#guesses.learn(slot, drafts, counts);
  }

  /** A step of rows `from` to before `end` of the text; false: it was aborted. */
  #read(text: DraftedText, from: number, end: number, logits: number): boolean {
    this.#times.start();
    this.begin(text, from, end);
    if (!this.#run(text.slot, from, end, logits)) return false;
    this.#followed[text.slot] = end;
    return true;
  }

  /** A step of the row of a guess, which is right only if the guess is. */
  #readGuess(text: DraftedText, from: number, guess: number): boolean {
    this.#times.start();
    this.beginBehind(text, from, guess);
    return this.#run(text.slot, from, from + 1, 1);
  }

  #run(slot: number, from: number, end: number, logits: number): boolean {
    this.#grow(slot, end);
    this.steps.addAt(slot, from, end - from, logits);
    if (!this.steps.run()) return false;
    if (logits === 0) return true;
    this.#times.stop(end - from);
    // What the last row leaves is what a guess behind this one is made of.
    this.keepLast(slot, end - 1, end - from - 1);
    this.steps.takeRow(0);
    return true;
  }
}
