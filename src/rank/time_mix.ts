/** A layer's share of RWKV-7 as the walk uses it: addresses and sizes, bound once. */
import type { StateSpaceConfig } from "../model/types.ts";
import { addressOf } from "./bound_norm.ts";
import { bindLowRank, type LowRank } from "./low_rank.ts";
import { type Matrix, matrixOf } from "./matrix.ts";
import { channelsOf } from "./plan_state.ts";
import type { TimeMixPlan } from "./plan_time_mix.ts";
import type { VectorPlan } from "./plan_types.ts";
import { lengthOf } from "./shard.ts";

/** Vectors are addresses of f32. */
export interface TimeMix {
  readonly headCount: number;
  readonly headDim: number;
  readonly stateLength: number;
  /** [5 or 6, d]. */
  readonly shifts: number;
  readonly receptance: Matrix;
  readonly key: Matrix;
  readonly value: Matrix;
  readonly output: Matrix;
  readonly decay: LowRank;
  readonly rate: LowRank;
  readonly firstValue: LowRank | null;
  readonly gate: LowRank | null;
  readonly keyScale: number;
  readonly keyRate: number;
  readonly bonus: number;
  /** 0: heads' outcomes are not normalised. */
  readonly norm: number;
  readonly normBias: number;
  readonly places: number;
  readonly placeBytes: number;
  /** Of a place, in front of the states. */
  readonly rowsBytes: number;
}

export function bindTimeMix(plan: TimeMixPlan, config: StateSpaceConfig): TimeMix {
  const { firstValue, gate, norm } = plan;
  const headCount = lengthOf(plan.heads);
  const headDim = config.innerLength / config.headCount;
  const statesBytes = 4 * lengthOf(channelsOf(plan.heads, config)) * config.stateLength;
  return {
    ...{ headCount, headDim, stateLength: config.stateLength },
    shifts: plan.shifts.offsetBytes,
    receptance: matrixOf(plan.receptance),
    key: matrixOf(plan.key),
    value: matrixOf(plan.value),
    output: matrixOf(plan.output),
    decay: bindLowRank(plan.decay),
    rate: bindLowRank(plan.rate),
    firstValue: firstValue && bindLowRank(firstValue),
    gate: gate && bindLowRank(gate),
    keyScale: plan.keyScale.offsetBytes,
    keyRate: plan.keyRate.offsetBytes,
    bonus: plan.bonus.offsetBytes,
    norm: addressOf(norm && norm.weight),
    normBias: addressOf(norm && norm.bias),
    places: plan.placesOffsetBytes,
    placeBytes: plan.placeBytes,
    rowsBytes: plan.placeBytes - statesBytes,
  };
}

/** Rows that are mixed with those of the token before, which a sequence's place keeps. */
export interface RowShift {
  /** Address of f32 [d]: how much of it is the row before. */
  readonly weights: number;
  /** Where the first place keeps the last row, and bytes from one place to the next. */
  readonly places: number;
  readonly placeBytes: number;
}

/** Of a layer's neurons: their row is the second one of a place. */
export function bindNeuronShift(
  weights: VectorPlan,
  { placesOffsetBytes, placeBytes }: TimeMixPlan,
): RowShift {
  const rowBytes = 4 * lengthOf(weights.range);
  return { weights: weights.offsetBytes, places: placesOffsetBytes + rowBytes, placeBytes };
}
