/** Of how many rows a step gives logits at most. Pure arithmetic. */
import { FILL_BLOCK_MAX } from "../../model/fill_types.ts";
import type { ModelConfig } from "../../model/types.ts";

/** Most tokens of a step that want logits, and so of sequences that each have one. */
export const LOGITS_ROWS = 16;

/**
 * Steps that want every position's logits are short, so that the logits stay small. What a model
 * fills in it looks at block by block.
 */
export function logitsRows({ fill }: Pick<ModelConfig, "fill">, chunkTokens: number): number {
  return Math.min(fill === undefined ? LOGITS_ROWS : FILL_BLOCK_MAX, chunkTokens);
}
