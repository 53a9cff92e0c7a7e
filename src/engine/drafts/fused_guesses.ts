/**
 * Guesses of a model of one layer that reads what goes into some layers of the other one (EAGLE-3):
 * its row p is of the other model's rows of id p and of id p + 1, and says what comes behind that.
 * Behind a beginning that others have computed its own rows go on; the last of that beginning's is
 * of the id that came next there.
 */
import { STEP_KIND_DRAFT, STEP_KIND_GUESS } from "../../memory/control_layout.ts";
import type { StepRunner } from "../step_runner.ts";
import type { DraftedText } from "./drafts.ts";
import { type GrowText, RowGuesses } from "./row_guesses.ts";

export class FusedGuesses extends RowGuesses {
  /** steps: of the model that guesses, whose blocks are set as the other one's are. */
  constructor(steps: StepRunner, grow: GrowText) {
    super(steps, grow, 1);
  }

  protected override begin({ slot, ids }: DraftedText, from: number, end: number): void {
    this.steps.begin(STEP_KIND_DRAFT);
    for (let p = from; p < end; p++) {
      this.steps.ids[p - from] = ids[p + 1];
      this.steps.runner.kept!.use(p - from, slot, p);
    }
  }

  protected override beginBehind(_text: DraftedText, _from: number, guess: number): void {
    this.steps.begin(STEP_KIND_GUESS);
    this.steps.ids[0] = guess;
  }

  protected override keepLast(_slot: number, _position: number, row: number): void {
    const { runner } = this.steps;
    runner.kept!.carry(runner.lastRows(), row, runner.plan.strides.embedding);
  }
}
