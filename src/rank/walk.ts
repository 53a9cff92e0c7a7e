/** A rank's walk through its steps, whatever it calls a layer. */
import type { StepWords } from "../memory/control.ts";
import type { TowerInput } from "../model/vision_types.ts";
import type { KeptRows } from "./blocks/kept_rows.ts";
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
  /** Keeps rows of layers for a model that guesses; left out: they are where no thread can. */
  readonly tap?: (rows: KeptRows, layers: readonly number[]) => void;
}

export function walkOf<L extends WalkedLayer>(
  rank: RankSteps<L>,
  others: Omit<Walked, "rank" | "walk">,
): Walked {
  const walk = (step: StepWords) => {
    rank.begin(step);
    return forward(rank);
  };
  return { rank, walk, ...others };
}
