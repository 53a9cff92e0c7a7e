/** Which layers a rank on a GPU has the experts of. */
import type { ExpertsPlan, LayerPlan } from "../plan/plan_types.ts";
import { lengthOf } from "../plan/shard.ts";

/** The experts that a rank on a GPU has of a layer; null: none. */
export function ownExperts({ feedForward }: Pick<LayerPlan, "feedForward">): ExpertsPlan | null {
  if (feedForward?.kind !== "experts") return null;
  const [first] = feedForward.experts;
  return first.kind === "dense" && lengthOf(first.up.rows) > 0 ? feedForward : null;
}
