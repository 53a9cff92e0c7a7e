/**
 * A rank's share of a layer of Kimi Delta Attention: some heads, and all of what their steps and
 * gates are made of first, which is little. Knows shards and tensors.
 */
import { check } from "../../base/check.ts";
import type { KeyDeltaTensors, ModelConfig, VectorTensor } from "../../model/types.ts";
import type { Placer } from "./plan_layer.ts";
import { type LowRankPlan, planLowRank } from "./plan_low_rank.ts";
import { channelsOf, placeBytes } from "./plan_state.ts";
import type { MatrixPlan, VectorPlan } from "./plan_types.ts";
import { type Range, scale } from "./shard.ts";

/** What goes through a short convolution, in the order in which a row has it. */
export const CONVOLVED = ["query", "key", "value"] as const;

/** A layer's share; `KeyDeltaTensors` says what each is. */
export interface KeyDeltaPlan {
  readonly heads: Range;
  readonly query: MatrixPlan;
  readonly key: MatrixPlan;
  readonly value: MatrixPlan;
  readonly output: MatrixPlan;
  /** [taps, own inner] each. */
  readonly convolutions: Readonly<Record<(typeof CONVOLVED)[number], VectorPlan>>;
  readonly steps: LowRankPlan;
  readonly decay: VectorPlan;
  readonly rates: MatrixPlan;
  readonly gate: LowRankPlan;
  readonly norm: VectorPlan;
  /** Bytes of one place, and where the first one is: rows of each convolution, then states. */
  readonly placeBytes: number;
  readonly placesOffsetBytes: number;
}

/** Lays a layer's share; places: of states. */
export function planKeyDeltas(
  place: Placer,
  tensors: KeyDeltaTensors,
  { config, heads }: { config: ModelConfig; heads: Range },
): Omit<KeyDeltaPlan, "placesOffsetBytes"> {
  const { stateSpace: shape } = config;
  check(shape !== null, "the model has states");
  const own = channelsOf(heads, shape);
  const { taps } = shape;
  const convolution = (weights: VectorTensor): VectorPlan => (
    { ...place.vector(weights, scale(own, taps)), columns: taps }
  );
  const { query, key, value } = tensors.convolutions;
  return {
    heads,
    query: place.matrix(tensors.query, { rows: own }),
    key: place.matrix(tensors.key, { rows: own }),
    value: place.matrix(tensors.value, { rows: own }),
    output: place.matrix(tensors.output, { columns: own }),
    convolutions: {
      query: convolution(query),
      key: convolution(key),
      value: convolution(value),
    },
    steps: planLowRank(place, tensors.steps, own),
    decay: place.vector(tensors.decay, heads),
    rates: place.matrix(tensors.rates, { rows: heads }),
    gate: planLowRank(place, tensors.gate, own),
    norm: place.vector(tensors.norm),
    placeBytes: placeBytes(heads, shape),
  };
}
