/** Where a predictor and what its training needs lie in one WebAssembly memory. */
import { alignUp } from "../base/check.ts";
import { ArenaBuilder, type ArenaPlan } from "../memory/arena.ts";

/** A predictor's size: scores = fc2 · relu(fc1 · x). */
export interface PredictorShape {
  /** Length of x, d. */
  readonly inputLength: number;
  /** Rows of fc1, columns of fc2; a multiple of `RANK_STEP`. */
  readonly rank: number;
  /** Rows of fc2. */
  readonly neuronCount: number;
}

/** Ranks are whole blocks of every quantised type, and whole steps of the float kernels. */
export const RANK_STEP = 32;
/** Columns that the float kernels read at a time. */
const KERNEL_COLUMNS = 16;
/** Neurons whose scores and gradients exist at a time. */
export const CHUNK_NEURONS = 512;
/** Rows of fc1 whose gradients exist at a time. */
export const CHUNK_UNITS = 64;

/** Byte offsets of matrices, f32, rows one behind another. */
export interface TrainingPlan {
  readonly shape: PredictorShape;
  /** Samples of a batch, a multiple of 16. */
  readonly batch: number;
  /** d, filled up with zeros to whole steps of the kernels. */
  readonly inputStride: number;
  readonly arena: ArenaPlan;
  /** [rank, inputStride] */
  readonly fc1: number;
  /** [neuronCount, rank] */
  readonly fc2: number;
  /** AdamW's running means of gradients and of their squares, as fc1 and fc2. */
  readonly fc1Mean: number;
  readonly fc1Square: number;
  readonly fc2Mean: number;
  readonly fc2Square: number;
  /** [d]: what inputs are multiplied by. */
  readonly inputScale: number;
  /** f16 [d]: a sample on its way in. */
  readonly sample: number;
  /** [batch, inputStride] and [inputStride, batch] */
  readonly input: number;
  readonly inputColumns: number;
  /** relu(fc1 · x): [batch, rank] and [rank, batch] */
  readonly hidden: number;
  readonly hiddenColumns: number;
  /** Scores of a chunk, then their gradients: [CHUNK_NEURONS, batch] and [batch, CHUNK_NEURONS] */
  readonly scoreColumns: number;
  readonly scores: number;
  /** A chunk of fc2: [rank, CHUNK_NEURONS] */
  readonly fc2Columns: number;
  /** Gradient of hidden, a chunk's part and the sum: [rank, batch] */
  readonly hiddenPart: number;
  readonly hiddenGradient: number;
  /** [CHUNK_NEURONS, rank] or [CHUNK_UNITS, inputStride] */
  readonly gradient: number;
}

/** Places everything. */
export function planTraining(shape: PredictorShape, batch: number): TrainingPlan {
  const { rank, neuronCount, inputLength } = shape;
  const inputStride = alignUp(inputLength, KERNEL_COLUMNS);
  const builder = new ArenaBuilder();
  const floats = (name: string, count: number) => builder.allocate(name, "activations", 4 * count);
  const fc1Floats = rank * inputStride;
  const fc2Floats = neuronCount * rank;
  const places = {
    fc1: floats("fc1", fc1Floats),
    fc2: floats("fc2", fc2Floats),
    fc1Mean: floats("fc1 mean", fc1Floats),
    fc1Square: floats("fc1 square", fc1Floats),
    fc2Mean: floats("fc2 mean", fc2Floats),
    fc2Square: floats("fc2 square", fc2Floats),
    inputScale: floats("input scale", inputLength),
    sample: floats("sample", inputLength),
    input: floats("input", batch * inputStride),
    inputColumns: floats("input columns", batch * inputStride),
    hidden: floats("hidden", batch * rank),
    hiddenColumns: floats("hidden columns", batch * rank),
    scoreColumns: floats("score columns", batch * CHUNK_NEURONS),
    scores: floats("scores", batch * CHUNK_NEURONS),
    fc2Columns: floats("fc2 columns", rank * CHUNK_NEURONS),
    hiddenPart: floats("hidden part", batch * rank),
    hiddenGradient: floats("hidden gradient", batch * rank),
    gradient: floats("gradient", Math.max(CHUNK_NEURONS * rank, CHUNK_UNITS * inputStride)),
  };
  return { shape, batch, inputStride, arena: builder.build(), ...places };
}
