/**
 * A predictor on a batch of samples, forward and backward, by the engine's float kernels. The
 * kernels multiply rows by rows, out[t, r] = Σ_i w[r, i] · x[t, i]; so every matrix that is summed
 * over lies with that dimension last, and some lie both ways round. Neurons come in chunks that
 * stay in the cache, and whose gradient is used up before the next one is computed.
 *
 * Knows nothing of optimisers, epochs or files. Allocates nothing per batch.
 */
import { alignUp, check, divCeil } from "../base/check.ts";
import { instantiateKernels, type Kernels } from "../../wasm/mod.ts";
import { BatchLabels } from "./loss.ts";
import type { BlockSamples } from "./samples.ts";
import { CHUNK_NEURONS, CHUNK_UNITS, type TrainingPlan } from "./training_plan.ts";
import { type MatrixView, transpose } from "./transpose.ts";

/** Takes the gradient of some rows of a matrix, and may change these rows. */
export type GradientSink = (
  matrix: "fc1" | "fc2",
  firstRow: number,
  /** [rows, stride of the matrix]; valid during the call. */
  gradient: Float32Array,
) => void;

/** Takes the scores of some neurons for the batch. */
export type ScoreSink = (
  /** f32 [neurons, batch]; columns beyond the samples are undefined; valid during the call. */
  scores: Float32Array,
  neurons: { readonly first: number; readonly count: number },
) => void;

/** Some rows of a matrix. */
interface Chunk {
  readonly first: number;
  readonly count: number;
  readonly weights: MatrixView;
  /** f32 [count, stride], shared by all chunks. */
  readonly gradient: Float32Array;
}

/** A predictor in the memory that `plan` describes. */
export class PredictorNetwork {
  readonly plan: TrainingPlan;
  /** f32 [rank, inputStride], columns beyond d are zero. */
  readonly fc1: Float32Array;
  /** f32 [neuronCount, rank] */
  readonly fc2: Float32Array;
  /** f32 [d]: inputs are multiplied by it. */
  readonly inputScale: Float32Array;
  readonly labels: BatchLabels;
  readonly #kernels: Kernels;
  readonly #buffer: ArrayBufferLike;
  readonly #sample: Uint16Array;
  readonly #input: MatrixView;
  readonly #inputColumns: MatrixView;
  readonly #hidden: MatrixView;
  readonly #hiddenColumns: MatrixView;
  readonly #scoreColumns: MatrixView;
  readonly #scores: MatrixView;
  readonly #fc2Columns: MatrixView;
  readonly #hiddenGradient: Float32Array;
  readonly #fc2Chunks: readonly Chunk[];
  readonly #fc1Chunks: readonly Chunk[];

  /** Weights are what the memory holds; `inputScale` is 1. */
  constructor(plan: TrainingPlan, module: WebAssembly.Module, memory: WebAssembly.Memory) {
    const { rank, neuronCount, inputLength } = plan.shape;
    const { batch, inputStride } = plan;
    this.plan = plan;
    this.#kernels = instantiateKernels(module, memory);
    this.#buffer = memory.buffer;
    this.fc1 = this.floats(plan.fc1, rank * inputStride);
    this.fc2 = this.floats(plan.fc2, neuronCount * rank);
    this.inputScale = this.floats(plan.inputScale, inputLength).fill(1);
    this.labels = new BatchLabels(batch);
    this.#sample = new Uint16Array(memory.buffer, plan.sample, inputLength);
    const matrix = (offset: number, rows: number, stride: number) => ({
      values: this.floats(offset, rows * stride),
      stride,
    });
    this.#input = matrix(plan.input, batch, inputStride);
    this.#inputColumns = matrix(plan.inputColumns, inputStride, batch);
    this.#hidden = matrix(plan.hidden, batch, rank);
    this.#hiddenColumns = matrix(plan.hiddenColumns, rank, batch);
    this.#scoreColumns = matrix(plan.scoreColumns, CHUNK_NEURONS, batch);
    this.#scores = matrix(plan.scores, batch, CHUNK_NEURONS);
    this.#fc2Columns = matrix(plan.fc2Columns, rank, CHUNK_NEURONS);
    this.#hiddenGradient = this.floats(plan.hiddenGradient, rank * batch);
    const chunks = (values: Float32Array, stride: number, step: number) =>
      range(values.length / stride, step).map(({ first, count }): Chunk => ({
        first,
        count,
        weights: { values: values.subarray(first * stride, (first + count) * stride), stride },
        gradient: this.floats(plan.gradient, count * stride),
      }));
    this.#fc2Chunks = chunks(this.fc2, rank, CHUNK_NEURONS);
    this.#fc1Chunks = chunks(this.fc1, inputStride, CHUNK_UNITS);
  }

  /** `count` floats of the memory. */
  floats(offsetBytes: number, count: number): Float32Array {
    return new Float32Array(this.#buffer, offsetBytes, count);
  }

  /** relu(fc1 · x) of the batch, f32 [batch, rank]. */
  get hidden(): Float32Array {
    return this.#hidden.values;
  }

  /**
   * Reads samples `indices[first .. first + count - 1]` and computes the hidden layer. Rows of the
   * batch beyond them keep what was there: the loss gives them no gradient.
   */
  begin(samples: BlockSamples, indices: Int32Array, at: { first: number; count: number }): void {
    const { plan } = this;
    const { inputLength, rank } = plan.shape;
    check(at.count <= plan.batch && at.first + at.count <= indices.length, "samples of a batch");
    this.labels.select(samples, indices, at);
    for (let t = 0; t < at.count; t++) {
      const begin = samples.inputRows[indices[at.first + t]] * inputLength;
      for (let i = 0; i < inputLength; i++) this.#sample[i] = samples.inputs[begin + i];
      const row = plan.input + 4 * t * plan.inputStride;
      this.#kernels.dequantize_row_f16(plan.sample, inputLength, row);
    }
    const { batch, inputStride } = plan;
    this.#kernels.mul_weight_f32(plan.input, inputStride, plan.inputScale, at.count, inputLength);
    this.#product(
      { at: plan.input, rows: batch, columns: inputStride },
      { at: plan.fc1, rows: rank },
      plan.hiddenColumns,
    );
    this.#kernels.relu_f32(plan.hiddenColumns, batch, plan.hiddenColumns, batch, rank, batch);
    transpose(this.#hiddenColumns, this.#hidden, { rows: rank, columns: batch });
  }

  /** Scores of all neurons, a chunk at a time; `begin` comes first. */
  score(sink: ScoreSink): void {
    for (const chunk of this.#fc2Chunks) {
      this.#scoreChunk(chunk);
      sink(this.#scoreColumns.values, chunk);
    }
  }

  /** Gradients of all weights by the loss of the batch; `begin` comes first. */
  backward(negativeWeight: number, sink: GradientSink): void {
    this.#hiddenGradient.fill(0);
    for (const chunk of this.#fc2Chunks) {
      this.#scoreChunk(chunk);
      this.labels.gradientInPlace(
        this.#scoreColumns.values,
        { neurons: chunk.count, stride: this.plan.batch, firstNeuron: chunk.first },
        negativeWeight,
      );
      this.#addHiddenGradient(chunk);
      this.#giveFc2Gradient(chunk, sink);
    }
    this.#giveFc1Gradient(sink);
  }

  #scoreChunk({ first, count }: Chunk): void {
    const { plan } = this;
    const { rank } = plan.shape;
    this.#product(
      { at: plan.hidden, rows: plan.batch, columns: rank },
      { at: plan.fc2 + 4 * first * rank, rows: count },
      plan.scoreColumns,
    );
  }

  /** hiddenGradient[k, t] += Σ_j fc2[j, k] · gradient[j, t] over a chunk's neurons. */
  #addHiddenGradient({ count, weights }: Chunk): void {
    const { plan } = this;
    const { rank } = plan.shape;
    const { batch } = plan;
    const columns = alignUp(count, 16);
    transpose(this.#scoreColumns, this.#scores, { rows: count, columns: batch });
    transpose(weights, this.#fc2Columns, { rows: count, columns: rank });
    if (columns !== count) {
      clearColumns(this.#scores, batch, { begin: count, end: columns });
      clearColumns(this.#fc2Columns, rank, { begin: count, end: columns });
    }
    this.#kernels.matmul_f32_f32(
      plan.scores,
      4 * CHUNK_NEURONS,
      batch,
      columns,
      plan.fc2Columns,
      CHUNK_NEURONS,
      rank,
      plan.hiddenPart,
      batch,
    );
    this.#kernels.add_f32(plan.hiddenGradient, batch, plan.hiddenPart, batch, rank, batch);
  }

  #giveFc2Gradient({ first, count, gradient }: Chunk, sink: GradientSink): void {
    const { plan } = this;
    const { rank } = plan.shape;
    this.#product(
      { at: plan.hiddenColumns, rows: rank, columns: plan.batch },
      { at: plan.scoreColumns, rows: count },
      plan.gradient,
    );
    sink("fc2", first, gradient);
  }

  #giveFc1Gradient(sink: GradientSink): void {
    const { plan } = this;
    const { batch, inputStride } = plan;
    const hidden = this.#hiddenColumns.values;
    for (let i = 0; i < hidden.length; i++) if (hidden[i] <= 0) this.#hiddenGradient[i] = 0;
    transpose(this.#input, this.#inputColumns, { rows: batch, columns: inputStride });
    for (const { first, count, gradient } of this.#fc1Chunks) {
      this.#product(
        { at: plan.inputColumns, rows: inputStride, columns: batch },
        { at: plan.hiddenGradient + 4 * first * batch, rows: count },
        plan.gradient,
      );
      sink("fc1", first, gradient);
    }
  }

  /** out[t, r] = Σ_i w[r, i] · x[t, i], rows of all three without gaps. */
  #product(
    w: { at: number; rows: number; columns: number },
    x: { at: number; rows: number },
    out: number,
  ): void {
    const { rows, columns } = w;
    this.#kernels.matmul_f32_f32(
      w.at,
      4 * columns,
      rows,
      columns,
      x.at,
      columns,
      x.rows,
      out,
      rows,
    );
  }
}

/** 0..total in pieces of at most `step`. */
function range(total: number, step: number): { first: number; count: number }[] {
  return Array.from({ length: divCeil(total, step) }, (_, i) => ({
    first: i * step,
    count: Math.min(step, total - i * step),
  }));
}

function clearColumns(
  { values, stride }: MatrixView,
  rows: number,
  { begin, end }: { begin: number; end: number },
): void {
  for (let row = 0; row < rows; row++) values.fill(0, row * stride + begin, row * stride + end);
}
