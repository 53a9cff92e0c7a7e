/**
 * The residual stream as one rank sees it: blocks read it through norms and leave partial sums for
 * it; a join adds all ranks' partial sums. Knows nothing of what blocks compute.
 */
import type { Control } from "../../memory/control.ts";
import { type Norm, normalizeRows } from "../bound/bound_norm.ts";
import { addProducts } from "./added_products.ts";
import { rootFactors } from "./inner_norms.ts";
import {
  type Activations,
  limitOutput,
  type Limits,
  type Matrix,
  project,
  projectPart,
  quantize,
  readsQ8,
} from "../bound/matrix.ts";
import { type RowShift, shiftRows } from "./row_shift.ts";
import type { StepState } from "./step_state.ts";

export class Residual {
  readonly #state: StepState;
  readonly #control: Control;
  /** True until something was added to the partial sum: what it holds is of an earlier join. */
  #isEmpty = true;

  constructor(state: StepState, control: Control) {
    this.#state = state;
    this.#control = control;
  }

  // --- what blocks read ------------------------------------------------------------------------

  /**
   * norm(residual), or the residual stream as it is; as q8 tiles, too, where they are wanted.
   * shift: what is normalised is mixed with the rows before, and where `keeps` the last is kept.
   */
  read(
    norm: Norm | null,
    wantsQ8: boolean,
    shift: RowShift | null = null,
    keeps = true,
  ): Activations {
    const { inputs, kernels, space, config, n } = this.#state;
    const x = norm === null ? inputs.residual : inputs.normed;
    if (norm !== null) this.normalize(space.residual, norm, space.normed, n);
    if (shift !== null) shiftRows(this.#state, shift, x.f32, x.f32, keeps);
    if (wantsQ8) quantize(kernels, x, n, config.embeddingLength);
    return x;
  }

  /** to = norm(from), n rows of strides.embedding; `to` may be `from`. norm null: a copy. */
  normalize(from: number, norm: Norm | null, to: number, n: number): void {
    if (norm === null) {
      const { kernels, plan: { strides } } = this.#state;
      return kernels.dequantize_row_f32(from, n * strides.embedding, to);
    }
    this.#normalizeBy(this.#state.fractions.epsilon, from, norm, to, n);
  }

  /** The same by the last norm: where sums are normalised it is of one, too. */
  normalizeLast(from: number, norm: Norm | null, to: number, n: number): void {
    const { config, fractions: { postEpsilon } } = this.#state;
    if (norm === null || !config.normalizesSums) return this.normalize(from, norm, to, n);
    this.#normalizeBy(postEpsilon, from, norm, to, n);
  }

  #normalizeBy(epsilon: number, from: number, norm: Norm, to: number, n: number): void {
    const { kernels, config, plan, space } = this.#state;
    const { embeddingLength: d, norm: { kind } } = config;
    const stride = plan.strides.embedding;
    normalizeRows(kernels, kind, norm, space.ones, from, stride, to, stride, n, d, epsilon);
  }

  // --- what blocks leave -----------------------------------------------------------------------

  /**
   * partial += matrix · x + bias, for all tokens of the step.
   * @returns how many columns of the matrix were read.
   */
  add(matrix: Matrix, x: Activations): number {
    const { kernels, space, config, plan, partial, n } = this.#state;
    const { embeddingLength: d } = config;
    const stride = plan.strides.embedding;
    if (matrix.columnCount === 0) {
      this.addBias(matrix);
      return 0;
    }
    if (readsQ8(matrix)) quantize(kernels, x, n, matrix.columnCount);
    const to = this.#isEmpty ? partial : space.incoming;
    const read = projectPart(kernels, matrix, x, n, to, stride);
    const width = Math.min(d, matrix.rowCount);
    if (!this.#isEmpty) kernels.add_f32(partial, stride, space.incoming, stride, n, width);
    addProducts(this.#state, matrix, x, partial, stride);
    this.#isEmpty = false;
    return read;
  }

  /** partial from column `first` on = matrix · x, where nothing was added yet. */
  fillRows(matrix: Matrix, x: Activations, first: number): void {
    const { kernels, partial, plan: { strides }, n } = this.#state;
    this.clear();
    project(kernels, matrix, x, n, partial + 4 * first, strides.embedding);
  }

  /** What a block has left in partial counts so much. */
  scalePartial(factor: number): void {
    const { kernels, config: { embeddingLength: d }, plan, partial, n } = this.#state;
    if (!this.#isEmpty) kernels.scale_f32(partial, plan.strides.embedding, n, d, factor);
  }

  /** The same number by number; gains: address of f32 [d]. */
  weighPartial(gains: number): void {
    const { kernels, config: { embeddingLength: d }, plan, partial, n } = this.#state;
    if (!this.#isEmpty) kernels.mul_weight_f32(partial, plan.strides.embedding, gains, n, d);
  }

  /**
   * partial[rows[0]] += bias + Σ values[j] · column list[j] of a matrix that lies neuron by neuron.
   * list: address of u32 [count], or 0: j itself; values: of f32 [count]; rows: of one token's
   * number.
   * @returns how many columns were read: those whose value is not zero.
   */
  addFired(matrix: Matrix, list: number, values: number, count: number, rows: number): number {
    const { kernels, space, plan, partial, n } = this.#state;
    const { typeId, offsetBytes: w, rowStrideBytes, columnCount: neurons, scratch } = matrix;
    const d = matrix.rowCount;
    const isFirst = this.#isEmpty && n === 1;
    if (this.#isEmpty && !isFirst) this.clear();
    const to = isFirst ? partial : space.incoming;
    const read = kernels
      .matmul_fired_neurons(
        typeId,
        w,
        rowStrideBytes,
        neurons,
        d,
        list,
        values,
        count,
        to,
        scratch,
      );
    const stride = plan.strides.embedding;
    if (matrix.bias !== 0) kernels.add_bias_f32(to, stride, matrix.bias, 1, d);
    if (!isFirst) kernels.scatter_add_f32(partial, stride, n, rows, 1, to, stride, d);
    this.#isEmpty = false;
    return read;
  }

  /**
   * partial[rows[0]] += bias + matrix · x of one token, where the matrix lies by columns, of which
   * column i is at address columns[i], u32 [columnCount], and their factors at `factors`.
   */
  addColumnsAt(
    matrix: Matrix,
    x: Activations,
    { factors, columns, rows }: { factors: number; columns: number; rows: number },
  ): void {
    const { kernels, space, plan, partial, n } = this.#state;
    const { typeId, columnCount: k, rowCount: d } = matrix;
    const isFirst = this.#isEmpty && n === 1;
    if (this.#isEmpty && !isFirst) this.clear();
    const to = isFirst ? partial : space.incoming;
    quantize(kernels, x, 1, k);
    kernels.matmul_q8_columns_at(typeId, factors, columns, d, k, x.q8, to);
    const stride = plan.strides.embedding;
    if (matrix.bias !== 0) kernels.add_bias_f32(to, stride, matrix.bias, 1, d);
    if (!isFirst) kernels.scatter_add_f32(partial, stride, n, rows, 1, to, stride, d);
    this.#isEmpty = false;
  }

  /**
   * partial[rows[j]] += matrix · x[j], for `count` tokens; rows is an address of u32 [count].
   * @returns how many columns of the matrix were read.
   */
  addRows(matrix: Matrix, x: Activations, rows: number, count: number): number {
    const { kernels, space, config, plan, partial, n } = this.#state;
    if (count === n) return this.add(matrix, x); // the rows are 0 .. n-1 then
    const { embeddingLength: d } = config;
    const stride = plan.strides.embedding;
    if (this.#isEmpty) this.clear();
    if (readsQ8(matrix)) quantize(kernels, x, count, matrix.columnCount);
    const read = project(kernels, matrix, x, count, space.incoming, stride);
    // Experts' latents are shorter.
    const width = Math.min(d, matrix.rowCount);
    kernels.scatter_add_f32(partial, stride, n, rows, count, space.incoming, stride, width);
    return read;
  }

  /** partial[rows[j]] += factors[j] · bias; rows u32 [count], factors f32 [count], bias f32 [d]. */
  addScaledBias(bias: number, rows: number, factors: number, count: number): void {
    if (this.#isEmpty) this.clear();
    const { kernels, config: { embeddingLength: d }, plan, partial, n } = this.#state;
    const stride = plan.strides.embedding;
    kernels.scatter_add_row_f32(partial, stride, n, rows, factors, count, bias, d);
  }

  /** The partial sum, zeros where nothing was added yet, f32 [n, strides.embedding]. */
  partialToAdd(): Float32Array {
    if (this.#isEmpty) this.clear();
    return this.partialToFill();
  }

  /** Where whoever computes elsewhere puts all of the partial sum, f32 [n, strides.embedding]. */
  partialToFill(): Float32Array {
    const { views, arena, turn, plan } = this.#state;
    this.#isEmpty = false;
    return views.partials[arena][turn][plan.rankIndex];
  }

  /** partial ⊙= sigmoid(gate); gate: address of f32 [n, strides.embedding]. */
  gatePartial(gate: number): void {
    if (this.#isEmpty) return;
    const { kernels, config: { embeddingLength: d }, plan, partial, n } = this.#state;
    const stride = plan.strides.embedding;
    kernels.sigmoid_mul_f32(gate, partial, stride, partial, stride, n, d);
  }

  /** partial = 0; whoever calls adds to it by himself. */
  clear(): void {
    const { views, arena, turn, plan } = this.#state;
    views.partials[arena][turn][plan.rankIndex].fill(0);
    this.#isEmpty = false;
  }

  // --- joins -----------------------------------------------------------------------------------

  /**
   * residual = norm(Σ partials over ranks + kind): the embeddings of the step; norm null: just the
   * sum. kind: address of f32 [d], or 0: tokens are of no kind.
   * @returns false when the leader aborted the step.
   */
  joinEmbedding(norm: Norm | null, kind: number): boolean {
    const { kernels, config, plan, views, arena, space, n } = this.#state;
    if (!this.#meet()) return false;
    views.residual[arena].fill(0);
    this.#addPartials(space.residual);
    if (kind !== 0) {
      const stride = plan.strides.embedding;
      kernels.add_bias_f32(space.residual, stride, kind, n, config.embeddingLength);
    }
    if (norm !== null) this.normalize(space.residual, norm, space.residual, n);
    return true;
  }

  /**
   * residual += norm(residualScale · Σ partials over ranks); norm null: just the sum; in models
   * that normalise sums residual = norm(residual + …). Sums are in rank order on every rank, so
   * that all copies of the stream stay equal bit for bit. inner: of a norm inside of the block,
   * whose factors the sum lacks; limits: of the sum, where that is a product which has some; share:
   * of what is added to the stream.
   * @returns false when the leader aborted the step.
   */
  join(
    norm: Norm | null,
    inner: { row: number; width: number } | null = null,
    limits: Limits | null = null,
    share = 1,
  ): boolean {
    const { kernels, config, plan, space, views, arena, n, fractions } = this.#state;
    const { embeddingLength: d } = config;
    const scale = fractions.residualScale;
    const stride = plan.strides.embedding;
    if (this.#isEmpty) this.clear();
    if (scale !== 1) kernels.scale_f32(this.#state.partial, stride, n, d, scale);
    if (!this.#meet()) return false;
    const ofSum = config.normalizesSums ? norm : null;
    const ofPart = config.normalizesSums ? null : norm;
    const isPlain = ofPart === null && inner === null && limits === null && share === 1;
    if (isPlain) this.#addPartials(space.residual);
    else {
      // What the blocks read is not needed any more: its place takes the sum.
      views.normed[arena].fill(0);
      this.#addPartials(space.normed);
      if (limits !== null) limitOutput(kernels, limits, space.normed, stride, n, d);
      if (inner !== null) {
        const factors = rootFactors(this.#state, inner.row, inner.width);
        kernels.scale_rows_f32(space.normed, stride, factors, n, d);
      }
      if (ofPart !== null) {
        this.#normalizeBy(fractions.postEpsilon, space.normed, ofPart, space.normed, n);
      }
      if (share !== 1) kernels.scale_f32(space.normed, stride, n, d, share);
      kernels.add_f32(space.residual, stride, space.normed, stride, n, d);
    }
    if (ofSum !== null) {
      this.#normalizeBy(fractions.postEpsilon, space.residual, ofSum, space.residual, n);
    }
    return true;
  }

  /**
   * beside = norm(Σ partials over ranks): what `joinBeside` adds.
   * @returns false when the leader aborted the step.
   */
  joinApart(norm: Norm): boolean {
    if (!this.sumUp()) return false;
    const { space, n } = this.#state;
    this.normalize(space.normed, norm, space.beside, n);
    return true;
  }

  /**
   * residual += norm(beside + own(Σ partials over ranks)).
   * @returns false when the leader aborted the step.
   */
  joinBeside(own: Norm, norm: Norm | null): boolean {
    if (!this.sumUp()) return false;
    const { kernels, config: { embeddingLength: d }, plan, space, n } = this.#state;
    const stride = plan.strides.embedding;
    this.normalize(space.normed, own, space.normed, n);
    kernels.add_f32(space.normed, stride, space.beside, stride, n, d);
    if (norm !== null) this.normalize(space.normed, norm, space.normed, n);
    kernels.add_f32(space.residual, stride, space.normed, stride, n, d);
    return true;
  }

  /**
   * normed = Σ partials over ranks; the stream stays as it is.
   * @returns false when the leader aborted the step.
   */
  sumUp(): boolean {
    const { views, arena, space } = this.#state;
    if (this.#isEmpty) this.clear();
    if (!this.#meet()) return false;
    views.normed[arena].fill(0);
    this.#addPartials(space.normed);
    return true;
  }

  /**
   * residual = Σ partials over ranks.
   * @returns false when the leader aborted the step.
   */
  takeSum(): boolean {
    return this.joinEmbedding(null, 0);
  }

  /** residual *= outputScale; null: as it is. */
  scale(outputScale: number | null): void {
    if (outputScale === null) return;
    const { kernels, config: { embeddingLength: d }, plan, space, n } = this.#state;
    kernels.scale_f32(space.residual, plan.strides.embedding, n, d, outputScale);
  }

  /** residual += direction, to all rows; its address, f32 [d], or 0: there is none. */
  steer(direction: number): void {
    if (direction === 0) return;
    const { kernels, config: { embeddingLength: d }, plan, space, n } = this.#state;
    kernels.add_bias_f32(space.residual, plan.strides.embedding, direction, n, d);
  }

  /** Waits for all ranks; their partial sums are readable then, and the other ones are written. */
  #meet(): boolean {
    this.#isEmpty = true;
    const goesOn = this.#control.join();
    this.#state.takeTurn();
    return goesOn;
  }

  /** to += Σ partials of the turn before. */
  #addPartials(to: number): void {
    const { kernels, config, plan, space, views, arena, n } = this.#state;
    const turn = this.#state.turn ^ 1;
    const stride = plan.strides.embedding;
    const partials = views.partials[arena][turn];
    for (let rank = 0; rank < partials.length; rank++) {
      let addend = space.partials[turn];
      if (rank !== plan.rankIndex) {
        addend = space.incoming;
        views.incoming[arena].set(partials[rank]);
      }
      kernels.add_f32(to, stride, addend, stride, n, config.embeddingLength);
    }
  }

  /** partial += bias: a rank that multiplies nothing may still be the one that adds it. */
  addBias(matrix: Matrix): void {
    if (matrix.bias === 0) return;
    if (this.#isEmpty) this.clear();
    const { kernels, config, plan, partial, n } = this.#state;
    kernels.add_bias_f32(partial, plan.strides.embedding, matrix.bias, n, config.embeddingLength);
  }
}
