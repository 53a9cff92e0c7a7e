/** A layer's share of RWKV-7 as the walk uses it: addresses and sizes, bound once. */
import type { StateSpaceConfig } from "../../model/types.ts";
import { addressOf } from "./bound_norm.ts";
import { bindLowRank, type LowRank } from "./low_rank.ts";
import { type Matrix, matrixOf } from "./matrix.ts";
import { channelsOf } from "../plan/plan_state.ts";
import type { TimeMixPlan } from "../plan/plan_time_mix.ts";
import type { VectorPlan } from "../plan/plan_types.ts";
import type { RowShift } from "../step/row_shift.ts";
import { lengthOf } from "../plan/shard.ts";

/** What a head's outcome is normalised with: 1e-5 for each of 64 numbers, in all models. */
export const NORM_EPSILON = 64e-5;

/** Vectors are addresses of f32. */
export interface TimeMix {
  readonly headCount: number;
  readonly headDim: number;
  readonly stateLength: number;
  /** What rows are mixed by for each of 5 or 6 parts. */
  readonly shifts: readonly RowShift[];
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
  const { placesOffsetBytes: places, placeBytes } = plan;
  const rowBytes = 4 * lengthOf(plan.receptance.columns);
  return {
    ...{ headCount, headDim, stateLength: config.stateLength },
    shifts: Array.from({ length: gate === null ? 5 : 6 }, (_, part) => (
      { weights: plan.shifts.offsetBytes + part * rowBytes, weightsStride: 0, places, placeBytes }
    )),
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
    ...{ places, placeBytes, rowsBytes: placeBytes - statesBytes },
  };
}

/** Of a layer's neurons: their row is the second one of a place. */
export function bindNeuronShift(
  weights: VectorPlan,
  { placesOffsetBytes, placeBytes }: Pick<TimeMixPlan, "placesOffsetBytes" | "placeBytes">,
): RowShift {
  const rowBytes = 4 * lengthOf(weights.range);
  const places = placesOffsetBytes + rowBytes;
  return { weights: weights.offsetBytes, weightsStride: 0, places, placeBytes };
}
