/**
 * A feed-forward block of one token, computing only neurons that fire: all gates, or those of a
 * list, then up for those whose gate is positive, then the columns of down whose activation is not
 * zero. Exact but for the list: what is left out would have been multiplied by zero. Where a block
 * has a threshold, its neurons of any activation fire above it, and what is left out is lost; so it
 * is in steps of several tokens, too (neurons.ts). Knows nothing of how a list is made.
 */
import { check } from "../base/check.ts";
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
    const { gate, up, predictor } = block;
    // A bias of up belongs to neurons, not to places in a list.
    if (gate === null || up.bias !== 0) this.#addActivated(block, x);
    else if (block.threshold === null) this.#addFired(block, this.#listFired(gate, up, x));
    else this.#addFired(block, this.#listLoud(gate, up, x, block.threshold));
    if (predictor !== null) this.#counts[SKIPPED_BYTES] += predictor.sizeBytes;
  }

  /**
   * The same where only the `listed` neurons at `space.fired` are looked at: all others are taken
   * for silent.
   */
  addListed(block: Dense, x: Activations, listed: number): void {
    const { kernels, space } = this.#state;
    const { gate, up } = block;
    check(gate !== null && gate.bias === 0 && up.bias === 0, "neurons of a list have no biases");
    this.#multiplyListed(gate, x, listed, space.gate);
    const count = kernels.fired_f32(space.gate, listed, 0, space.up, space.gate);
    kernels.pick_listed(space.fired, listed, space.up, count);
    this.#activateListed(up, x, count);
    this.#addFired(block, count);
    this.#counts[SKIPPED_BYTES] += (gate.rowCount - listed) * gate.rowStrideBytes;
  }

  /** All neurons are activated, and only down is skipped. */
  #addActivated(block: Dense, x: Activations): void {
    const { down, up: { rowCount } } = block;
    const hidden = activateNeurons(this.#state, block, x, 1);
    const read = down.layout === "neurons"
      ? this.#residual.addFired(down, 0, hidden.f32, rowCount)
      : this.#residual.add(down, hidden);
    this.#countSkipped(block, rowCount, read);
  }

  /** partial += down · what the `count` neurons at `space.fired` give, which is at space.gate. */
  #addFired(block: Dense, count: number): void {
    const { space } = this.#state;
    const { down } = block;
    const read = down.layout === "neurons"
      ? this.#residual.addFired(down, space.fired, space.gate, count)
      : this.#addScattered(down, count);
    this.#countSkipped(block, count, read);
  }

  /** computed: neurons whose up was read; read: columns of down. */
  #countSkipped({ up, down }: Dense, computed: number, read: number): void {
    const width = up.rowCount;
    this.#counts[SKIPPED_NEURONS] += width - (down.layout === "rows" ? computed : read);
    this.#counts[SKIPPED_BYTES] += (width - computed) * up.rowStrideBytes +
      (width - read) * down.columnStrideBytes;
  }

  /** space.gate [count] = what the neurons give whose gate is positive, listed in space.fired. */
  #listFired(gate: Matrix, up: Matrix, x: Activations): number {
    const { kernels, space } = this.#state;
    const width = gate.rowCount;
    project(kernels, gate, x, 1, space.gate, width);
    const count = kernels.fired_f32(space.gate, width, 0, space.fired, space.gate);
    this.#activateListed(up, x, count);
    return count;
  }

  /** The same of neurons whose activation of gate is louder than the threshold. */
  #listLoud(gate: Matrix, up: Matrix, x: Activations, threshold: number): number {
    const { kernels, space, config: { feedForward: { activation } } } = this.#state;
    const width = gate.rowCount;
    project(kernels, gate, x, 1, space.gate, width);
    aloneKernel(kernels, activation)(space.gate, width, space.gate, width, 1, width);
    const count = kernels.loud_f32(space.gate, width, threshold, space.fired, space.gate);
    this.#multiplyListed(up, x, count, space.up);
    kernels.mul_weight_f32(space.gate, count, space.up, 1, count);
    return count;
  }

  /** space.gate [count] = what the neurons at `space.fired` give, whose gates are there. */
  #activateListed(up: Matrix, x: Activations, count: number): void {
    const { kernels, space, config: { feedForward } } = this.#state;
    const { up: out } = space;
    this.#multiplyListed(up, x, count, out);
    if (feedForward.activatesUp) {
      aloneKernel(kernels, feedForward.activation)(out, count, out, count, 1, count);
    }
    const gated = gatedKernel(kernels, feedForward.activation);
    gated(space.gate, out, count, space.gate, count, 1, count);
  }

  /** out[j] = row `space.fired[j]` of the matrix times x. */
  #multiplyListed(matrix: Matrix, x: Activations, count: number, out: number): void {
    const { kernels, space: { fired } } = this.#state;
    const { typeId, offsetBytes: w, rowStrideBytes: stride, rowCount, columnCount: k } = matrix;
    if (readsQ8(matrix)) {
      kernels.matmul_q8_rows(typeId, w, stride, rowCount, k, x.q8, fired, count, out);
    } else {
      kernels.matmul_float_rows(typeId, w, stride, rowCount, k, x.f32, fired, count, out);
    }
  }

  /** partial += down · hidden, which is zero but for `count` listed neurons. */
  #addScattered(down: Matrix, count: number): number {
    const { kernels, space, inputs: { hidden } } = this.#state;
    kernels.scatter_f32(space.gate, space.fired, count, hidden.f32, hidden.stride);
    return this.#residual.add(down, hidden);
  }
}
