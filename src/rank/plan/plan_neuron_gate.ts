/** What gates the sum of a layer's neurons (RWKV-6), in a plan. */
import type { NeuronGateTensors } from "../../model/types.ts";
import type { Placer } from "./plan_layer.ts";
import type { MatrixPlan, VectorPlan } from "./plan_types.ts";

/** Whole on every rank: a partial sum is gated before the others' are added. */
export interface NeuronGatePlan {
  /** [d, d]. */
  readonly matrix: MatrixPlan;
  readonly shift: VectorPlan;
}

export function planNeuronGate(
  place: Placer,
  gate: NeuronGateTensors | undefined,
): NeuronGatePlan | null {
  if (gate === undefined) return null;
  return { matrix: place.matrix(gate.matrix, {}), shift: place.vector(gate.shift) };
}
