/** Who guesses for a runner's sequences, and how many guesses a step may have. */
import type { RankRunner } from "../../rank/open_rank.ts";
import { GUESSED_STATES } from "../../rank/plan/plan_guess.ts";
import type { KvBlocks } from "../kv_blocks.ts";
import { StepRunner } from "../step_runner.ts";
import type { StepTimes } from "../step_times.ts";
import { DraftModel } from "./draft_model.ts";
import type { ModelDrafter, Speculate } from "./drafts.ts";
import { FusedGuesses } from "./fused_guesses.ts";
import { OwnGuesses } from "./own_guesses.ts";
import { PromptLookup } from "./prompt_lookup.ts";
import { Speculation } from "./speculation.ts";

export interface SpeculationInput {
  readonly steps: StepRunner;
  readonly kv: KvBlocks;
  readonly times: StepTimes;
  readonly speculate: Speculate;
  /** A smaller model that guesses, in place of the model's own block. */
  readonly draft?: RankRunner;
  /** Rows are not the same beside others. */
  readonly takesTurns: boolean;
}

/** Null: nothing is guessed. */
export function createSpeculation(input: SpeculationInput): Speculation | null {
  const { steps, speculate, takesTurns, times } = input;
  const { plan: { logitsRows, sequences, contextLength, statePlaces } } = steps.runner;
  if (speculate === 0 || takesTurns || logitsRows === 1) return null;
  const model = drafterOf(input);
  // A state of guesses that were wrong is of no use: only who guesses well gets places for more.
  if (statePlaces > 0 && !(model instanceof OwnGuesses)) return null;
  return new Speculation(
    { lookup: new PromptLookup({ slots: sequences, contextLength }), model },
    { slots: sequences, speculate, times, ...statePlaces > 0 && { most: GUESSED_STATES } },
  );
}

function drafterOf({ steps, kv, draft }: SpeculationInput): ModelDrafter | undefined {
  const { kept, setup: { config: { vocabSize } } } = steps.runner;
  const grow = (slot: number, positions: number) => kv.grow(slot, positions);
  if (draft?.kept) return new FusedGuesses(steps.beside = new StepRunner(draft), grow);
  if (draft !== undefined) return new DraftModel(new StepRunner(draft), vocabSize);
  return kept === null ? undefined : new OwnGuesses(steps, grow);
}
