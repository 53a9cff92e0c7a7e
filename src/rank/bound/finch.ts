/** A layer's share of RWKV-6 as the walk uses it: addresses and sizes, bound once. */
import type { StateSpaceConfig } from "../../model/types.ts";
import { addressOf } from "./bound_norm.ts";
import { bindLowRank, type LowRank } from "./low_rank.ts";
import { type Matrix, matrixOf, partOfRows } from "./matrix.ts";
import type { FinchPlan } from "../plan/plan_finch.ts";
import { channelsOf } from "../plan/plan_state.ts";
import { lengthOf } from "../plan/shard.ts";

/** One of the five parts that rows are mixed for. */
export interface FinchShare {
  /** Address of f32 [d], and what moves it, [d, rank]. */
  readonly weights: number;
  readonly moves: Matrix;
}

/** Vectors are addresses of f32. */
export interface Finch {
  readonly headCount: number;
  readonly headDim: number;
  readonly stateLength: number;
  readonly channelCount: number;
  readonly readsBefore: boolean;
  readonly first: number;
  /** [5 · rank, d]. */
  readonly moves: Matrix;
  readonly shares: readonly FinchShare[];
  readonly receptance: Matrix;
  readonly key: Matrix;
  readonly value: Matrix;
  readonly gate: Matrix;
  readonly output: Matrix;
  readonly decay: LowRank;
  /** 0: there is none. */
  readonly bonus: number;
  /** 0: heads' outcomes are not normalised. */
  readonly norm: number;
  readonly normBias: number;
  readonly places: number;
  readonly placeBytes: number;
  /** Of a place, in front of the states. */
  readonly rowsBytes: number;
}

export function bindFinch(plan: FinchPlan, config: StateSpaceConfig): Finch {
  const { moves, norm } = plan;
  const channelCount = lengthOf(channelsOf(plan.heads, config));
  const second = matrixOf(moves.second);
  const rows = second.rowCount / plan.shares.length;
  return {
    headCount: lengthOf(plan.heads),
    headDim: config.innerLength / config.headCount,
    stateLength: config.stateLength,
    channelCount,
    readsBefore: config.timeMix!.moved!.readsBefore,
    first: plan.first.offsetBytes,
    moves: matrixOf(moves.first),
    shares: plan.shares.map((share, part) => ({
      weights: share.offsetBytes,
      moves: partOfRows(second, part, rows),
    })),
    receptance: matrixOf(plan.receptance),
    key: matrixOf(plan.key),
    value: matrixOf(plan.value),
    gate: matrixOf(plan.gate),
    output: matrixOf(plan.output),
    decay: bindLowRank(plan.decay),
    bonus: addressOf(plan.bonus),
    norm: addressOf(norm && norm.weight),
    normBias: addressOf(norm && norm.bias),
    places: plan.placesOffsetBytes,
    placeBytes: plan.placeBytes,
    rowsBytes: plan.placeBytes - 4 * channelCount * config.stateLength,
  };
}
