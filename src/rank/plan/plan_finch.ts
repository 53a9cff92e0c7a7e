/**
 * A rank's share of a layer of RWKV-6: some heads, and all of what moves shares of rows. Knows
 * shards and tensors.
 */
import { check } from "../../base/check.ts";
import type { FinchTensors, MatrixTensor, ModelConfig } from "../../model/types.ts";
import type { Placer } from "./plan_layer.ts";
import { type LowRankPlan, planLowRank } from "./plan_low_rank.ts";
import { channelsOf, placeBytes } from "./plan_state.ts";
import type { MatrixPlan, VectorPlan } from "./plan_types.ts";
import { lengthOf, type Range } from "./shard.ts";

/** A layer's share; `FinchTensors` says what each is. */
export interface FinchPlan {
  readonly heads: Range;
  readonly first: VectorPlan;
  readonly shares: readonly VectorPlan[];
  readonly moves: Readonly<Record<"first" | "second", MatrixPlan>>;
  readonly receptance: MatrixPlan;
  /** Of each own head, also where heads share them. */
  readonly key: MatrixPlan;
  readonly value: MatrixPlan;
  readonly gate: MatrixPlan;
  readonly output: MatrixPlan;
  readonly decay: LowRankPlan;
  readonly bonus: VectorPlan | null;
  readonly norm: { readonly weight: VectorPlan; readonly bias: VectorPlan } | null;
  /** Bytes of one place, and where the first one is: the row before, that of neurons, states. */
  readonly placeBytes: number;
  readonly placesOffsetBytes: number;
}

/** Lays a layer's share; places: of states. */
export function planFinch(
  place: Placer,
  tensors: FinchTensors,
  { config, heads }: { config: ModelConfig; heads: Range },
): Omit<FinchPlan, "placesOffsetBytes"> {
  const { stateSpace: shape } = config;
  check(shape?.timeMix?.moved !== undefined, "shares of the model's rows are moved");
  const own = channelsOf(heads, shape);
  const { keyHeads } = shape.timeMix.moved;
  const headDim = shape.innerLength / shape.headCount;
  const picked = keyHeads === shape.headCount ? null : sharedHeads(heads, (head) => {
    const first = Math.floor(head * keyHeads / shape.headCount) * headDim;
    return { start: first, end: first + headDim };
  });
  const keys = (matrix: MatrixTensor) =>
    place.matrix(
      matrix,
      picked === null ? { rows: own } : { rows: { start: 0, end: lengthOf(own) }, picked },
    );
  const { first, second } = tensors.moves;
  const { bonus, norm } = tensors;
  return {
    heads,
    first: place.vector(tensors.first),
    shares: tensors.shares.map((share) => place.vector(share)),
    moves: { first: place.matrix(first, {}), second: place.matrix(second, {}) },
    receptance: place.matrix(tensors.receptance, { rows: own }),
    key: keys(tensors.key),
    value: keys(tensors.value),
    gate: place.matrix(tensors.gate, { rows: own }),
    output: place.matrix(tensors.output, { columns: own }),
    decay: planLowRank(place, tensors.decay, own),
    bonus: bonus && place.vector(bonus, own),
    norm: norm && { weight: place.vector(norm.weight, own), bias: place.vector(norm.bias, own) },
    placeBytes: placeBytes(heads, shape),
  };
}

/** Rows of keys that each head reads: those that several share lie there several times. */
function sharedHeads(heads: Range, rowsOf: (head: number) => Range): readonly Range[] {
  return Array.from({ length: lengthOf(heads) }, (_, index) => rowsOf(heads.start + index));
}
