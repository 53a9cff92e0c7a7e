/** A product of two matrices with little between them: the first whole, of the second own rows. */
import type { LowRankTensors } from "../../model/types.ts";
import type { Placer } from "./plan_layer.ts";
import type { MatrixPlan, VectorPlan } from "./plan_types.ts";
import type { Range } from "./shard.ts";

export interface LowRankPlan {
  /** Whole, [rank, d], and own rows, [own inner, rank]; without a first one [own inner, d]. */
  readonly first: MatrixPlan | null;
  readonly second: MatrixPlan;
  readonly bias: VectorPlan | null;
}

export function planLowRank(
  place: Placer,
  { first, second, bias }: LowRankTensors,
  own: Range,
): LowRankPlan {
  return {
    first: first && place.matrix(first, {}),
    second: place.matrix(second, { rows: own }),
    bias: bias && place.vector(bias, own),
  };
}
