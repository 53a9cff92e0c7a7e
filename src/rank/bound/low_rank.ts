/** A product of two matrices with little between them. */
import { addressOf } from "./bound_norm.ts";
import { type Activations, type Matrix, matrixOf, multiply, quantize, readsQ8 } from "./matrix.ts";
import type { LowRankPlan } from "../plan/plan_low_rank.ts";
import { rankStride } from "../plan/plan_state.ts";
import type { StepState } from "../step/step_state.ts";

export interface LowRank {
  /** Null: the second reads x itself. */
  readonly first: Matrix | null;
  /** That which reads x. */
  readonly reader: Matrix;
  readonly second: Matrix;
  /** 0: none. */
  readonly bias: number;
}

export function bindLowRank(plan: LowRankPlan): LowRank {
  const second = matrixOf(plan.second);
  const first = plan.first && matrixOf(plan.first);
  return { first, reader: first ?? second, second, bias: addressOf(plan.bias) };
}

/** What becomes of what is between the two. */
export type BetweenAct = "tanh" | "sigmoid" | "none";

/** Of layers that keep states, in the place that these have between two matrices. */
export class LowRankProducts {
  readonly #state: StepState;
  readonly #stride: number;
  /** By arena: what is between. */
  readonly #between: readonly Activations[];

  constructor(state: StepState) {
    this.#state = state;
    const stride = rankStride(state.config.stateSpace!);
    this.#stride = stride;
    this.#between = state.plan.workspaces.map(({ states }) => (
      { f32: states?.rank ?? 0, stride, q8: states?.rankQ8 ?? 0 }
    ));
  }

  /** Before a layer's first product: what is between is read beyond its width. */
  clear(): void {
    const { arenaViews, arena, n } = this.#state;
    arenaViews.stateParts[arena].rank.fill(0, 0, n * this.#stride);
  }

  /**
   * out = second · act(first · x) + bias, [n, own inner] of outStride; x as q8 tiles, too, where
   * the first matrix reads these. Positional, as kernels are: called for each token.
   */
  multiply(
    { first, second, bias }: LowRank,
    x: Activations,
    act: BetweenAct,
    out: number,
    outStride: number,
  ): void {
    const { kernels, arena, n } = this.#state;
    if (first === null) multiply(kernels, second, x, n, out, outStride);
    else {
      const between = this.#between[arena];
      const { f32, stride } = between;
      multiply(kernels, first, x, n, f32, stride);
      if (act === "tanh") kernels.soft_cap_f32(f32, n * stride, 1);
      if (act === "sigmoid") kernels.sigmoid_f32(f32, stride, f32, stride, n, first.rowCount);
      if (readsQ8(second)) quantize(kernels, between, n, second.columnCount);
      multiply(kernels, second, between, n, out, outStride);
    }
    if (bias !== 0) kernels.add_bias_f32(out, outStride, bias, n, second.rowCount);
  }
}
