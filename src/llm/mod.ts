/** The door of language models: load one, talk to it. */
export { BUILT_IN_MODEL_ID, BUILT_IN_MODEL_PATH } from "./built_in_model.ts";
export { type Answer, type AnswerOptions, type ChatAnswerOptions, Engine } from "./engine.ts";
export type { AdapterChoice, EngineOptions, LoadProgress, NamedAdapter } from "./engine_options.ts";
export {
  FILL_BLOCK_MAX,
  FILL_DEFAULTS,
  FILL_ORDERS,
  type FillOptions,
  type FillOrder,
} from "./fill_options.ts";
export type { FileCacheMode } from "./file_cache.ts";
export { projectorBeside } from "./images/find_projector.ts";
export { openTowers } from "./images/tower.ts";
export { loadModel } from "./load_model.ts";
export { openForUse } from "./open_for_use.ts";
export { attachObstacle } from "./attached_adapters.ts";
export type { FiringRates, GpuMode, LoadOptions, QuietNeurons } from "./load_options.ts";
export { chooseGpu, type GpuDecision, type GpuPart } from "./choose_gpu.ts";
export { planBeside } from "./draft_model.ts";
export { describeForUse, planModel, planUse, planWhole } from "./plan_load.ts";
export { LoadedModel } from "./language_model.ts";
export type { InputSums, LayerObservation } from "../../workers/mod.ts";
export { type MemoryUse, memoryUse } from "./memory_use.ts";
export { type PlannedModel, planWithin } from "./plan_within.ts";
export type { Notice } from "./predictor_report.ts";
export type { PredictorMode, TriedPredictors } from "./try_predictors.ts";
export type {
  AdapterShare,
  AdapterUse,
  ChatMessage,
  ChatOptions,
  Conversations,
  EmbedOptions,
  FinishReason,
  GapMarks,
  GenerateChunk,
  GenerateRequest,
  GenerateResult,
  Generation,
  GivenRows,
  GrammarLead,
  GrammarMark,
  GrammarPart,
  GrammarParts,
  GrammarSource,
  KvUse,
  LanguageModel,
  LayerActivity,
  MessageImage,
  ModelDetails,
  NeuronActivity,
  Prelude,
  PromptSteps,
  RowGrid,
  SamplerStep,
  SamplingOptions,
  SeenImages,
  StreamTimings,
  Timings,
  TokenLogprob,
  TokenLogprobs,
} from "./types.ts";
export { unitVector } from "./unit_vector.ts";
