/** Both ends of the model on one rank: its rows of the embedding table and of the output. */
import { check } from "../../base/check.ts";
import type { Control } from "../../memory/control.ts";
import {
  SEGMENT_LOGITS,
  SEGMENT_POSITION,
  SEGMENT_ROWS,
  SEGMENT_WORDS,
} from "../../memory/control_layout.ts";
import type { EmbeddingRows } from "../stream/embedding_rows.ts";
import { bindNorm, type Norm } from "../bound/bound_norm.ts";
import {
  dequantizeRow,
  type Matrix,
  matrixOf,
  project,
  quantize,
  readsQ8,
} from "../bound/matrix.ts";
import type { Residual } from "../step/residual.ts";
import type { StepState } from "../step/step_state.ts";

export class Vocabulary {
  readonly #state: StepState;
  readonly #residual: Residual;
  readonly #stepIds: Int32Array;
  readonly #embedding: Matrix;
  readonly #rows: EmbeddingRows | null;
  readonly #positions: Matrix | null;
  /** Null: what is read was normalised already. */
  readonly #outputNorm: Norm | null;
  readonly #guessNorm: Norm | null;
  readonly #output: Matrix;

  /** rows: what brings rows of the embedding table that stays in a file; null: it is in memory. */
  constructor(
    state: StepState,
    by: { residual: Residual; control: Control; rows: EmbeddingRows | null },
  ) {
    const { plan } = state;
    this.#state = state;
    this.#residual = by.residual;
    this.#stepIds = by.control.stepIds();
    this.#embedding = matrixOf(plan.embedding);
    this.#rows = by.rows;
    this.#positions = plan.positions && matrixOf(plan.positions);
    this.#outputNorm = bindNorm(plan.outputNorm);
    this.#guessNorm = bindNorm(plan.guessNorm) ?? this.#outputNorm;
    this.#output = matrixOf(plan.output);
  }

  /**
   * partial = embeddings of tokens and positions whose rows this rank owns, and given rows, which
   * nothing scales; zero for others.
   */
  embed(): void {
    const { kernels, plan, config, fractions: { embeddingScale }, partial, n } = this.#state;
    this.#residual.clear();
    if (this.#rows !== null) this.#embedFromFile(this.#rows);
    else {
      for (let t = 0; t < n; t++) {
        const row = this.#ownRow(t);
        if (row >= 0) this.#decode(row, t);
      }
    }
    if (embeddingScale !== 1) {
      const { embedding: stride } = plan.strides;
      kernels.scale_f32(partial, stride, n, config.embeddingLength, embeddingScale);
    }
    this.#putGiven();
    if (this.#positions !== null) this.#addPositions(this.#positions);
  }

  /**
   * logits [logitsCount, own vocabulary rows] = Wout · norm(residual) of the rows whose logits are
   * wanted, the last ones of segments. They lie logitsStride apart.
   */
  score(): void {
    this.#state.carryTo(this.#state.plan.outputArena);
    const { kernels, space, inputs, plan, fractions, logitsCount: n } = this.#state;
    const output = this.#output;
    const rows = output.rowCount;
    if (rows === 0) return;
    const stride = plan.strides.logits;
    this.#normalizeWanted();
    if (readsQ8(output)) quantize(kernels, inputs.normed, n, output.columnCount);
    project(kernels, output, inputs.normed, n, space.logits, stride);
    const { logitScale, logitSoftCap } = fractions;
    if (logitScale !== 1) kernels.scale_f32(space.logits, stride, n, rows, logitScale);
    if (!(logitSoftCap > 0)) return;
    for (let t = 0; t < n; t++) {
      kernels.soft_cap_f32(space.logits + t * stride * 4, rows, logitSoftCap);
    }
  }

  /** normed [logitsCount] = norm(residual) of the rows whose logits are wanted, side by side. */
  #normalizeWanted(): void {
    const { space, plan, segments, segmentCount, isGuess } = this.#state;
    const norm = isGuess ? this.#guessNorm : this.#outputNorm;
    const rowBytes = plan.strides.embedding * 4;
    let from = space.residual;
    let to = space.normed;
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      const rows = segments[at + SEGMENT_ROWS], wanted = segments[at + SEGMENT_LOGITS];
      from += rows * rowBytes;
      if (wanted === 0) continue;
      this.#residual.normalizeLast(from - wanted * rowBytes, norm, to, wanted);
      to += wanted * rowBytes;
    }
  }

  /** norm(residual) of all tokens of the step, whatever logits were wanted: a view. */
  finalRows(): Float32Array {
    const { outputArena } = this.#state.plan;
    this.#state.carryTo(outputArena);
    const { space, n, views, isGuess } = this.#state;
    const norm = isGuess ? this.#guessNorm : this.#outputNorm;
    this.#residual.normalizeLast(space.residual, norm, space.normed, n);
    return views.normed[outputArena];
  }

  /** As many tokens at a time as there are places for their rows: all are asked for first. */
  #embedFromFile(rows: EmbeddingRows): void {
    const { n } = this.#state;
    for (let first = 0, end = 0; first < n; first = end) {
      for (; end < n && !rows.isFull; end++) {
        const row = this.#ownRow(end);
        if (row >= 0) rows.ask(row);
      }
      if (!rows.bring()) continue; // the step is void: its tokens may stay zero
      let place = 0;
      for (let t = first; t < end; t++) {
        if (this.#ownRow(t) >= 0) this.#decode(place++, t);
      }
    }
  }

  /** Rows of ids below 0 to where embeddings would be. */
  #putGiven(): void {
    const { n, plan, given } = this.#state;
    if (given === null) return;
    for (let t = 0; t < n; t++) {
      const id = this.#stepIds[t];
      if (id < 0) given.put(id, this.#residual.partialToFill(), t * plan.strides.embedding);
    }
  }

  /** The own row of the step's token t; -1: another rank has it, or it is given. */
  #ownRow(t: number): number {
    const { plan: { shard: { embedding } }, config: { vocabSize, guess } } = this.#state;
    const id = this.#stepIds[t];
    check(id < (guess?.fusion?.tokenCount ?? vocabSize), "a token id was checked at the door");
    return id >= embedding.start && id < embedding.end ? id - embedding.start : -1;
  }

  /** partial[t] = a row of the embedding table. */
  #decode(row: number, t: number): void {
    const { kernels, space, plan, partial } = this.#state;
    const to = partial + t * plan.strides.embedding * 4;
    dequantizeRow(kernels, this.#embedding, row, to, space.normedQ8);
  }

  #addPositions(positions: Matrix): void {
    const { segments, segmentCount } = this.#state;
    let t = 0;
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      const first = segments[at + SEGMENT_POSITION];
      const end = first + segments[at + SEGMENT_ROWS];
      for (let position = first; position < end; position++) {
        this.#addPosition(positions, position, t++);
      }
    }
  }

  /** partial[t] += the embedding of a position, where this rank has it. */
  #addPosition(positions: Matrix, position: number, t: number): void {
    const { kernels, space, plan, config, partial } = this.#state;
    const row = position - plan.shard.positions.start;
    if (row < 0 || row >= positions.rowCount) return;
    const stride = plan.strides.embedding;
    dequantizeRow(kernels, positions, row, space.incoming, space.normedQ8);
    const to = partial + t * stride * 4;
    kernels.add_f32(to, stride, space.incoming, stride, 1, config.embeddingLength);
  }
}
