/** A rank's walk through its steps, whatever it calls a layer. */
import type { StepWords } from "../memory/control.ts";
import { forward } from "./forward.ts";
import type { RankSteps, WalkedLayer } from "./rank_steps.ts";

/** Who takes steps, and what has him take one. */
export interface Walked {
  readonly rank: Pick<RankSteps, "begin">;
  readonly walk: (step: StepWords) => boolean;
  /** What it reads logits from; left out: it is where no thread can read it. */
  readonly finalRows?: () => Float32Array;
}

export function walkOf<L extends WalkedLayer>(
  rank: RankSteps<L>,
  finalRows: Walked["finalRows"],
): Walked {
  const walk = (step: StepWords) => {
    rank.begin(step);
    return forward(rank);
  };
  return { rank, walk, finalRows };
}
