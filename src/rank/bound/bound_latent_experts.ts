/** What experts read instead of what the router reads, as the walk uses it: bound once. */
import { addressOf } from "./bound_norm.ts";
import { type Matrix, matrixOf, readsQ8 } from "./matrix.ts";
import type { LatentExpertsPlan } from "../plan/plan_latent_experts.ts";

/** `LatentExpertsPlan`. */
export interface LatentExperts {
  readonly down: Matrix;
  /** Address of f32 [latent], or 0. */
  readonly norm: number;
  readonly up: Matrix;
  readonly firstRow: number;
  /** True when down reads q8 tiles. */
  readonly readsQ8: boolean;
}

export function bindLatentExperts(plan: LatentExpertsPlan): LatentExperts {
  const down = matrixOf(plan.down);
  return {
    ...{ down, norm: addressOf(plan.norm), up: matrixOf(plan.up) },
    firstRow: plan.firstRow,
    readsQ8: readsQ8(down),
  };
}
