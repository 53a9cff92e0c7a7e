/** The door of `src/model`: what a model is, out of a parsed file. Multiplies no weights. */
export { type CheckedTensors, checkTensors, type CheckTensorsOptions } from "./check_tensors.ts";
export { describeFused, type FusedModelFile, isFused } from "./describe_fused.ts";
export { describeModel, SUPPORTED_ARCHITECTURES } from "./describe.ts";
export { directionName } from "./read/steer_layers.ts";
export {
  isAdapter,
  isControlVector,
  isImportance,
  refuseCompanion,
} from "./read/companion_files.ts";
export { dequantize, DEQUANTIZED_TYPES, dequantizeInto } from "./quants/dequantize.ts";
export { codebook, type CodebookName, evenSigns } from "./quants/codebooks.ts";
export { FP4_LEVELS, IQ4_LEVELS } from "./quants/dequantize_blocks.ts";
export { UE4M3 } from "./quants/dequantize_nvfp4.ts";
export { givenWidth } from "./given_width.ts";
export { headMatrices } from "./head_matrices.ts";
export { configOf, hasUnevenNeurons, positionsAhead, readsWhole } from "./layer_config.ts";
export { layerNeurons } from "./layer_neurons.ts";
export {
  predictedBlock,
  predictorObstacle,
  type PredictorSummary,
  summarizePredictors,
} from "./powerinfer.ts";
export { cachedValueDim, mergedHeadDim, ownKeyDim } from "./latent.ts";
export { framesToRow, LONGEST_WAVE } from "./conformer_types.ts";
export type * from "./conformer_types.ts";
export { HEARING_KINDS, hears, readHearing, sees } from "./read/read_hearing.ts";
export { readVision, VISION_KINDS } from "./read/read_vision.ts";
export { projectedRows } from "./projected_rows.ts";
export { isSilentKind } from "./silent_kinds.ts";
export type { ReadOptions } from "./read/read_config.ts";
export { alibiSlopes } from "./alibi.ts";
export { bucketOf } from "./score_biases.ts";
export {
  fillRopeTable,
  fillRopeTableByAxes,
  growthAt,
  type RopeFrequencies,
  ropeFrequencies,
} from "./rope.ts";
export type { FusionConfig, GuessConfig, GuessTensors } from "./guess_types.ts";
export type {
  GatedMixTensors,
  GatedStreamsConfig,
  GroupIndexerConfig,
  GroupIndexerTensors,
  NgramConfig,
  NgramTensors,
} from "./gated_types.ts";
export type {
  Activation,
  AltUpConfig,
  AltUpTensors,
  ApartTensors,
  AttentionGate,
  BlockIndexerConfig,
  BlockIndexerTensors,
  CompressedTensors,
  CompressionConfig,
  DenseTensors,
  ExpertsConfig,
  ExpertTensors,
  FeedForwardConfig,
  FeedForwardTensors,
  FinchTensors,
  HeadNormTensors,
  HeadRows,
  HyperConfig,
  HyperTensors,
  IndexerConfig,
  IndexerTensors,
  KeyDeltaTensors,
  LatentConfig,
  LatentTensors,
  LayerAltUpTensors,
  LayerConfig,
  LayerInputTensors,
  LayerShape,
  LayerTensors,
  LightningTensors,
  LowRankTensors,
  MatrixTensor,
  ModelConfig,
  ModelDescription,
  ModelTensors,
  NormConfig,
  NormTensors,
  Pooling,
  PredictorTensors,
  ProductLimits,
  QueryTemperature,
  RopeConfig,
  RopeScaling,
  StateSpaceConfig,
  StateSpaceTensors,
  SwigluLimit,
  TimeMixTensors,
  TokenInputTensors,
  VectorTensor,
  XieluCurve,
} from "./types.ts";
export type { CompressorTensors } from "./compressed_types.ts";
export type {
  HearingModel,
  ImageConfig,
  PatchesConfig,
  ProjectorConfig,
  ProjectorTensors,
  SoundConfig,
  TowerInput,
  VisionModel,
} from "./vision_types.ts";
