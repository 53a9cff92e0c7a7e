/** What gates the sum of a layer's neurons (RWKV-6), as the walk uses it. */
import { type Matrix, matrixOf } from "./matrix.ts";
import type { NeuronGatePlan } from "../plan/plan_neuron_gate.ts";
import type { RowShift } from "../step/row_shift.ts";
import { bindNeuronShift } from "./time_mix.ts";

export interface NeuronGate {
  readonly matrix: Matrix;
  readonly shift: RowShift;
}

/** kept: where the layer keeps its rows. */
export function bindNeuronGate(
  { matrix, shift }: NeuronGatePlan,
  kept: { readonly placesOffsetBytes: number; readonly placeBytes: number },
): NeuronGate {
  return { matrix: matrixOf(matrix), shift: bindNeuronShift(shift, kept) };
}
