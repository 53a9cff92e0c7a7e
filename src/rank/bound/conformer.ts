/** What a conformer's layer attends by, or filters with, as the walk uses it. */
import type { ConformerPlan } from "../plan/plan_conformer.ts";
import type { VectorPlan } from "../plan/plan_types.ts";
import { lengthOf } from "../plan/shard.ts";
import { floats } from "./arena_views.ts";
import { type Matrix, matrixOf } from "./matrix.ts";

/** Own heads. */
export interface Relative {
  readonly kind: "attends";
  readonly positions: Matrix;
  /** [headDim]; null: nothing multiplies them. */
  readonly queryGains: Float32Array | null;
  readonly keyGains: Float32Array | null;
}

/** Own channels. */
export interface Filter {
  readonly kind: "filters";
  readonly taps: number;
  /** [taps, own channels] */
  readonly weights: Float32Array;
  readonly bias: Float32Array | null;
  /** Address of f32 [own channels]. */
  readonly norm: number;
}

export type Conformer = Relative | Filter;

/** memory: the layer's arena. */
export function bindConformer(plan: ConformerPlan, memory: WebAssembly.Memory): Conformer {
  const view = (vector: VectorPlan) => floats(memory, vector.offsetBytes, lengthOf(vector.range));
  const { kind } = plan;
  if (kind === "filters") {
    const { taps, weights, bias, norm } = plan;
    const own = { weights: view(weights), bias: bias && view(bias), norm: norm.offsetBytes };
    return { kind, taps, ...own };
  }
  const { positions, queryGains, keyGains } = plan;
  return {
    ...{ kind, positions: matrixOf(positions) },
    ...{ queryGains: queryGains && view(queryGains), keyGains: keyGains && view(keyGains) },
  };
}
