/**
 * A rank's share of a layer of RWKV-7: some heads, and all of what their decays, rates, shares and
 * gates are made of first, which is little. Knows shards and tensors.
 */
import { check } from "../../base/check.ts";
import type { LowRankTensors, ModelConfig, TimeMixTensors } from "../../model/types.ts";
import type { Placer } from "./plan_layer.ts";
import { type LowRankPlan, planLowRank } from "./plan_low_rank.ts";
import { channelsOf, placeBytes } from "./plan_state.ts";
import type { MatrixPlan, VectorPlan } from "./plan_types.ts";
import type { Range } from "./shard.ts";

/** A layer's share; `TimeMixTensors` says what each is. */
export interface TimeMixPlan {
  readonly heads: Range;
  readonly shifts: VectorPlan;
  readonly receptance: MatrixPlan;
  readonly key: MatrixPlan;
  readonly value: MatrixPlan;
  readonly output: MatrixPlan;
  readonly decay: LowRankPlan;
  readonly rate: LowRankPlan;
  readonly firstValue: LowRankPlan | null;
  readonly gate: LowRankPlan | null;
  readonly keyScale: VectorPlan;
  readonly keyRate: VectorPlan;
  readonly bonus: VectorPlan;
  readonly norm: { readonly weight: VectorPlan; readonly bias: VectorPlan } | null;
  /** Bytes of one place, and where the first one is: the row before, that of neurons, states. */
  readonly placeBytes: number;
  readonly placesOffsetBytes: number;
}

/** Lays a layer's share; places: of states. */
export function planTimeMix(
  place: Placer,
  tensors: TimeMixTensors,
  { config, heads }: { config: ModelConfig; heads: Range },
): Omit<TimeMixPlan, "placesOffsetBytes"> {
  const { stateSpace: shape } = config;
  check(shape !== null, "the model has states");
  const own = channelsOf(heads, shape);
  const lowRank = (low: LowRankTensors) => planLowRank(place, low, own);
  const { firstValue, gate, norm } = tensors;
  return {
    heads,
    shifts: place.vector(tensors.shifts),
    receptance: place.matrix(tensors.receptance, { rows: own }),
    key: place.matrix(tensors.key, { rows: own }),
    value: place.matrix(tensors.value, { rows: own }),
    output: place.matrix(tensors.output, { columns: own }),
    decay: lowRank(tensors.decay),
    rate: lowRank(tensors.rate),
    firstValue: firstValue && lowRank(firstValue),
    gate: gate && lowRank(gate),
    keyScale: place.vector(tensors.keyScale, own),
    keyRate: place.vector(tensors.keyRate, own),
    bonus: place.vector(tensors.bonus, own),
    norm: norm && { weight: place.vector(norm.weight, own), bias: place.vector(norm.bias, own) },
    placeBytes: placeBytes(heads, shape),
  };
}
