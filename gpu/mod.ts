/**
 * The door to the GPU: what there is, opening it, weights, caches, programs of kernels, reading
 * back. Knows nothing of models' files or of ranks.
 */
export { adapterKey } from "./adapter.ts";
export { tuneKernels, TUNING_VERSION } from "./autotune.ts";
export {
  type ConvolutionRows,
  convolutionRowsBytes,
  type ConvolutionShape,
  createConvolutionRows,
} from "./convolution_rows.ts";
export { type CopyRates, measureCopyRates } from "./copy_rate.ts";
export { describeGpu, type GpuDescription } from "./describe.ts";
export { Gpu, type GpuInfo, type GpuOptions, type GpuPriority, openGpu } from "./device.ts";
export { GpuLostError, GpuOutOfMemoryError, GpuUnavailableError } from "./errors.ts";
export { createInt8Rows, destroyInt8Rows } from "./int8_rows.ts";
export {
  createKvCache,
  destroyKvCache,
  type KvCache,
  kvCacheBytes,
  type KvShape,
  type QueriesAlone,
} from "./kv_cache.ts";
export {
  attention,
  attentionScratchBytes,
  type HeadNorms,
  type HeadRope,
  rotateAndRemember,
  type RotateArgs,
} from "./ops/attention.ts";
export type { AttentionArgs } from "./ops/attention_common.ts";
export {
  activate,
  type ActivateArgs,
  type ActivationArgs,
  addRows,
  cutGates,
  type ScaleArgs,
  scaleRows,
  weighRows,
} from "./ops/elementwise.ts";
export {
  CANDIDATES_MAX,
  chooseScratchBytes,
  chooseToken,
  CHOSEN_WORDS,
  TOO_MANY,
} from "./ops/choose.ts";
export { chooseExperts, combineRoutes, sortRoutes } from "./ops/experts.ts";
export { shortConvolution, type ShortConvolutionArgs } from "./ops/convolution.ts";
export { embed, type EmbedArgs } from "./ops/embed.ts";
export { enterToken, leaveHalfNorm } from "./ops/half_norm.ts";
export { type MergeArgs, mergedWidth, mergeRows } from "./ops/merge.ts";
export { multiplyHeads, rememberLatent } from "./ops/latent.ts";
export { MANY_TOKENS, matmul, type MatmulArgs } from "./ops/matmul.ts";
export {
  canMultiplyOne,
  canProjectHeads,
  fireNeurons,
  type HalfNorm,
  isOneToken,
  joinResidual,
  multiplyOne,
  type NextNorm,
  type OneInput,
  projectHeads,
} from "./ops/one_token.ts";
export {
  headNorm,
  type HeadNormArgs,
  joinNorms,
  type JoinNormsArgs,
  norm,
  type NormArgs,
  type NormKind,
} from "./ops/norm.ts";
export {
  gateStates,
  type GateStatesArgs,
  scanDeltas,
  scanStates,
  stateConvolution,
} from "./ops/states.ts";
export { correctStreams, guessStreams, matchLengths } from "./ops/streams.ts";
export { type Program, ProgramBuilder } from "./program.ts";
export type { When } from "./step_kinds.ts";
export { createReadBack, type ReadBack } from "./read_back.ts";
export { EXPERTS_MAX, HEAD_DIM_MAX, STATES_MAX, STREAMS_MAX, USED_EXPERTS_MAX } from "./limits.ts";
export { createRoutes, type Routes, writeRoutes } from "./routes.ts";
export { ALIGN_BYTES, columnsFrom, fromColumn, type Rows } from "./rows.ts";
export {
  createStatePlaces,
  type StatePlaces,
  statePlacesBytes,
  type StateShape,
} from "./state_places.ts";
export type { ReadRequest } from "./slice_encoder.ts";
export { type ChainChoice, createStepChain, type StepChain } from "./step_chain.ts";
export { createStepInput, type StepInput, type StepRows, type StepValues } from "./step_input.ts";
export { GPU_TYPES, matrixBytes, type WeightFormat, weightFormat } from "./weights/formats.ts";
export {
  createMatrix,
  type GpuMatrix,
  matrixBuffers,
  type MatrixHome,
  type MatrixShape,
} from "./weights/matrix.ts";
export { createWeightStream, type WeightStream } from "./weights/stream.ts";
