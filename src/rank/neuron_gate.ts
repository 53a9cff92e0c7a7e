/** What gates the sum of a layer's neurons (RWKV-6): made of their row, on every rank. */
import { type Matrix, matrixOf, project, readsQ8 } from "./matrix.ts";
import type { NeuronGateTensors } from "../model/types.ts";
import type { Layer } from "./layer.ts";
import type { Placer } from "./plan_layer.ts";
import type { MatrixPlan, VectorPlan } from "./plan_types.ts";
import type { Residual } from "./residual.ts";
import type { RowShift } from "./row_shift.ts";
import type { StepState } from "./step_state.ts";
import { bindNeuronShift } from "./time_mix.ts";

/** Whole on every rank: a partial sum is gated before the others' are added. */
export interface NeuronGatePlan {
  /** [d, d]. */
  readonly matrix: MatrixPlan;
  readonly shift: VectorPlan;
}

export interface NeuronGate {
  readonly matrix: Matrix;
  readonly shift: RowShift;
}

export function planNeuronGate(
  place: Placer,
  gate: NeuronGateTensors | undefined,
): NeuronGatePlan | null {
  if (gate === undefined) return null;
  return { matrix: place.matrix(gate.matrix, {}), shift: place.vector(gate.shift) };
}

/** kept: where the layer keeps its rows. */
export function bindNeuronGate(
  { matrix, shift }: NeuronGatePlan,
  kept: { readonly placesOffsetBytes: number; readonly placeBytes: number },
): NeuronGate {
  return { matrix: matrixOf(matrix), shift: bindNeuronShift(shift, kept) };
}

/** partial ⊙= sigmoid(matrix · shifted row), behind the layer's neurons, which kept the row. */
export function gateNeurons(
  state: StepState,
  residual: Residual,
  { feedForwardNorm, neuronGate }: Layer,
): void {
  if (neuronGate === null) return;
  const { matrix, shift } = neuronGate;
  const { kernels, space, plan, n } = state;
  const x = residual.read(feedForwardNorm, readsQ8(matrix), shift, false);
  project(kernels, matrix, x, n, space.incoming, plan.strides.embedding);
  residual.gatePartial(space.incoming);
}
