/** A product of two matrices with little between them. */
import { addressOf } from "./bound_norm.ts";
import { type Activations, type Matrix, matrixOf, multiply, quantize, readsQ8 } from "./matrix.ts";
import type { LowRankPlan } from "../plan/plan_low_rank.ts";
import { rankStride } from "../plan/plan_state.ts";
import type { StepState } from "../step/step_state.ts";

export interface LowRank {
  readonly first: Matrix;
  readonly second: Matrix;
  /** 0: none. */
  readonly bias: number;
}

export function bindLowRank({ first, second, bias }: LowRankPlan): LowRank {
  return { first: matrixOf(first), second: matrixOf(second), bias: addressOf(bias) };
}

/** What becomes of what is between the two. */
export type BetweenAct = "tanh" | "sigmoid" | "none";

/** Of layers that keep states, in the place that these have between two matrices. */
export class LowRankProducts {
  readonly #state: StepState;
  readonly #stride: number;

  constructor(state: StepState) {
    this.#state = state;
    this.#stride = rankStride(state.config.stateSpace!);
  }

  /** Before a layer's first product: what is between is read beyond its width. */
  clear(): void {
    const { arenaViews, arena, n } = this.#state;
    arenaViews.stateParts[arena].rank.fill(0, 0, n * this.#stride);
  }

  /**
   * out = second · act(first · x) + bias, [n, own inner] of outStride; x as q8 tiles, too, where
   * the first matrix reads these.
   */
  multiply(
    { first, second, bias }: LowRank,
    x: Activations,
    act: BetweenAct,
    to: { readonly out: number; readonly stride: number },
  ): void {
    const { kernels, space, n } = this.#state;
    const { rank: f32, rankQ8: q8 } = space.states!;
    const stride = this.#stride;
    const between: Activations = { f32, stride, q8 };
    multiply(kernels, first, x, n, f32, stride);
    if (act === "tanh") kernels.soft_cap_f32(f32, n * stride, 1);
    if (act === "sigmoid") kernels.sigmoid_f32(f32, stride, f32, stride, n, first.rowCount);
    if (readsQ8(second)) quantize(kernels, between, n, second.columnCount);
    multiply(kernels, second, between, n, to.out, to.stride);
    if (bias !== 0) kernels.add_bias_f32(to.out, to.stride, bias, n, second.rowCount);
  }
}
