/** What a conformer's layer attends by, or filters with, as the walk uses it. */
import type { ConformerPlan } from "../plan/plan_conformer.ts";
import type { VectorPlan } from "../plan/plan_types.ts";
import { lengthOf } from "../plan/shard.ts";
import { floats } from "./arena_views.ts";
import { addressOf } from "./bound_norm.ts";
import { type Matrix, matrixOf } from "./matrix.ts";

/** Own heads. */
export interface Relative {
  readonly kind: "attends";
  readonly positions: Matrix;
  /** [headDim]; null: nothing multiplies them. */
  readonly queryGains: Float32Array | null;
  readonly keyGains: Float32Array | null;
  /** [own numbers]; null: nothing is added. */
  readonly keySum: Float32Array | null;
  readonly positionSum: Float32Array | null;
}

/** Own channels. */
export interface Filter {
  readonly kind: "filters";
  readonly taps: number;
  readonly tapsAhead: number;
  readonly isNormalized: boolean;
  /** [taps, own channels] */
  readonly weights: Float32Array;
  readonly bias: Float32Array | null;
  readonly counted: { readonly mean: Float32Array; readonly variance: Float32Array } | null;
  /** Addresses of f32 [own channels]; sum 0: there is none. */
  readonly gains: number;
  readonly sum: number;
}

export type Conformer = Relative | Filter;

/** memory: the layer's arena. */
export function bindConformer(plan: ConformerPlan, memory: WebAssembly.Memory): Conformer {
  const view = (vector: VectorPlan) => floats(memory, vector.offsetBytes, lengthOf(vector.range));
  const each = (vector: VectorPlan | null) => vector && view(vector);
  if (plan.kind === "filters") {
    const { kind, taps, tapsAhead, isNormalized, weights, bias, counted, gains, sum } = plan;
    const own = {
      ...{ weights: view(weights), bias: each(bias) },
      counted: counted && { mean: view(counted.mean), variance: view(counted.variance) },
    };
    const even = { gains: gains.offsetBytes, sum: addressOf(sum) };
    return { kind, taps, tapsAhead, isNormalized, ...own, ...even };
  }
  const { kind, positions, queryGains, keyGains, keySum, positionSum } = plan;
  return {
    ...{ kind, positions: matrixOf(positions) },
    ...{ queryGains: each(queryGains), keyGains: each(keyGains) },
    ...{ keySum: each(keySum), positionSum: each(positionSum) },
  };
}
