/** The matrices of a layer's state space, in the order in which a token meets them. */
import type { MatrixTensor, StateSpaceTensors, TimeMixTensors } from "./types.ts";

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

/** Those of a layer of RWKV-7. */
export function timeMixMatrices(
  { receptance, decay, key, value, firstValue, rate, gate, output }: TimeMixTensors,
): MatrixTensor[] {
  const low = [decay, ...firstValue === null ? [] : [firstValue], rate];
  const all = gate === null ? low : [...low, gate];
  return [
    ...[receptance, key, value],
    ...all.flatMap(({ first, second }) => [first, second]),
    output,
  ];
}
