/**
 * Guesses of the model's own guessing block (multi-token prediction): of an id and the last row of
 * the id before it the block says what comes behind; row q of a text is of id q and the last row of
 * id q - 1. Its first row, and one behind a beginning that was computed for somebody else, is made
 * of zeros.
 */
import { STEP_KIND_GUESS } from "../../memory/control_layout.ts";
import type { KeptSpan } from "../../rank/blocks/kept_rows.ts";
import type { Scheduler } from "../scheduler.ts";
import type { Sequence } from "../sequence.ts";
import type { StepRunner } from "../step_runner.ts";
import type { DraftedText } from "./drafts.ts";
import { type GrowText, RowGuesses } from "./row_guesses.ts";

export class OwnGuesses extends RowGuesses {
  /** One object for all rows that are kept: nothing is made per token. */
  readonly #span = { slot: 0, position: 0, count: 0 };

  constructor(steps: StepRunner, grow: GrowText) {
    super(steps, grow, 0);
  }

  /** Keeps the last rows of the step that has just run, whose rows count or do not. */
  keep({ sequences, rows, count }: Scheduler<Sequence>): void {
    // Once: of some models it is a norm of the whole step.
    const view = this.steps.runner.lastRows();
    let first = 0;
    for (let i = 0; i < count; i++) {
      const { slot, computed } = sequences[i];
      this.#keep(this.#spanOf(slot, computed, rows[i]), view, first);
      first += rows[i];
    }
  }

  protected override begin({ slot, ids }: DraftedText, from: number, end: number): void {
    this.steps.begin(STEP_KIND_GUESS);
    for (let q = from; q < end; q++) {
      this.steps.ids[q - from] = ids[q];
      this.steps.runner.kept!.use(q - from, slot, q - 1);
    }
  }

  protected override beginBehind(text: DraftedText, from: number, guess: number): void {
    text.ids[from] = guess;
    this.begin(text, from, from + 1);
  }

  protected override keepLast(slot: number, position: number, row: number): void {
    this.#keep(this.#spanOf(slot, position, 1), this.steps.runner.lastRows(), row);
  }

  /** Keeps rows of a step, from `first` on. */
  #keep(span: KeptSpan, rows: Float32Array, first: number): void {
    const { kept, plan } = this.steps.runner;
    kept!.keep(span, rows, first, plan.strides.embedding);
  }

  #spanOf(slot: number, position: number, count: number): KeptSpan {
    const span = this.#span;
    span.slot = slot;
    span.position = position;
    span.count = count;
    return span;
  }
}
