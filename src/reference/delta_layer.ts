/**
 * A layer whose states are corrected, from what it reads to what it adds, as models define it:
 * scans from the first position on, as state_layer.ts does.
 */
import { check } from "../base/check.ts";
import type { StateSpaceTensors } from "../model/mod.ts";
import { deltaScan } from "./delta_scan.ts";
import { filled, rmsNorm } from "./ops.ts";
import { columns, type StateLayerInput } from "./state_layer.ts";
import { softplus, stateConvolution } from "./state_space.ts";

/** output · (norm(scan(…)) ⊙ silu(gate)), [count, d]; rows: gate, convolved, rates, steps. */
export function deltaLayer(tensors: StateSpaceTensors, input: StateLayerInput): Float64Array {
  const { config: { stateSpace, norm: { epsilon } }, weights, rows, count } = input;
  check(stateSpace !== null, "the model has state spaces");
  const { innerLength: inner, stateLength: states, headCount: heads, groupCount: groups } =
    stateSpace;
  const keys = groups * states;
  const convolved = 2 * keys + inner;
  const width = inner + convolved + 2 * heads;
  const part = (start: number, length: number) => columns(rows, { width, start, length });
  const x = stateConvolution({
    x: part(inner, convolved),
    weights: weights.vector(tensors.convolution),
    bias: null,
  }, { p0: 0, channels: convolved });
  const ofX = (start: number, length: number) => columns(x, { width: convolved, start, length });
  const stepBias = weights.vector(tensors.stepBias);
  const n = rows.length / width;
  const [rates, steps] = mixed(part(inner + convolved, 2 * heads), tensors, { heads, groups });
  const y = deltaScan({
    q: ofX(0, keys),
    k: ofX(keys, keys),
    v: ofX(2 * keys, inner),
    dt: steps.map((value, i) => softplus(value + stepBias[i % heads])),
    a: weights.vector(tensors.decay),
    beta: rates,
    state: new Float64Array(inner * states),
  }, {
    ...{ heads, headDim: inner / heads, states, groups, epsilon },
    inTurns: stateSpace.headsTakeTurns,
  });
  check(tensors.norm !== null, "heads are normalised");
  const normed = rmsNorm(y, weights.vector(tensors.norm), epsilon);
  const gate = part(0, inner);
  const { gatesBySigmoid } = stateSpace;
  const gated = normed.map((value, i) =>
    value * (gatesBySigmoid ? 1 : gate[i]) / (1 + Math.exp(-gate[i]))
  );
  return weights.multiply(tensors.output, gated.subarray((n - count) * inner));
}

/** Rates and steps, [n, heads] each: one behind the other, or of each group by turns. */
function mixed(
  both: Float64Array,
  { deltas }: StateSpaceTensors,
  { heads, groups }: { heads: number; groups: number },
): [Float64Array, Float64Array] {
  const part = (start: number) => columns(both, { width: 2 * heads, start, length: heads });
  if (!deltas?.areMixed) return [part(0), part(heads)];
  const size = heads / groups;
  const n = both.length / (2 * heads);
  const pick = (first: number) =>
    filled(n * heads, (i) => {
      const head = i % heads;
      const row = Math.floor(i / heads) * 2 * heads;
      return both[row + Math.floor(head / size) * 2 * size + first + head % size];
    });
  return [pick(0), pick(size)];
}
