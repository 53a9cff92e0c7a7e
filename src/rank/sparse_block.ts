/**
 * A feed-forward block of one token, computing only neurons that fire: all gates, then up for those
 * whose gate is positive, then the columns of down whose activation is not zero. Exact: what is
 * left out would have been multiplied by zero. Knows ReLU-like activations only.
 */
import { floats64 } from "./arena_views.ts";
import type { Dense } from "./layer.ts";
import { type Activations, type Matrix, project, readsQ8 } from "./matrix.ts";
import { activateNeurons, aloneKernel, gatedKernel } from "./neurons.ts";
import type { Residual } from "./residual.ts";
import type { StepState } from "./step_state.ts";

/** Places in a rank's counts, f64 [2]; both only ever grow. */
export const SKIPPED_NEURONS = 0;
export const SKIPPED_BYTES = 1;

export class SparseBlock {
  readonly #state: StepState;
  readonly #residual: Residual;
  /** What was left out since the rank started. */
  readonly #counts: Float64Array;

  /** memories: this rank's; the counts are in the first one. */
  constructor(
    state: StepState,
    by: { residual: Residual; memories: readonly WebAssembly.Memory[] },
  ) {
    this.#state = state;
    this.#residual = by.residual;
    this.#counts = floats64(by.memories[0], state.plan.workspaces[0].skipped, 2);
  }

  /** partial += down · hidden, of the step's only token; x is what gate and up read. */
  add(block: Dense, x: Activations): void {
    const { gate, up, down } = block;
    const width = up.rowCount;
    const { space, inputs: { hidden } } = this.#state;
    const isListed = down.layout === "neurons";
    let [computed, read] = [width, width];
    // A bias of up belongs to neurons, not to places in a list.
    if (gate === null || up.bias !== 0) {
      activateNeurons(this.#state, block, x, 1);
      read = isListed
        ? this.#residual.addFired(down, 0, hidden.f32, width)
        : this.#residual.add(down, hidden);
    } else {
      computed = this.#activateFired(gate, up, x);
      read = isListed
        ? this.#residual.addFired(down, space.fired, space.gate, computed)
        : this.#addScattered(down, computed);
    }
    this.#counts[SKIPPED_NEURONS] += width - (down.layout === "rows" ? computed : read);
    this.#counts[SKIPPED_BYTES] += (width - computed) * up.rowStrideBytes +
      (width - read) * down.columnStrideBytes;
  }

  /** space.gate [count] = what the neurons give whose gate is positive, listed in space.fired. */
  #activateFired(gate: Matrix, up: Matrix, x: Activations): number {
    const { kernels, space, config: { feedForward } } = this.#state;
    const width = gate.rowCount;
    project(kernels, gate, x, 1, space.gate, width);
    const count = kernels.fired_f32(space.gate, width, 0, space.fired, space.gate);
    const { typeId, offsetBytes: w, rowStrideBytes: stride, columnCount: k } = up;
    const { fired, up: out } = space;
    if (readsQ8(up)) {
      kernels.matmul_q8_rows(typeId, w, stride, width, k, x.q8, fired, count, out);
    } else {
      kernels.matmul_float_rows(typeId, w, stride, width, k, x.f32, fired, count, out);
    }
    if (feedForward.activatesUp) {
      aloneKernel(kernels, feedForward.activation)(out, count, out, count, 1, count);
    }
    const gated = gatedKernel(kernels, feedForward.activation);
    gated(space.gate, out, count, space.gate, count, 1, count);
    return count;
  }

  /** partial += down · hidden, which is zero but for `count` listed neurons. */
  #addScattered(down: Matrix, count: number): number {
    const { kernels, space, inputs: { hidden } } = this.#state;
    kernels.scatter_f32(space.gate, space.fired, count, hidden.f32, hidden.stride);
    return this.#residual.add(down, hidden);
  }
}
