/** What a tower's ends need of a step's room on a GPU, and when. Pure arithmetic. */
import { mergedWidth } from "../../../gpu/mod.ts";
import type { ModelConfig } from "../../model/types.ts";
import type { GraphTensor, StepGraph } from "../../shapes/mod.ts";
import type { ProjectorPlan } from "../plan/plan_projector.ts";
import { lengthOf } from "../plan/shard.ts";

/** Floats of a patch, of merged rows, of one made of these, and of neurons between two matrices. */
export interface TowerWidths {
  readonly patches: number;
  readonly merged: number;
  readonly joined: number;
  readonly projected: number;
  readonly activated: number;
}

const NONE: TowerWidths = { patches: 0, merged: 0, joined: 0, projected: 0, activated: 0 };

/** plan: null of what is no tower. */
export function towerWidths(
  plan: ProjectorPlan | null,
  { embeddingLength: width, patches, projector }: ModelConfig,
): TowerWidths {
  if (plan === null) return NONE;
  const { merge, mergedRows: count } = projector!;
  const neurons = Math.max(
    ...[plan.last, ...plan.deep].map(({ first, second }) =>
      second === null ? 0 : lengthOf(first.rows)
    ),
  );
  return {
    patches: patches!.length,
    merged: mergedWidth({ width, count, merge }),
    joined: plan.stages.length === 0 ? 0 : width,
    ...{ projected: neurons, activated: neurons },
  };
}

type TowerTensors = Readonly<
  Record<keyof TowerWidths | "residual" | "normed" | "logits", GraphTensor>
>;

/** Rows are merged and projected. isOneOfSome: other columns of what comes out are there. */
export function recordProjector(graph: StepGraph, of: TowerTensors, isOneOfSome: boolean): void {
  const { residual, normed, merged, joined, projected, activated, logits } = of;
  graph.op("merge rows", { reads: [residual, normed], writes: [merged] });
  graph.op("normalize rows", { updates: [merged] });
  graph.op("join rows", { reads: [merged, normed], writes: [joined] });
  graph.op("project rows", { reads: [merged, joined, normed], writes: [projected] });
  graph.op("activate rows", { reads: [projected], writes: [activated] });
  const reads = [activated, merged, joined, normed];
  if (isOneOfSome) graph.op("project again", { reads, updates: [logits] });
  else graph.op("project again", { reads, writes: [logits] });
}
