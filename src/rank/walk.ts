/** A rank's walk through its steps, whatever it calls a layer. */
import type { StepWords } from "../memory/control.ts";
import type { TowerInput } from "../model/vision_types.ts";
import { forward } from "./forward.ts";
import type { RankSteps, WalkedLayer } from "./rank_steps.ts";

/** Who takes steps, and what has him take one. */
export interface Walked {
  readonly rank: Pick<RankSteps, "begin">;
  readonly walk: (step: StepWords) => boolean;
  /** What it reads logits from; left out: it is where no thread can read it. */
  readonly finalRows?: () => Float32Array;
  /** Rows of a step that has ended, as guesses read them; left out: nothing guesses. */
  readonly lastRows?: () => Float32Array;
  /** What a tower's next step is of, where this rank leads. */
  readonly takePatches?: (input: TowerInput) => void;
}

export function walkOf<L extends WalkedLayer>(
  rank: RankSteps<L>,
  others: Pick<Walked, "finalRows" | "takePatches" | "lastRows">,
): Walked {
  const walk = (step: StepWords) => {
    rank.begin(step);
    return forward(rank);
  };
  return { rank, walk, ...others };
}
