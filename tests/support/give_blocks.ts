/** What a leader does before the first step: the sequence in slot 0 gets its blocks. */
import { tableBlocks } from "../../src/rank/plan/kv_bytes.ts";
import type { RankPlan } from "../../src/rank/plan/plan_types.ts";

/** Blocks of a whole context, in their order. */
export function giveBlocks(plan: RankPlan, memories: readonly WebAssembly.Memory[]): void {
  const words = tableBlocks(plan.contextLength);
  plan.workspaces.forEach(({ tables }, arena) => {
    const table = new Uint32Array(memories[arena].buffer, tables, words);
    for (let i = 0; i < words; i++) table[i] = i;
  });
}
