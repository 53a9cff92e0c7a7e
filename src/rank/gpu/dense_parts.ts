/** What a GPU computes of a layer's neurons, part by part. */
import type { DensePlan, LayerPlan } from "../plan_types.ts";
import { lengthOf } from "../shard.ts";

export interface DensePart {
  readonly block: DensePlan;
  /** Computed in steps of so many tokens and more. */
  readonly fromTokens: number;
}

/** In the order in which steps that grow have them; where one is computed, those before it are. */
export function denseParts({ feedForward, steppedNeurons }: LayerPlan): DensePart[] {
  if (feedForward.kind !== "dense") return [];
  const stepped = steppedNeurons.map(({ block, tokens }) => ({ block, fromTokens: tokens.start }));
  return [{ block: feedForward, fromTokens: 1 }, ...stepped]
    .filter(({ block }) => lengthOf(block.up.rows) > 0);
}
