/** A layer's share of Kimi Delta Attention as the walk uses it: addresses and sizes, bound once. */
import type { StateSpaceConfig } from "../../model/types.ts";
import { bindLowRank, type LowRank } from "./low_rank.ts";
import { type Matrix, matrixOf, readsQ8 } from "./matrix.ts";
import { CONVOLVED, type KeyDeltaPlan } from "../plan/plan_key_deltas.ts";
import { channelsOf, inputRows } from "../plan/plan_state.ts";
import { lengthOf } from "../plan/shard.ts";

/** Vectors are addresses of f32. */
export interface KeyDeltas {
  readonly headCount: number;
  readonly headDim: number;
  readonly stateLength: number;
  readonly channelCount: number;
  readonly inputRows: number;
  /** Query, key, value: what makes them, and their taps, [taps, own inner]. */
  readonly convolved: readonly { readonly matrix: Matrix; readonly taps: number }[];
  readonly output: Matrix;
  readonly steps: LowRank;
  readonly decay: number;
  readonly rates: Matrix;
  readonly gate: LowRank;
  readonly norm: number;
  /** 0: decays have none. */
  readonly decayFloor: number;
  /** A matrix that reads what the layer reads takes q8 tiles. */
  readonly readsQ8: boolean;
  readonly places: number;
  readonly placeBytes: number;
}

export function bindKeyDeltas(plan: KeyDeltaPlan, config: StateSpaceConfig): KeyDeltas {
  const convolved = CONVOLVED.map((name) => ({
    matrix: matrixOf(plan[name]),
    taps: plan.convolutions[name].offsetBytes,
  }));
  const [steps, gate] = [plan.steps, plan.gate].map(bindLowRank);
  const rates = matrixOf(plan.rates);
  const readers = [...convolved.map(({ matrix }) => matrix), rates, steps.reader, gate.reader];
  return {
    headCount: lengthOf(plan.heads),
    headDim: config.innerLength / config.headCount,
    stateLength: config.stateLength,
    channelCount: lengthOf(channelsOf(plan.heads, config)),
    inputRows: inputRows(plan.heads, config),
    convolved,
    output: matrixOf(plan.output),
    ...{ steps, rates, gate },
    decay: plan.decay.offsetBytes,
    norm: plan.norm.offsetBytes,
    decayFloor: config.decayFloor ?? 0,
    readsQ8: readers.some(readsQ8),
    places: plan.placesOffsetBytes,
    placeBytes: plan.placeBytes,
  };
}
