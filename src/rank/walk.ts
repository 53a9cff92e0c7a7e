/** A rank's walk through its steps, whatever it calls a layer. */
import { check } from "../base/check.ts";
import type { StepWords } from "../memory/control.ts";
import { STEP_KIND_GUESS } from "../memory/control_layout.ts";
import type { TowerInput } from "../model/vision_types.ts";
import { forward } from "./forward.ts";
import type { RankSteps, WalkedLayer } from "./rank_steps.ts";

/** Who takes steps, and what has him take one. */
export interface Walked {
  readonly rank: Pick<RankSteps, "begin">;
  readonly walk: (step: StepWords) => boolean;
  /** What it reads logits from; left out: it is where no thread can read it. */
  readonly finalRows?: () => Float32Array;
  /** Last rows of a step that has ended, as guesses read them. */
  readonly lastRows?: () => Float32Array;
  /** What a tower's next step is of, where this rank leads. */
  readonly takePatches?: (input: TowerInput) => void;
}

export function walkOf<L extends WalkedLayer>(
  rank: RankSteps<L>,
  others: Pick<Walked, "finalRows" | "takePatches" | "lastRows"> & { guess?: () => boolean },
): Walked {
  const { guess, ...own } = others;
  const walk = (step: StepWords) => {
    rank.begin(step);
    if (step.kind !== STEP_KIND_GUESS) return forward(rank);
    check(guess !== undefined, "guesses of threads");
    return guess();
  };
  return { rank, walk, ...own };
}
