/** The account of a runner's blocks of keys and values. */
import { tableBlocks } from "../rank/plan/kv_bytes.ts";
import type { RankRunner } from "../rank/open_rank.ts";
import { KvBlocks } from "./kv_blocks.ts";
import { canCopyBlocks } from "./kv_pieces.ts";
import type { StatePlaces } from "./state_places.ts";
import type { StepRunner } from "./step_runner.ts";

/**
 * takesTurns: prompts have steps of their own, whole chunks of which are used again. places: of
 * states; null: no layer keeps any.
 */
export function createKv(
  { plan, setup }: RankRunner,
  steps: StepRunner,
  { takesTurns, places }: { takesTurns: boolean; places: StatePlaces | null },
): KvBlocks {
  const { contextLength, chunkTokens, sequences, kvBlocks } = plan;
  return new KvBlocks({
    ...{ blocks: kvBlocks, sequences },
    reuseUnit: takesTurns ? chunkTokens : 1,
    tableBlocks: tableBlocks(contextLength),
    ...places && { canFollow: (...content) => places.find(...content) >= 0 },
    onBlock: (slot: number, index: number, block: number) => steps.setBlock(slot, index, block),
    ...canCopyBlocks(setup) && { onCopy: (from, to) => steps.copyBlock(from, to) },
  });
}
