/** The door of language models: load one, talk to it. */
export { type Answer, type AnswerOptions, Engine } from "./engine.ts";
export { loadModel } from "./load_model.ts";
export type {
  FiringRates,
  GpuMode,
  LoadOptions,
  LoadProgress,
  QuietNeurons,
} from "./load_options.ts";
export { chooseGpu, type GpuDecision, type GpuPart } from "./choose_gpu.ts";
export { planBeside } from "./draft_model.ts";
export { describeForUse, planModel, readsByKernel } from "./plan_load.ts";
export { type LayerObservation, LoadedModel } from "./language_model.ts";
export { type MemoryUse, memoryUse } from "./memory_use.ts";
export { type PlannedModel, planWithin } from "./plan_within.ts";
export type { Notice } from "./predictor_report.ts";
export type { PredictorMode, TriedPredictors } from "./try_predictors.ts";
export type {
  ChatMessage,
  ChatOptions,
  FinishReason,
  GenerateChunk,
  GenerateRequest,
  GenerateResult,
  Generation,
  GrammarSource,
  LanguageModel,
  ModelDetails,
  SamplingOptions,
  Timings,
  TokenLogprobs,
} from "./types.ts";
