/**
 * Predictors on one rank: which of a block's own neurons will fire, guessed from the residual
 * stream before the block has computed anything. A rehearsal compares the guesses with what fires;
 * whether a predictor is trusted is the leader's decision, left in this rank's memory. Knows
 * nothing of what is done with a list.
 */
import type { Control } from "../memory/control.ts";
import { floats, floats64 } from "./arena_views.ts";
import { countsView, SKIPPED_BYTES } from "./counts.ts";
import type { Predictor } from "./layer.ts";
import { type Activations, project, quantize, readsQ8 } from "./matrix.ts";
import type { RankPlan } from "./plan_types.ts";
import { RECALL_FIELDS } from "./plan_workspace.ts";
import type { Residual } from "./residual.ts";
import type { StepState } from "./step_state.ts";

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

export class Predictors {
  readonly #state: StepState;
  readonly #residual: Residual;
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
      residual: Residual;
      control: Control;
      plans: readonly RankPlan[];
      memories: readonly WebAssembly.Memory[];
    },
  ) {
    this.#state = state;
    this.#residual = by.residual;
    this.#control = by.control;
    this.#starts = state.plan.layers.map((_, layer) => startsOf(by.plans, layer));
    this.#memories = by.memories;
    this.#recall = recallView(state.plan, by.memories[0]);
    this.#counts = countsView(state.plan, by.memories[0]);
  }

  /** True where the leader has decided that guesses are good enough. */
  isTrusted({ layer }: Predictor): boolean {
    return this.#recall[layer * RECALL_FIELDS + RECALL_TRUSTED] !== 0;
  }

  /**
   * relu(first · residual) of all tokens: every rank computes its rows, then a small join and the
   * others' are copied. Asked for by all ranks or none.
   * @returns false when the leader aborted the step.
   */
  prepare({ layer, first }: Predictor): boolean {
    const { kernels, n, arena, arenaViews, plan: { rankIndex } } = this.#state;
    const { inputs: { predictor: { f32, stride } } } = this.#state;
    const starts = this.#starts[layer];
    const width = starts[starts.length - 1];
    if (first.rowCount > 0) {
      const x = this.#residual.read(null, readsQ8(first));
      project(kernels, first, x, n, f32 + 4 * starts[rankIndex], stride);
    }
    // Nobody writes here again before the join after the block, which waits for all readers.
    if (!this.#control.join()) return false;
    const parts = arenaViews.predictors[arena];
    for (let rank = 0; rank < parts.length; rank++) {
      if (rank === rankIndex) continue;
      for (let t = 0; t < n; t++) {
        const end = t * stride + starts[rank + 1];
        for (let i = t * stride + starts[rank]; i < end; i++) parts[rankIndex][i] = parts[rank][i];
      }
    }
    kernels.relu_f32(f32, stride, f32, stride, n, width);
    return true;
  }

  /**
   * The same for another layer than the one whose turn it is, in the same block of which another
   * predictor was prepared already: its products may still be copied, so ranks meet before.
   */
  prepareAhead(predictor: Predictor): boolean {
    return this.#control.join() && this.prepare(predictor);
  }

  /**
   * Lists this rank's neurons that will fire for the step's only token, at `space.fired`, once it
   * is prepared.
   * @returns how many they are.
   */
  list(predictor: Predictor): number {
    this.#score(predictor, 1);
    const { kernels, space, fractions: { belowThreshold } } = this.#state;
    const { rowCount } = predictor.second;
    return kernels.fired_f32(space.gate, rowCount, belowThreshold, space.fired, space.gate);
  }

  /** Counts how the guesses for all tokens of the step compare with what neurons gave. */
  compare(predictor: Predictor, hidden: Activations): void {
    this.#score(predictor, this.#state.n);
    const { space, arena, n, fractions: { belowThreshold } } = this.#state;
    const { rowCount } = predictor.second;
    const scores = floats(this.#memories[arena], space.gate, n * rowCount);
    const values = floats(this.#memories[arena], hidden.f32, n * hidden.stride);
    let [fired, found, predicted] = [0, 0, 0];
    for (let t = 0; t < n; t++) {
      for (let i = 0; i < rowCount; i++) {
        const fires = values[t * hidden.stride + i] !== 0;
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

  /** gate [n, own neurons] = second · what `prepare` left. */
  #score({ second }: Predictor, n: number): void {
    const { kernels, space, inputs: { predictor: between } } = this.#state;
    if (readsQ8(second)) quantize(kernels, between, n, second.columnCount);
    const read = project(kernels, second, between, n, space.gate, second.rowCount);
    this.#counts[SKIPPED_BYTES] += (second.columnCount - read) * second.columnStrideBytes;
  }
}

function startsOf(plans: readonly RankPlan[], layer: number): number[] {
  const rows = plans.flatMap(({ layers }) => {
    const { feedForward } = layers[layer];
    const isAsked = feedForward.kind !== "experts" && feedForward.predictor !== null;
    return isAsked ? [feedForward.predictor.first.rows] : [];
  });
  return [...rows.map(({ start }) => start), ...rows.slice(-1).map(({ end }) => end)];
}
