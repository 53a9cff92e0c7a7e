/** A layer's share of a state space as the walk uses it: addresses and sizes, bound once. */
import type { StateSpaceConfig } from "../../model/types.ts";
import { floats } from "./arena_views.ts";
import { type Matrix, matrixOf, readsQ8 } from "./matrix.ts";
import {
  channelsOf,
  convolvedRows,
  groupsOf,
  inputRows,
  type StateSpacePlan,
} from "../plan/plan_state.ts";
import type { VectorPlan } from "../plan/plan_types.ts";
import { lengthOf } from "../plan/shard.ts";

/** Vectors are addresses of f32, 0: there is none. */
export interface StateSpace {
  readonly headCount: number;
  /** Place of the first own head in its group. */
  readonly headOffset: number;
  readonly channelCount: number;
  readonly firstChannel: number;
  /** Channels of a whole group. */
  readonly groupLength: number;
  readonly input: Matrix;
  /** Of "deltas": what is made by matrices of its own. */
  readonly deltas: Readonly<Record<"gate" | "rates" | "steps", Matrix>> | null;
  /** A matrix that reads what the layer reads takes q8 tiles. */
  readonly readsQ8: boolean;
  /** Of what the input gives: rows, and where what gates and what is convolved begin. */
  readonly inputRows: number;
  readonly gateRow: number;
  readonly convolvedRow: number;
  readonly convolvedRows: number;
  readonly convolution: number;
  readonly convolutionBias: number;
  readonly shared: {
    readonly matrix: Matrix;
    readonly steps: Matrix;
    /** Of steps, of what writes and of what reads; null: there are no weights. */
    readonly norms: readonly [Float32Array, Float32Array, Float32Array] | null;
    /** Where they begin in what the matrix gives of a token. */
    readonly rows: readonly [step: number, input: number, output: number];
  } | null;
  readonly stepBias: number;
  readonly decay: number;
  readonly skip: number;
  readonly norm: number;
  readonly output: Matrix;
  readonly places: number;
  readonly placeBytes: number;
}

/** memory: the layer's arena. */
export function bindStateSpace(
  plan: StateSpacePlan,
  { config, memory }: { config: StateSpaceConfig; memory: WebAssembly.Memory },
): StateSpace {
  const { heads, shared } = plan;
  const channels = channelsOf(heads, config);
  const channelCount = lengthOf(channels);
  const hasGateFirst = config.kind !== "channels";
  const input = matrixOf(plan.input);
  const deltas = plan.deltas && {
    gate: matrixOf(plan.deltas.gate),
    rates: matrixOf(plan.deltas.rates),
    steps: matrixOf(plan.deltas.steps),
  };
  const groupSize = config.headCount / config.groupCount;
  const values = (vector: VectorPlan) => floats(memory, vector.offsetBytes, lengthOf(vector.range));
  return {
    headCount: lengthOf(heads),
    headOffset: heads.start - groupsOf(heads, config).start * groupSize,
    channelCount,
    firstChannel: channels.start,
    groupLength: config.innerLength / config.groupCount,
    ...{ input, deltas, readsQ8: [input, ...Object.values(deltas ?? {})].some(readsQ8) },
    inputRows: inputRows(heads, config),
    gateRow: hasGateFirst ? 0 : channelCount,
    convolvedRow: hasGateFirst ? channelCount : 0,
    convolvedRows: convolvedRows(heads, config),
    convolution: plan.convolution.offsetBytes,
    convolutionBias: plan.convolutionBias?.offsetBytes ?? 0,
    shared: shared && {
      matrix: matrixOf(shared.matrix),
      steps: matrixOf(shared.steps),
      norms: shared.norms &&
        [values(shared.norms.step), values(shared.norms.input), values(shared.norms.output)],
      rows: [shared.rows.step, shared.rows.input, shared.rows.output],
    },
    stepBias: plan.stepBias.offsetBytes,
    decay: plan.decay.offsetBytes,
    skip: plan.skip?.offsetBytes ?? 0,
    norm: plan.norm?.offsetBytes ?? 0,
    output: matrixOf(plan.output),
    places: plan.placesOffsetBytes,
    placeBytes: plan.placeBytes,
  };
}
