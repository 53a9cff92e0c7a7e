/**
 * Guesses of a model of one layer that reads what goes into some layers of the other one (EAGLE-3):
 * its row p is of the other model's rows of id p and of id p + 1, and says what comes behind that.
 * Its keys and values lie in blocks of the same numbers as the other model's, so texts that begin
 * alike share them. It follows each text, also where nothing is guessed, a few rows at a time: the
 * other model's rows are kept for a while only. Behind a beginning that others have computed its
 * own rows go on; the last of that beginning's is of the id that came next there. Knows nothing of
 * how texts are sampled.
 */
import { STEP_KIND_DRAFT, STEP_KIND_GUESS } from "../../memory/control_layout.ts";
import type { StepRunner } from "../step_runner.ts";
import { StepTimes } from "../step_times.ts";
import type { DraftedText, Drafts, GuessCounts, ModelDrafter } from "./drafts.ts";
import { MarginGuesses } from "./margin_guesses.ts";

/** So many rows are read at once where nothing is guessed: weights are read for all of them. */
const FOLLOWED_ROWS = 16;

export class FusedGuesses implements ModelDrafter {
  readonly followsAnswers = true;
  readonly #steps: StepRunner;
  /** Has the slot's text keep blocks for so many positions. */
  readonly #grow: (slot: number, positions: number) => void;
  readonly #contextLength: number;
  readonly #chunkTokens: number;
  /** By slot: rows that are right; those behind them were guesses. */
  readonly #followed: Int32Array;
  readonly #guesses: MarginGuesses;
  /** How long steps take that guess. */
  readonly #times: StepTimes;

  /** steps: of the model that guesses, whose blocks are set as the other one's are. */
  constructor(steps: StepRunner, grow: (slot: number, positions: number) => void) {
    const { plan: { contextLength, chunkTokens, sequences }, kept } = steps.runner;
    this.#steps = steps;
    this.#grow = grow;
    this.#contextLength = contextLength;
    this.#chunkTokens = chunkTokens;
    this.#followed = new Int32Array(sequences);
    this.#guesses = new MarginGuesses(steps.board, {
      slots: sequences,
      vocabSize: steps.board.vocabSize,
      tokens: kept!.tokens,
    });
    this.#times = new StepTimes(chunkTokens);
  }

  get guessMs(): number {
    return this.#times.estimate(1);
  }

  costMs({ slot, known }: DraftedText, guesses: number): number {
    const rows = Math.min(Math.max(1, known - 1 - this.#followed[slot]), this.#chunkTokens);
    return this.#times.estimate(rows) + (guesses - 1) * this.guessMs;
  }

  chanceOf(slot: number): number {
    return this.#guesses.chanceOf(slot);
  }

  /** computed: ids of the text that others have computed, rows of this model with them. */
  open(slot: number, computed: number): void {
    this.#guesses.open(slot);
    this.#followed[slot] = computed;
    this.#steps.runner.kept!.clear(slot);
  }

  /** Reads what the other model has computed, its first `count` ids, unless it is little. */
  follow(text: DraftedText, count: number): void {
    const { slot, known } = text;
    const end = Math.min(count, known - 1, this.#contextLength);
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
    if (room < 1 || known < 2) return;
    // The last row is computed again where it is there: its logits are not.
    const from = Math.min(this.#followed[slot], known - 2);
    if (known - 1 - from > this.#chunkTokens) return this.follow(text, known - 1);
    if (!this.#read(text, from, known - 1, 1)) return;
    let chance = 1;
    for (let n = 0; n < room; n++) {
      if (n > 0 && !this.#chain(slot, known + n - 2, drafts.ids[n - 1])) return;
      if (!this.#guesses.add(slot, drafts, n)) return;
      chance *= drafts.odds[n];
      if (chance < least) return;
    }
  }

  learn(slot: number, drafts: Drafts, counts: GuessCounts): void {
    this.#guesses.learn(slot, drafts, counts);
  }

  /** A step of rows `from` to before `end` of the text; false: it was aborted. */
  #read({ slot, ids }: DraftedText, from: number, end: number, logits: number): boolean {
    this.#times.start();
    this.#steps.begin(STEP_KIND_DRAFT);
    for (let p = from; p < end; p++) {
      this.#steps.ids[p - from] = ids[p + 1];
      this.#steps.runner.kept!.use(p - from, slot, p);
    }
    if (!this.#run(slot, from, end, logits)) return false;
    this.#followed[slot] = end;
    return true;
  }

  /** A step of one row more, of a guess and of what the row before has left. */
  #chain(slot: number, position: number, id: number): boolean {
    this.#times.start();
    this.#steps.begin(STEP_KIND_GUESS);
    this.#steps.ids[0] = id;
    return this.#run(slot, position, position + 1, 1);
  }

  #run(slot: number, from: number, end: number, logits: number): boolean {
    const { runner } = this.#steps;
    this.#grow(slot, end);
    this.#steps.addAt(slot, from, end - from, logits);
    if (!this.#steps.run()) return false;
    if (logits === 0) return true;
    this.#times.stop(end - from);
    // What the last row leaves is what a guess behind this one is made of.
    const { strides: { embedding: stride } } = runner.plan;
    runner.kept!.carry(runner.lastRows(), end - from - 1, stride);
    this.#steps.takeRow(0);
    return true;
  }
}
