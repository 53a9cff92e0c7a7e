/** Both ends of the model on one rank: its rows of the embedding table and of the output. */
import { check } from "../base/check.ts";
import type { Control } from "../memory/control.ts";
import { bindNorm, type Norm } from "./layer.ts";
import { dequantizeRow, type Matrix, matrixOf, project, quantize, readsQ8 } from "./matrix.ts";
import type { Residual } from "./residual.ts";
import type { StepState } from "./step_state.ts";

export class Vocabulary {
  readonly #state: StepState;
  readonly #residual: Residual;
  readonly #stepIds: Int32Array;
  readonly #embedding: Matrix;
  readonly #positions: Matrix | null;
  readonly #outputNorm: Norm;
  readonly #output: Matrix;

  constructor(state: StepState, by: { residual: Residual; control: Control }) {
    const { plan } = state;
    this.#state = state;
    this.#residual = by.residual;
    this.#stepIds = by.control.stepIds();
    this.#embedding = matrixOf(plan.embedding);
    this.#positions = plan.positions && matrixOf(plan.positions);
    this.#outputNorm = bindNorm(plan.outputNorm);
    this.#output = matrixOf(plan.output);
  }

  /** partial = embeddings of tokens and positions whose rows this rank owns, zero for others. */
  embed(): void {
    const { kernels, space, plan, config, fractions, partial, n } = this.#state;
    const { start, end } = plan.shard.embedding;
    const stride = plan.strides.embedding;
    this.#residual.clear();
    for (let t = 0; t < n; t++) {
      const id = this.#stepIds[t];
      check(id >= 0 && id < config.vocabSize, "a token id was checked at the door");
      if (id < start || id >= end) continue;
      dequantizeRow(kernels, this.#embedding, id - start, partial + t * stride * 4, space.normedQ8);
    }
    const { embeddingScale } = fractions;
    if (embeddingScale !== 1) {
      kernels.scale_f32(partial, stride, n, config.embeddingLength, embeddingScale);
    }
    if (this.#positions !== null) this.#addPositions(this.#positions);
  }

  /**
   * logits [logitsCount, own vocabulary rows] = Wout · norm(residual) of the last tokens. Rows lie
   * logitsStride apart.
   */
  score(): void {
    this.#state.carryTo(this.#state.plan.outputArena);
    const { kernels, space, inputs, plan, fractions, n: all, logitsCount: n } = this.#state;
    const output = this.#output;
    const rows = output.rowCount;
    if (rows === 0) return;
    const stride = plan.strides.logits;
    const first = space.residual + (all - n) * plan.strides.embedding * 4;
    this.#residual.normalize(first, this.#outputNorm, space.normed, n);
    if (readsQ8(output)) quantize(kernels, inputs.normed, n, output.columnCount);
    project(kernels, output, inputs.normed, n, space.logits, stride);
    const { logitScale, logitSoftCap } = fractions;
    if (logitScale !== 1) kernels.scale_f32(space.logits, stride, n, rows, logitScale);
    if (!(logitSoftCap > 0)) return;
    for (let t = 0; t < n; t++) {
      kernels.soft_cap_f32(space.logits + t * stride * 4, rows, logitSoftCap);
    }
  }

  #addPositions(positions: Matrix): void {
    const { kernels, space, plan, config, partial, position, n } = this.#state;
    const { start } = plan.shard.positions;
    const stride = plan.strides.embedding;
    for (let t = 0; t < n; t++) {
      const row = position + t - start;
      if (row < 0 || row >= positions.rowCount) continue;
      dequantizeRow(kernels, positions, row, space.incoming, space.normedQ8);
      const to = partial + t * stride * 4;
      kernels.add_f32(to, stride, space.incoming, stride, 1, config.embeddingLength);
    }
  }
}
