/** Which of a step's rows come out the same whatever other rows are beside them. Reads plans. */
import type {
  DensePlan,
  LayerPlan,
  MatrixPlan,
  RankPlan,
  StreamedPlan,
} from "../rank/plan/plan_types.ts";
import { isQuantType } from "../rank/plan/weight_types.ts";

/** All rows, those of sequences that generate, one each, or none. */
export type IndependentRows = "all" | "answers" | "none";

/**
 * Which rows have the same bits alone and beside others (tests/kernels/rows_alone_test.ts), so that
 * requests can share steps and are answered as if they were alone. Where silent neurons are left
 * out, and where a GPU computes, rows that generate are; a prompt's are not. None are where
 * somebody observes all neurons of such a model, or where threads compute all of a quantised down
 * that lies neuron by neuron. A GPU whose share grows with the rows is taken for one whose share
 * does not: then who computes a neuron, and so how it is rounded, depends on who is beside.
 */
export function independentRows(
  plans: readonly RankPlan[],
  { isObserved }: { isObserved: boolean },
): IndependentRows {
  const ofThreads = plans.filter(({ gpu }) => gpu === null);
  const hasGpu = ofThreads.length < plans.length;
  const isSparse = plans.some(({ isSparse }) => isSparse);
  if (isObserved && (hasGpu || isSparse)) return "none";
  if (isSparse) return "answers";
  const isSame = ofThreads.every(({ layers }) =>
    layers.every((layer) => blocksOf(layer).every(hasIndependentDown))
  );
  if (!isSame) return "none";
  return hasGpu ? "answers" : "all";
}

/** A GPU is one of the ranks. */
export function anyOnGpu(plans: readonly RankPlan[]): boolean {
  return plans.some(({ gpu }) => gpu !== null);
}

function blocksOf({ feedForward: plan, steppedNeurons }: LayerPlan): (DensePlan | StreamedPlan)[] {
  if (plan === null) return [];
  if (plan.kind !== "experts") return [plan, ...steppedNeurons.map(({ block }) => block)];
  return plan.shared === null ? [...plan.experts] : [...plan.experts, plan.shared];
}

function hasIndependentDown(block: DensePlan | StreamedPlan): boolean {
  const down: MatrixPlan = block.kind === "dense" ? block.down : block.staged.down;
  return down.layout === "rows" || down.layout === "neurons" && !isQuantType(down.type);
}
