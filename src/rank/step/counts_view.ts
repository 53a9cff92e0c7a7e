/** What a rank has counted (counts.ts), as views of its first arena. */
import { floats64 } from "../bound/arena_views.ts";
import { COUNT_FIELDS, countsBytes } from "../plan/counts.ts";
import type { RankPlan } from "../plan/plan_types.ts";

/** memory: the rank's first arena. */
export function countsView(plan: RankPlan, memory: WebAssembly.Memory): Float64Array {
  return floats64(memory, plan.workspaces[0].counts, COUNT_FIELDS);
}

/** A layer's share of the counts. memory: the rank's first arena. */
export function layerCountsView(
  plan: RankPlan,
  memory: WebAssembly.Memory,
  layer: number,
): Float64Array {
  const at = plan.workspaces[0].counts + countsBytes(layer);
  return floats64(memory, at, COUNT_FIELDS);
}
