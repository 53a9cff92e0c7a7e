/**
 * Predictors on one rank: which of a block's own neurons will fire, guessed from the residual
 * stream before the block has computed anything. Of a mixture all chosen experts' are asked at
 * once: a token's route to an expert is a row of what they exchange. A rehearsal compares the
 * guesses with what fires; whether a predictor is trusted is the leader's decision, left in this
 * rank's memory. Knows nothing of what is done with a list.
 */
import type { Control } from "../../memory/control.ts";
import { floats, floats64 } from "../bound/arena_views.ts";
import { SKIPPED_BYTES } from "../plan/counts.ts";
import { countsView } from "../step/counts_view.ts";
import { check } from "../../base/check.ts";
import type { Dense, Predictor } from "../bound/bound_blocks.ts";
import { type Activations, project, quantize, readsQ8 } from "../bound/matrix.ts";
import type { LayerPlan, PredictorPlan, RankPlan } from "../plan/plan_types.ts";
import { RECALL_FIELDS } from "../plan/plan_workspace.ts";
import type { StepState } from "../step/step_state.ts";

/** Places in a layer's numbers. First: neurons that fired in the rehearsal. */
export const RECALL_FIRED = 0;
/** Those of them that were predicted. */
export const RECALL_FOUND = 1;
/** All that were predicted. */
export const RECALL_PREDICTED = 2;
/** Not 0 where the predictor is used. */
export const RECALL_TRUSTED = 3;

/** A rank's numbers of all layers, f64 [layers, 4]; memory: the rank's first arena. */
export function recallView(plan: RankPlan, memory: WebAssembly.Memory): Float64Array {
  return floats64(memory, plan.workspaces[0].recall, plan.layers.length * RECALL_FIELDS);
}

/** True where the leader has decided that a layer's predictor is used; recall: a rank's. */
export function isTrusted(recall: Float64Array, layer: number): boolean {
  return recall[layer * RECALL_FIELDS + RECALL_TRUSTED] !== 0;
}

/** Tokens whose neurons a predictor names: its rows from `first` on. */
export interface PredictedTokens {
  readonly first: number;
  readonly count: number;
  /** Addresses of u32 and f32 [count], as of `Residual`; weights 0: all are 1. */
  readonly rows: number;
  readonly weights: number;
}

export class Predictors {
  readonly #state: StepState;
  readonly #memories: readonly WebAssembly.Memory[];
  readonly #control: Control;
  readonly #recall: Float64Array;
  readonly #counts: Float64Array;
  /** Where each rank's rows of the first matrix begin, and where the last ones end, by layer. */
  readonly #starts: readonly (readonly number[])[];

  /** memories: this rank's. */
  constructor(
    state: StepState,
    by: {
      control: Control;
      plans: readonly RankPlan[];
      memories: readonly WebAssembly.Memory[];
    },
  ) {
    this.#state = state;
    this.#control = by.control;
    this.#starts = state.plan.layers.map((_, layer) => startsOf(by.plans, layer));
    this.#memories = by.memories;
    this.#recall = recallView(state.plan, by.memories[0]);
    this.#counts = countsView(state.plan, by.memories[0]);
  }

  /** True where the leader has decided that guesses are good enough. */
  isTrusted({ layer }: Predictor): boolean {
    return isTrusted(this.#recall, layer);
  }

  /**
   * Own rows of first · x, of `count` tokens of the residual stream: they become rows `row` .. of
   * what ranks exchange: `meet`, then `complete`.
   */
  ask({ layer, first }: Predictor, x: Activations, row: number, count: number): void {
    if (first.rowCount === 0) return;
    const { kernels, plan: { rankIndex }, inputs: { predictor: { f32, stride } } } = this.#state;
    const to = f32 + 4 * (row * stride + this.#starts[layer][rankIndex]);
    project(kernels, first, x, count, to, stride);
  }

  /**
   * A small join, when all ranks have asked what they ask in this layer. The same rows must not be
   * asked for again before another join: they may still be copied.
   * @returns false when the leader aborted the step.
   */
  meet(): boolean {
    return this.#control.join();
  }

  /** Completes `rows` rows from `first` on, of a layer: relu of what all ranks computed of them. */
  complete(layer: number, first: number, rows: number): void {
    const { kernels, arena, arenaViews, plan: { rankIndex } } = this.#state;
    const { inputs: { predictor: { f32, stride } } } = this.#state;
    const starts = this.#starts[layer];
    const width = starts[starts.length - 1];
    const parts = arenaViews.predictors[arena];
    // A GPU, the last of the ranks, has no rows.
    for (let rank = 0; rank < starts.length - 1; rank++) {
      if (rank === rankIndex) continue;
      for (let row = first; row < first + rows; row++) {
        const end = row * stride + starts[rank + 1];
        for (let i = row * stride + starts[rank]; i < end; i++) {
          parts[rankIndex][i] = parts[rank][i];
        }
      }
    }
    const at = f32 + 4 * first * stride;
    kernels.relu_f32(at, stride, at, stride, rows, width);
  }

  /**
   * Lists this rank's neurons that will fire for the token of row `row`, at address `to`, once that
   * row is complete.
   * @returns how many they are.
   */
  list(predictor: Predictor, row: number, to: number): number {
    this.#score(predictor, row, 1);
    const { kernels, space, fractions: { belowThreshold } } = this.#state;
    const { rowCount } = predictor.second;
    return kernels.fired_f32(space.gate, rowCount, belowThreshold, to, space.gate);
  }

  /**
   * Counts how the guesses for `n` tokens, made of rows `row` .., compare with what neurons gave;
   * of a GPU's nothing is asked here. block: one that has a predictor.
   */
  compare({ predictor, columns: table }: Dense, hidden: Activations, row: number, n: number): void {
    check(predictor !== null, "guesses are a predictor's");
    this.#score(predictor, row, n);
    const { space, arena, fractions: { belowThreshold } } = this.#state;
    const { rowCount } = predictor.second;
    const scores = floats(this.#memories[arena], space.gate, n * rowCount);
    const values = floats(this.#memories[arena], hidden.f32, n * hidden.stride);
    const { buffer } = this.#memories[arena];
    const columns = table === 0 ? null : new Uint32Array(buffer, table, rowCount);
    let [fired, found, predicted] = [0, 0, 0];
    for (let t = 0; t < n; t++) {
      for (let i = 0; i < rowCount; i++) {
        const fires = values[t * hidden.stride + (columns === null ? i : columns[i])] !== 0;
        const isPredicted = !(scores[t * rowCount + i] <= belowThreshold);
        if (fires) fired++;
        if (isPredicted) predicted++;
        if (fires && isPredicted) found++;
      }
    }
    const at = predictor.layer * RECALL_FIELDS;
    this.#recall[at + RECALL_FIRED] += fired;
    this.#recall[at + RECALL_FOUND] += found;
    this.#recall[at + RECALL_PREDICTED] += predicted;
  }

  /** gate [n, own neurons] = second · rows `row` .. of what was exchanged. */
  #score({ second }: Predictor, row: number, n: number): void {
    const { kernels, space, inputs: { predictor: { f32, stride, q8 } } } = this.#state;
    const between = { f32: f32 + 4 * row * stride, stride, q8 };
    if (readsQ8(second)) quantize(kernels, between, n, second.columnCount);
    const read = project(kernels, second, between, n, space.gate, second.rowCount);
    this.#counts[SKIPPED_BYTES] += (second.columnCount - read) * second.columnStrideBytes;
  }
}

function startsOf(plans: readonly RankPlan[], layer: number): number[] {
  const rows = plans.flatMap(({ layers }) => {
    const predictor = predictorPlan(layers[layer]);
    return predictor === null ? [] : [predictor.first.rows];
  });
  return [...rows.map(({ start }) => start), ...rows.slice(-1).map(({ end }) => end)];
}

/** Of a mixture the first expert's: the others' are cut alike. */
export function predictorPlan({ feedForward }: LayerPlan): PredictorPlan | null {
  if (feedForward === null) return null;
  return feedForward.kind === "experts" ? feedForward.experts[0].predictor : feedForward.predictor;
}
