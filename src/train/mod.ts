/** The door of `src/train`: predictors of silent neurons, from samples to a model file. */
export {
  type BlockSamples,
  firedBytes,
  sampleBytes,
  type SampledLayer,
  SampleRecorder,
  splitSamples,
} from "./samples.ts";
export { PredictorTrainer, SAMPLES_MIN, type TrainerOptions } from "./predictor_trainer.ts";
export {
  type BlockResult,
  type LayerResult,
  type LayerTraining,
  trainLayer,
  type TrainPredictor,
} from "./train_layer.ts";
export { KeptLayers, type LayerSummary } from "./kept_layers.ts";
export {
  type MatrixForm,
  PREDICTOR_TYPES,
  type PredictorMatrix,
  type PredictorType,
  type TrainedPredictor,
} from "./trained_predictor.ts";
export { RANK_STEP } from "./training_plan.ts";
export {
  type LayerPredictors,
  writePredictors,
  type WritePredictorsOptions,
} from "./write_predictors.ts";
