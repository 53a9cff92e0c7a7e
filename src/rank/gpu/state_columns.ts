/** Where in rows of what a layer's input gives its parts begin, of layers that keep states. */
import type { StateSpaceConfig } from "../../model/types.ts";
import { channelsOf, convolvedRows, type StateSpacePlan } from "../plan/plan_state.ts";
import type { MatrixPlan } from "../plan/plan_types.ts";
import { lengthOf } from "../plan/shard.ts";
import { productColumns } from "./gpu_weights.ts";

export interface StateColumns {
  /** Columns of a row. */
  readonly width: number;
  /** What gates the outcome, and what is convolved. */
  readonly gate: number;
  readonly convolved: number;
  /** How much is corrected, of "deltas"; steps, but for "channels". */
  readonly rates: number;
  readonly steps: number;
}

/** Matrices that read what the layer reads, in the order of what they give. */
export function inputMatrices({ input, deltas }: StateSpacePlan): MatrixPlan[] {
  return deltas === null ? [input] : [deltas.gate, input, deltas.rates, deltas.steps];
}

export function stateColumns(plan: StateSpacePlan, config: StateSpaceConfig): StateColumns {
  const { columns, width } = productColumns(inputMatrices(plan));
  if (plan.deltas !== null) {
    const [gate, convolved, rates, steps] = columns;
    return { width, gate, convolved, rates, steps };
  }
  const channels = lengthOf(channelsOf(plan.heads, config));
  const convolved = convolvedRows(plan.heads, config);
  const hasGateFirst = config.kind !== "channels";
  return {
    ...{ width, rates: 0, steps: channels + convolved },
    ...{ gate: hasGateFirst ? 0 : convolved, convolved: hasGateFirst ? channels : 0 },
  };
}
