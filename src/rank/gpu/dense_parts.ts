/** What a GPU computes of a layer's neurons, part by part. */
import type { DensePlan, LayerPlan } from "../plan/plan_types.ts";
import { lengthOf } from "../plan/shard.ts";

export interface DensePart {
  readonly block: DensePlan;
  /** Computed in steps of so many tokens and more. */
  readonly fromTokens: number;
}

/**
 * In the order in which steps that grow have them; where one is computed, those before it are.
 * @param allFromTokens steps of so many tokens and more have all of them: nobody else has any then.
 */
export function denseParts(
  { feedForward, steppedNeurons }: LayerPlan,
  allFromTokens = Infinity,
): DensePart[] {
  if (feedForward?.kind !== "dense") return [];
  const stepped = steppedNeurons.map(({ block, tokens: { start } }) => ({
    block,
    fromTokens: Math.min(start, allFromTokens),
  }));
  return [{ block: feedForward, fromTokens: 1 }, ...stepped]
    .filter(({ block }) => lengthOf(block.up.rows) > 0);
}
