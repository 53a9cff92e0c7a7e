/** A trained predictor as a file holds it, and what it is worth. Plain data, can be posted. */
import type { WeightType } from "../quantize/mod.ts";
import type { PredictorQuality } from "./score_histogram.ts";

/** Types that a predictor may be stored in. */
export const PREDICTOR_TYPES = ["F32", "F16", "Q8_0", "Q5_0", "Q4_0"] as const satisfies readonly (
  WeightType
)[];

export type PredictorType = typeof PREDICTOR_TYPES[number];

/** A predictor's matrix but for its weights. */
export interface MatrixForm {
  readonly type: PredictorType;
  readonly rows: number;
  readonly columns: number;
}

/** A matrix of a predictor, rows one behind another. */
export interface PredictorMatrix extends MatrixForm {
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A layer's predictor: neuron j is predicted when (fc2 · relu(fc1 · r))[j] ≥ 0. */
export interface TrainedPredictor {
  /** [rank, d] */
  readonly fc1: PredictorMatrix;
  /** [neurons, rank] */
  readonly fc2: PredictorMatrix;
  /** Of the matrices as they are stored, over the samples that were held back. */
  readonly quality: PredictorQuality;
}
