/** The matrices of a layer's state space, in the order in which a token meets them. */
import type { MatrixTensor, StateSpaceTensors } from "./types.ts";

export function stateMatrices(
  { input, deltas, shared, output }: StateSpaceTensors,
): MatrixTensor[] {
  return [
    ...deltas === null ? [] : [deltas.gate, deltas.rates, deltas.steps],
    input,
    ...shared === null ? [] : [shared.matrix, shared.steps],
    output,
  ];
}
