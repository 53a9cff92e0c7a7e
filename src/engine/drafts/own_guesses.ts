/**
 * Guesses of the model's own guessing block (multi-token prediction): of an id and the last row of
 * the id before it the block says what comes behind. Its keys and values lie beside the model's,
 * in the same blocks, so texts that begin alike share them; row q of a text is of id q and the last
 * row of id q - 1. It follows each text, also where nothing is guessed, a few rows at a time, for
 * what it has missed cannot be had again. Its first row, and one behind a beginning that was
 * computed for somebody else, is made of zeros. Knows nothing of how texts are sampled.
 */
import { STEP_KIND_GUESS } from "../../memory/control_layout.ts";
import type { KeptSpan } from "../../rank/blocks/kept_rows.ts";
import type { Scheduler } from "../scheduler.ts";
import type { Sequence } from "../sequence.ts";
import type { StepRunner } from "../step_runner.ts";
import { StepTimes } from "../step_times.ts";
import type { DraftedText, Drafts, GuessCounts, ModelDrafter } from "./drafts.ts";
import { MarginGuesses } from "./margin_guesses.ts";

/** So many rows are read at once where nothing is guessed: weights are read for all of them. */
const FOLLOWED_ROWS = 16;

export class OwnGuesses implements ModelDrafter {
  readonly followsAnswers = true;
  readonly #steps: StepRunner;
  /** Has the slot's text keep blocks for so many positions. */
  readonly #grow: (slot: number, positions: number) => void;
  readonly #contextLength: number;
  readonly #chunkTokens: number;
  /** By slot: rows of the block that are right; those behind them were guesses. */
  readonly #followed: Int32Array;
  readonly #guesses: MarginGuesses;
  /** One object for all rows that are kept: nothing is made per token. */
  readonly #span = { slot: 0, position: 0, count: 0 };
  /** How long steps take that guess. */
  readonly #times: StepTimes;

  constructor(steps: StepRunner, grow: (slot: number, positions: number) => void) {
    const { contextLength, chunkTokens, sequences } = steps.runner.plan;
    this.#steps = steps;
    this.#grow = grow;
    this.#contextLength = contextLength;
    this.#chunkTokens = chunkTokens;
    this.#followed = new Int32Array(sequences);
    const { vocabSize } = steps.board;
    this.#guesses = new MarginGuesses(steps.board, { slots: sequences, vocabSize });
    this.#times = new StepTimes(chunkTokens);
  }

  get guessMs(): number {
    return this.#times.estimate(1);
  }

  costMs({ slot, known }: DraftedText, guesses: number): number {
    const rows = Math.min(Math.max(1, known - this.#followed[slot]), this.#chunkTokens);
    return this.#times.estimate(rows) + (guesses - 1) * this.guessMs;
  }

  chanceOf(slot: number): number {
    return this.#guesses.chanceOf(slot);
  }

  /** computed: ids of the text that others have computed, the block's rows with them. */
  open(slot: number, computed: number): void {
    this.#guesses.open(slot);
    this.#followed[slot] = computed;
    this.#steps.runner.kept!.clear(slot);
  }

  /** Keeps the last rows of the step that has just run, whose rows count or do not. */
  keep({ sequences, rows, count }: Scheduler<Sequence>): void {
    const { runner } = this.#steps;
    const stride = runner.plan.strides.embedding;
    const view = runner.lastRows();
    let first = 0;
    for (let i = 0; i < count; i++) {
      const { slot, computed } = sequences[i];
      runner.kept!.keep(this.#spanOf(slot, computed, rows[i]), view, first, stride);
      first += rows[i];
    }
  }

  /** Reads what the model has computed, its first `count` ids, unless it is little. */
  follow(text: DraftedText, count: number): void {
    const followed = this.#followed[text.slot];
    const end = Math.min(count + 1, text.known, this.#contextLength);
    if (end - followed < FOLLOWED_ROWS) return;
    const to = Math.min(end, followed + this.#chunkTokens);
    if (this.#run(text, followed, to, 0)) this.#followed[text.slot] = to;
  }

  /** least: behind a guess less likely than that, all before it right as well, none is made. */
  propose(text: DraftedText, most: number, drafts: Drafts, least = 0): void {
    const { slot, ids, known } = text;
    const room = Math.min(most, this.#contextLength - known + 1);
    // The last row is computed again where it is there: its logits are not.
    const from = Math.min(this.#followed[slot], known - 1);
    if (room < 1) return;
    if (known - from > this.#chunkTokens) return this.follow(text, known - 1);
    if (!this.#run(text, from, known, 1)) return;
    this.#followed[slot] = known;
    let chance = 1;
    for (let n = 0; n < room; n++) {
      if (n > 0) {
        ids[known + n - 1] = drafts.ids[n - 1];
        if (!this.#run(text, known + n - 1, known + n, 1)) return;
      }
      if (!this.#guesses.add(slot, drafts, n)) return;
      chance *= drafts.odds[n];
      if (chance < least) return;
    }
  }

  learn(slot: number, drafts: Drafts, counts: GuessCounts): void {
    this.#guesses.learn(slot, drafts, counts);
  }

  #spanOf(slot: number, position: number, count: number): KeptSpan {
    const span = this.#span;
    span.slot = slot;
    span.position = position;
    span.count = count;
    return span;
  }

  /** A step of the text's ids from `from` to before `end`; false: it was aborted. */
  #run(text: DraftedText, from: number, end: number, logits: number): boolean {
    const { slot, ids } = text;
    const { runner } = this.#steps;
    const kept = runner.kept!;
    this.#grow(slot, end);
    this.#times.start();
    this.#steps.begin(STEP_KIND_GUESS);
    for (let q = from; q < end; q++) {
      this.#steps.ids[q - from] = ids[q];
      kept.use(q - from, slot, q - 1);
    }
    this.#steps.addAt(slot, from, end - from, logits);
    if (!this.#steps.run()) return false;
    if (logits === 0) return true;
    this.#times.stop(end - from);
    // What the last row leaves is what a guess behind this one is made of.
    const row = end - from - 1;
    const { strides: { embedding: stride } } = runner.plan;
    kept.keep(this.#spanOf(slot, end - 1, 1), runner.lastRows(), row, stride);
    this.#steps.takeRow(0);
    return true;
  }
}
