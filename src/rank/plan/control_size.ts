/** What the control block of a plan's ranks has room for; who starts threads asks, too. */
import type { ControlSize } from "../../memory/control_layout.ts";
import type { RankPlan } from "./plan_types.ts";

export function controlSize({ chunkTokens, contextLength, sequences }: RankPlan): ControlSize {
  return { chunkTokens, contextLength, slots: sequences };
}
