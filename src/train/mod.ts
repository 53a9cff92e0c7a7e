/** The door of `src/train`: predictors of silent neurons, from samples to a model file. */
export {
  firedBytes,
  type LayerSamples,
  sampleBytes,
  SampleRecorder,
  splitSamples,
} from "./samples.ts";
export {
  type LayerResult,
  type LayerTraining,
  type OnTraining,
  SAMPLES_MIN,
  trainLayer,
} from "./train_layer.ts";
export {
  PREDICTOR_TYPES,
  predictorBytes,
  type PredictorMatrix,
  type PredictorType,
  type TrainedPredictor,
} from "./trained_predictor.ts";
export { RANK_STEP } from "./training_plan.ts";
export { writePredictors, type WritePredictorsOptions } from "./write_predictors.ts";
