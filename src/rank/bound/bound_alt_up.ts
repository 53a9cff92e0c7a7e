/** Several residual streams as the walk uses them: a layer's share, bound once. */
import { floats } from "./arena_views.ts";
import { addressOf, bindNorm, type Norm } from "./bound_norm.ts";
import { type Matrix, matrixOf } from "./matrix.ts";
import type { LayerAltUpPlan } from "../plan/plan_alt_up.ts";
import { lengthOf } from "../plan/shard.ts";

/** What a layer has for them, bound when the rank starts. */
export interface LayerAltUp {
  readonly router: Matrix;
  readonly routerNorm: Norm;
  /** [streams · streams, streams] and [streams, streams]. */
  readonly guess: Float32Array;
  readonly correction: Float32Array;
  /** Address of f32 [d]. */
  readonly scale: number;
  readonly bypass: { readonly down: Matrix; readonly up: Matrix; readonly norm: Norm };
}

export function bindAltUp(plan: LayerAltUpPlan, memory: WebAssembly.Memory): LayerAltUp {
  const { guess, correction, bypass } = plan;
  return {
    router: matrixOf(plan.router),
    routerNorm: bindNorm(plan.routerNorm),
    guess: floats(memory, guess.offsetBytes, lengthOf(guess.range)),
    correction: floats(memory, correction.offsetBytes, lengthOf(correction.range)),
    scale: addressOf(plan.scale),
    bypass: {
      down: matrixOf(bypass.down),
      up: matrixOf(bypass.up),
      norm: bindNorm(bypass.norm),
    },
  };
}
