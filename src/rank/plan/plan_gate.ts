/** What heads are gated by, in a plan. */
import type { AttentionGate } from "../../model/types.ts";
import { rowsOfHeads } from "./picked.ts";
import type { Placer } from "./plan_layer.ts";
import type { MatrixPlan } from "./plan_types.ts";
import type { Range } from "./shard.ts";

export interface GatePlan extends Pick<AttentionGate, "activation"> {
  /** Own heads' rows. */
  readonly matrix: MatrixPlan;
  /** A head has one; else as many as dimensions. */
  readonly isPerHead: boolean;
}

/** Gates of own heads. */
export function planGate(
  place: Placer,
  gate: AttentionGate | null,
  heads: Range,
): GatePlan | null {
  return gate && {
    matrix: place.matrix(gate.gate.matrix, rowsOfHeads(gate.gate, heads)),
    isPerHead: gate.gate.count === 1,
    activation: gate.activation,
  };
}
