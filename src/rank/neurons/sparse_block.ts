/**
 * Feed-forward blocks of one token or a few, computing only neurons that fire: all gates, or those
 * of a list, then up for those whose gate is above the threshold, then the columns of down whose
 * activation is not zero. Exact but for the list: what is left out would have been multiplied by
 * zero. Where a block has a threshold of loudness, its neurons of any activation fire above it, and
 * what is left out is lost; so it is in steps of several tokens (neurons.ts). Knows nothing of how
 * a list is made.
 */
import { check } from "../../base/check.ts";
import { SKIPPED_BYTES, SKIPPED_NEURONS } from "../plan/counts.ts";
import { countsView } from "../step/counts_view.ts";
import type { Dense } from "../bound/bound_blocks.ts";
import { weighListed } from "../step/inner_norms.ts";
import { activateListed, multiplyListed } from "./listed.ts";
import { type Activations, type Matrix, project } from "../bound/matrix.ts";
import { activateNeurons, aloneKernel } from "./neurons.ts";
import { LOGITS_ROWS } from "../plan/logits_rows.ts";
import { FEW_TOKENS } from "../plan/plan_workspace.ts";
import type { Residual } from "../step/residual.ts";
import type { StepState } from "../step/step_state.ts";
import { LISTED_COST } from "../plan/weight_types.ts";

/** Tokens whose product with a matrix takes as long as reading it. */
const TOKENS_PER_READ = 4;

export class SparseBlock {
  readonly #state: StepState;
  readonly #residual: Residual;
  /** What was left out since the rank started. */
  readonly #counts: Float64Array;
  /** How many neurons fire, by token. */
  readonly #fired = new Int32Array(LOGITS_ROWS);
  /** All of each arena. */
  readonly #words: readonly Uint32Array[];

  /** memories: this rank's; the counts are in the first one. */
  constructor(
    state: StepState,
    by: { residual: Residual; memories: readonly WebAssembly.Memory[] },
  ) {
    this.#state = state;
    this.#residual = by.residual;
    const { workspaces } = state.plan;
    this.#counts = countsView(state.plan, by.memories[0]);
    this.#words = by.memories.map(({ buffer }) => new Uint32Array(buffer));
    by.memories.forEach(({ buffer }, arena) => {
      new Uint32Array(buffer, workspaces[arena].tokens, LOGITS_ROWS).forEach((_, t, to) =>
        to[t] = t
      );
    });
  }

  /**
   * False where all neurons of so many tokens had better be computed, whatever fires. Tokens of
   * several sequences are listed, as each alone would be.
   */
  canAdd({ gate, up, down, threshold, isSilent }: Dense, count: number): boolean {
    if (!isSilent) return false;
    if (count === 1 || this.#state.isApart) return true;
    return count <= FEW_TOKENS && gate !== null && up.bias === 0 && down.layout !== "rows" &&
      threshold === null;
  }

  /**
   * partial[rows[t]] += weights[t] · down · hidden[t] of `count` tokens, where `canAdd`; x is what
   * gate and up read. rows: address of u32 [count]; weights: of f32 [count], or 0: all are 1.
   * @returns false, with nothing added, where computing every neuron takes less time; the products
   *   with the gate are at `space.gate` then.
   */
  add(block: Dense, x: Activations, count: number, rows: number, weights: number): boolean {
    const { kernels, space, isApart } = this.#state;
    const { gate, up, gateCutoff } = block;
    // A bias of up belongs to neurons, not to places in a list.
    const isGated = gate !== null && up.bias === 0;
    const width = up.rowCount;
    // Those that are cut off are there, what is cut off being zero.
    if (isGated && gateCutoff === null) project(kernels, gate, x, count, space.gate, width);
    if (count > 1 && !isApart && !this.#paysToList(count, width)) return false;
    // First up of all tokens, then down: what one has read of a matrix, the next one finds nearby.
    for (let t = 0; t < count; t++) {
      const own = this.take(x, block, count, t, up.columnCount);
      const row = rows + 4 * t;
      const weight = weights === 0 ? 0 : weights + 4 * t;
      if (isGated) this.#fired[t] = this.#listGated(block, own, t);
      else this.#addActivated(block, own, row, weight);
    }
    if (!isGated) return true;
    for (let t = 0; t < count; t++) {
      const row = rows + 4 * t;
      const weight = weights === 0 ? 0 : weights + 4 * t;
      const values = space.gate + 4 * t * width;
      this.#addFired(block, this.#listAt(t, width), values, this.#fired[t], row, weight);
    }
    return true;
  }

  /**
   * The same of one token, where only the `listed` neurons at `space.fired` are looked at: all
   * others are taken for silent.
   */
  addListed(block: Dense, x: Activations, listed: number, rows: number, weights: number): void {
    const { kernels, space, fractions: { belowFiring } } = this.#state;
    const { gate, up } = block;
    check(gate !== null && gate.bias === 0 && up.bias === 0, "neurons of a list have no biases");
    multiplyListed(kernels, gate, x, space.fired, listed, space.gate);
    const count = kernels.fired_f32(space.gate, listed, belowFiring, space.up, space.gate);
    kernels.pick_listed(space.fired, listed, space.up, count);
    this.#activateListed(up, x, space.fired, space.gate, count);
    this.#addFired(block, space.fired, space.gate, count, rows, weights);
    this.#counts[SKIPPED_BYTES] += (gate.rowCount - listed) * gate.rowStrideBytes;
  }

  /** What was not read because another way than a predictor's was taken. */
  countPredictor(sizeBytes: number): void {
    this.#counts[SKIPPED_BYTES] += sizeBytes;
  }

  /** Lists are read token by token; all rows once, until the tokens' arithmetic takes longer. */
  #paysToList(count: number, width: number): boolean {
    const { kernels, space, fractions: { belowFiring } } = this.#state;
    let fired = 0;
    for (let t = 0; t < count; t++) {
      const gates = space.gate + 4 * t * width;
      fired += kernels.fired_f32(gates, width, belowFiring, space.fired, space.up);
    }
    return LISTED_COST * fired < width * Math.max(1, count / TOKENS_PER_READ);
  }

  /**
   * Token t of `count` by itself until the next call, in the forms that the block reads. d: how
   * many numbers; left out: as many as the stream has.
   */
  take(
    x: Activations,
    block: Pick<Dense, "readsQ8" | "readsFloats">,
    count: number,
    t: number,
    d: number = this.#state.config.embeddingLength,
  ): Activations {
    if (count === 1) return x;
    const { kernels, space, inputs: { alone: to } } = this.#state;
    const rows = space.tokens + 4 * t;
    if (block.readsQ8) kernels.gather_q8(x.q8, count, d, rows, 1, to.q8);
    if (block.readsFloats) {
      kernels.gather_rows_f32(x.f32, x.stride, count, rows, 1, to.f32, to.stride, d);
    }
    return to;
  }

  /** All neurons of one token are activated, and only down is skipped. */
  #addActivated(block: Dense, x: Activations, rows: number, weights: number): void {
    const { kernels } = this.#state;
    const { down, up: { rowCount } } = block;
    const { columnCount } = down;
    const hidden = activateNeurons(this.#state, block, x, 1);
    check(block.innerNorm === 0, "what is normalised inside of a block is gated, without biases");
    if (weights !== 0) kernels.scale_rows_f32(hidden.f32, hidden.stride, weights, 1, columnCount);
    const read = down.layout === "neurons"
      ? this.#residual.addFired(down, 0, hidden.f32, columnCount, rows)
      : this.#residual.addRows(down, hidden, rows, 1);
    this.#countSkipped(block, rowCount, read);
  }

  /** Where token t's neurons are listed, u32 [width]. */
  #listAt(t: number, width: number): number {
    return this.#state.space.fired + 4 * t * width;
  }

  /**
   * Lists token t's neurons that count, whose products with the gate are overwritten by what they
   * give.
   * @returns how many they are.
   */
  #listGated({ up, threshold }: Dense, x: Activations, t: number): number {
    const list = this.#listAt(t, up.rowCount);
    const gates = this.#state.space.gate + 4 * t * up.rowCount;
    if (threshold === null) return this.#listFired(up, x, list, gates);
    return this.#listLoud(up, x, list, gates, threshold);
  }

  /** partial += down · what the `count` neurons of `list` give, which is at `values`. */
  #addFired(
    block: Dense,
    list: number,
    values: number,
    count: number,
    rows: number,
    weights: number,
  ): void {
    const { kernels } = this.#state;
    const { down, innerNorm, up } = block;
    if (innerNorm !== 0) {
      weighListed(this.#state, innerNorm, { list, values, count, rows, neurons: up.rowCount });
    }
    if (weights !== 0) kernels.scale_rows_f32(values, count, weights, 1, count);
    if (block.columns !== 0) this.#toColumns(list, count, block.columns);
    const read = down.layout === "neurons"
      ? this.#residual.addFired(down, list, values, count, rows)
      : this.#addScattered(down, list, values, count, rows);
    this.#countSkipped(block, count, read);
  }

  /** Makes of `count` neurons at `list` their columns of down; columns: as of `Dense`. */
  #toColumns(list: number, count: number, columns: number): void {
    const words = this.#words[this.#state.arena];
    const [first, end, table] = [list / 4, list / 4 + count, columns / 4];
    for (let i = first; i < end; i++) words[i] = words[table + words[i]];
  }

  /** computed: neurons whose up was read; read: columns of down. */
  #countSkipped({ up, down }: Dense, computed: number, read: number): void {
    const width = up.rowCount;
    this.#counts[SKIPPED_NEURONS] += width - (down.layout === "rows" ? computed : read);
    this.#counts[SKIPPED_BYTES] += (width - computed) * up.rowStrideBytes +
      (width - read) * down.columnStrideBytes;
  }

  /**
   * list [count] = the neurons that fire, of those whose gates are at `gates`; gates [count] = what
   * they give.
   */
  #listFired(up: Matrix, x: Activations, list: number, gates: number): number {
    const { kernels, fractions: { belowFiring } } = this.#state;
    const count = kernels.fired_f32(gates, up.rowCount, belowFiring, list, gates);
    this.#activateListed(up, x, list, gates, count);
    return count;
  }

  /** The same of neurons whose activation of gate is louder than the threshold. */
  #listLoud(
    up: Matrix,
    x: Activations,
    list: number,
    gates: number,
    threshold: number,
  ): number {
    const { kernels, space, config: { feedForward: { activation } } } = this.#state;
    const width = up.rowCount;
    aloneKernel(kernels, activation)(gates, width, gates, width, 1, width);
    const count = kernels.loud_f32(gates, width, threshold, list, gates);
    multiplyListed(kernels, up, x, list, count, space.up);
    kernels.mul_weight_f32(gates, count, space.up, 1, count);
    return count;
  }

  /** values [count] = what the neurons of `list` give, whose gates are there. */
  #activateListed(up: Matrix, x: Activations, list: number, values: number, count: number): void {
    const { kernels, space, config: { feedForward } } = this.#state;
    multiplyListed(kernels, up, x, list, count, space.up);
    activateListed(kernels, feedForward, space.up, values, count);
  }

  /** partial[rows[0]] += down · hidden, which is zero but for `count` listed neurons. */
  #addScattered(down: Matrix, list: number, values: number, count: number, rows: number): number {
    const { kernels, inputs: { hidden } } = this.#state;
    kernels.scatter_f32(values, list, count, hidden.f32, hidden.stride);
    return this.#residual.addRows(down, hidden, rows, 1);
  }
}

/**
 * partial[rows[t]] += the neurons of `count` tokens that fire, by weights[t], or 0: by 1. "gated":
 * all had better be computed, whose gates already are; "refused": nothing is.
 */
export function addFired(
  sparse: SparseBlock | null,
  block: Dense,
  x: Activations,
  count: number,
  rows: number,
  weights: number,
): "added" | "gated" | "refused" {
  if (sparse === null || !sparse.canAdd(block, count)) return "refused";
  return sparse.add(block, x, count, rows, weights) ? "added" : "gated";
}
