/** Which of a step's rows come out the same whatever other rows are beside them. Reads plans. */
import type { DensePlan, MatrixPlan, RankPlan, StreamedPlan } from "../rank/plan_types.ts";
import { isQuantType } from "../rank/weight_types.ts";

/** All rows, those of sequences that generate, one each, or none. */
export type IndependentRows = "all" | "answers" | "none";

/**
 * Which rows have the same bits alone and beside others (tests/kernels/rows_alone_test.ts), so that
 * requests can share steps and are answered as if they were alone. Where silent neurons are left
 * out, rows that generate are listed one by one, whoever is beside them; a prompt's are not. None
 * are where a GPU computes, where somebody observes all neurons, or where all are computed and a
 * quantised down lies neuron by neuron.
 */
export function independentRows(
  plans: readonly RankPlan[],
  { isObserved }: { isObserved: boolean },
): IndependentRows {
  if (plans.some(({ gpu }) => gpu !== null)) return isObserved ? "none" : "answers";
  if (plans.some(({ isSparse }) => isSparse)) return isObserved ? "none" : "answers";
  const isSame = plans.every(({ layers }) =>
    layers.every(({ feedForward }) => blocksOf(feedForward).every(hasIndependentDown))
  );
  return isSame ? "all" : "none";
}

function blocksOf(plan: RankPlan["layers"][number]["feedForward"]): (DensePlan | StreamedPlan)[] {
  if (plan.kind !== "experts") return [plan];
  return plan.shared === null ? [...plan.experts] : [...plan.experts, plan.shared];
}

function hasIndependentDown(block: DensePlan | StreamedPlan): boolean {
  const down: MatrixPlan = block.kind === "dense" ? block.down : block.staged.down;
  return down.layout === "rows" || down.layout === "neurons" && !isQuantType(down.type);
}
