/** Whether a step's rows come out the same whatever other rows are beside them. Reads plans. */
import type { DensePlan, MatrixPlan, RankPlan, StreamedPlan } from "../rank/plan_types.ts";
import { isQuantType } from "../rank/weight_types.ts";

/**
 * True where every kernel of these plans gives a row the same bits alone and beside others
 * (tests/kernels/rows_alone_test.ts), so that requests can share steps and are answered as if they
 * were alone. False of ranks on a GPU, of neurons that are left out or read from disk, which is
 * decided token by token, and of a quantised down that lies neuron by neuron.
 */
export function hasIndependentRows(plans: readonly RankPlan[]): boolean {
  return plans.every(({ gpu, stream, isSparse, layers }) =>
    gpu === null && stream === null && !isSparse &&
    layers.every(({ feedForward }) => blocksOf(feedForward).every(hasIndependentDown))
  );
}

function blocksOf(plan: RankPlan["layers"][number]["feedForward"]): (DensePlan | StreamedPlan)[] {
  if (plan.kind !== "experts") return [plan];
  return plan.shared === null ? [...plan.experts] : [...plan.experts, plan.shared];
}

function hasIndependentDown(block: DensePlan | StreamedPlan): boolean {
  const down: MatrixPlan = block.kind === "dense" ? block.down : block.staged.down;
  return down.layout === "rows" || down.layout === "neurons" && !isQuantType(down.type);
}
