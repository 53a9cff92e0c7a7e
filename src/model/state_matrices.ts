/** What a state space is made of, as far as several have to know it. */
import type { MatrixTensor, StateSpaceConfig, StateSpaceTensors } from "./types.ts";

/** Steps, what writes and what reads are made of all convolved channels. */
export function areMadeOfAll({ kind }: Pick<StateSpaceConfig, "kind">): boolean {
  return kind === "channels" || kind === "channelHeads";
}

/** The matrices of a layer's state space, in the order in which a token meets them. */
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
