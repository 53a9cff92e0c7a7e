/**
 * The state space of a layer, from what it reads to what it adds, as models define it. Keeps what
 * is convolved of all positions and scans from the first one on: slow, and never wrong about what
 * was forgotten.
 */
import { check } from "../base/check.ts";
import type { ModelConfig, StateSpaceConfig, StateSpaceTensors } from "../model/mod.ts";
import { filled, rmsNorm } from "./ops.ts";
import type { ReferenceBlocks } from "./blocks.ts";
import { deltaLayer } from "./delta_layer.ts";
import { selectiveScan, softplus, stateConvolution } from "./state_space.ts";
import type { ReferenceWeights } from "./weights.ts";

export interface StateLayerInput {
  readonly config: ModelConfig;
  readonly weights: ReferenceWeights;
  /** [positions, rows of the input matrix] of all positions, the new ones last. */
  readonly rows: Float64Array;
  /** New ones. */
  readonly count: number;
}

/** What the layer's scan reads, row by row. */
interface Scanned {
  readonly x: Float64Array;
  readonly dt: Float64Array;
  readonly b: Float64Array;
  readonly c: Float64Array;
}

/** What new tokens add to `StateLayerInput.rows`; h: what the layer reads, [count, d]. */
export function stateRows(
  h: Float64Array,
  { input, deltas }: StateSpaceTensors,
  blocks: Pick<ReferenceBlocks, "project">,
): Float64Array {
  if (deltas === null) return blocks.project(h, input);
  const last = deltas.areMixed ? [deltas.rates] : [deltas.rates, deltas.steps];
  const matrices = [deltas.gate, input, ...last];
  const parts = matrices.map((matrix) => blocks.project(h, matrix));
  const count = parts[0].length / deltas.gate.rows;
  return Float64Array.from(
    Array.from(
      { length: count },
      (_, t) =>
        parts.flatMap((part, i) => {
          const { rows } = matrices[i];
          return Array.from(part.subarray(t * rows, (t + 1) * rows));
        }),
    ).flat(),
  );
}

/** output · norm(scan(…) ⊙ silu(gate)), [count, d]. */
export function stateLayer(tensors: StateSpaceTensors, input: StateLayerInput): Float64Array {
  if (tensors.deltas !== null) return deltaLayer(tensors, input);
  const { config: { stateSpace, norm: { epsilon } }, weights, rows, count } = input;
  check(stateSpace !== null, "the model has state spaces");
  const { innerLength, stateLength, headCount, groupCount } = stateSpace;
  const width = tensors.input.rows;
  const n = rows.length / width;
  const column = (start: number, length: number) => columns(rows, { width, start, length });
  const convolved = tensors.convolution.length / stateSpace.taps;
  const bias = tensors.convolutionBias && weights.vector(tensors.convolutionBias);
  const ofHeads = (first: number) => headColumns(rows, { width, first, headCount, innerLength });
  const x = stateConvolution({
    x: tensors.isByHead ? ofHeads(tensors.convolvedRow) : column(tensors.convolvedRow, convolved),
    weights: weights.vector(tensors.convolution),
    bias,
  }, { p0: 0, channels: convolved });
  const steps = column(innerLength + convolved, width - innerLength - convolved);
  const scanned = tensors.shared === null
    ? scannedHeads(x, steps, stateSpace)
    : ofChannels(x, tensors, { stateSpace, weights, epsilon });
  const stepBias = weights.vector(tensors.stepBias);
  const y = selectiveScan({
    ...scanned,
    dt: scanned.dt.map((value, i) => softplus(value + stepBias[i % headCount])),
    a: weights.vector(tensors.decay),
    d: skipOf(tensors, weights),
    state: new Float64Array(innerLength * stateLength),
  }, {
    heads: headCount,
    headDim: innerLength / headCount,
    groups: groupCount,
    states: stateLength,
  });
  const gate = tensors.isByHead ? ofHeads(tensors.gateRow) : column(tensors.gateRow, innerLength);
  const gated = y.map((value, i) => value * gate[i] / (1 + Math.exp(-gate[i])));
  const out = tensors.norm === null
    ? gated
    : groupNorm(gated, { weight: weights.vector(tensors.norm), groupCount, epsilon });
  const fresh = out.subarray((n - count) * innerLength);
  return weights.multiply(tensors.output, fresh);
}

function skipOf({ skip }: StateSpaceTensors, weights: ReferenceWeights): Float32Array {
  check(skip !== null, "something goes around the state");
  return weights.vector(skip);
}

/** The convolution's rows are channels, what writes, and what reads. */
function scannedHeads(
  convolved: Float64Array,
  dt: Float64Array,
  { innerLength, stateLength, groupCount }: StateSpaceConfig,
): Scanned {
  const length = groupCount * stateLength;
  const width = innerLength + 2 * length;
  return {
    x: columns(convolved, { width, start: 0, length: innerLength }),
    dt,
    b: columns(convolved, { width, start: innerLength, length }),
    c: columns(convolved, { width, start: innerLength + length, length }),
  };
}

/** All channels make steps, what writes and what reads, which may be normalised. */
function ofChannels(
  x: Float64Array,
  { shared }: StateSpaceTensors,
  by: { stateSpace: StateSpaceConfig; weights: ReferenceWeights; epsilon: number },
): Scanned {
  const { stateSpace, weights, epsilon } = by;
  const { stepRank, stateLength, normalizesInputs } = stateSpace;
  check(shared !== null, "channels share what they make");
  const width = stepRank + 2 * stateLength;
  const made = weights.multiply(shared.matrix, x);
  const part = (norm: "step" | "input" | "output", length: number) => {
    const own = columns(made, { width, start: shared.rows[norm], length });
    if (shared.norms === null && !normalizesInputs) return own;
    const weight = shared.norms === null
      ? new Float64Array(length).fill(1)
      : weights.vector(shared.norms[norm]);
    return rmsNorm(own, weight, epsilon);
  };
  const steps = part("step", stepRank);
  return {
    x,
    dt: weights.multiply(shared.steps, steps),
    b: part("input", stateLength),
    c: part("output", stateLength),
  };
}

/** Each group of a row by itself. */
function groupNorm(
  x: Float64Array,
  by: { weight: ArrayLike<number>; groupCount: number; epsilon: number },
): Float64Array {
  const { weight, groupCount, epsilon } = by;
  const length = weight.length / groupCount;
  const ones = new Float64Array(length).fill(1);
  return rmsNorm(x, ones, epsilon).map((value, i) => value * weight[i % weight.length]);
}

/** Of each row a head's part, of all heads; as much of each head again lies between them. */
function headColumns(
  x: Float64Array,
  by: { width: number; first: number; headCount: number; innerLength: number },
): Float64Array {
  const { width, first, headCount, innerLength } = by;
  const [n, headDim] = [x.length / width, innerLength / headCount];
  return filled(n * innerLength, (i) => {
    const channel = i % innerLength;
    const head = Math.floor(channel / headDim);
    return x[
      Math.floor(i / innerLength) * width + (head * 2) * headDim + first + channel % headDim
    ];
  });
}

/** Of each row a part. */
export function columns(
  x: Float64Array,
  { width, start, length }: { width: number; start: number; length: number },
): Float64Array {
  const n = x.length / width;
  return Float64Array.from(
    { length: n * length },
    (_, i) => x[Math.floor(i / length) * width + start + i % length],
  );
}
