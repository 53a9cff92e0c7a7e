/** Kinds of projector files whose towers or projectors do what no others do. */
import { COMMON, PLAIN_STAGE, type VisionKind } from "./vision_kind.ts";

const SCALE_FACTOR = "projector.scale_factor";
const MERGE_SIZE = "spatial_merge_size";

/** HunyuanOCR, and HunyuanVL: of any shape, with rows around those of an image. */
export const hunyuanvl: VisionKind = {
  ...COMMON,
  name: "hunyuanvl",
  resize: "bilinearTenth",
  // 16384 rows by llama.cpp: see Qwen2-VL; its files say how many.
  rows: { min: 256, max: 4096 },
  side: { key: MERGE_SIZE, absent: 2 },
  merge: "turns",
  projector: {
    norm: { of: "rows", kind: "rms", epsilon: null, tensor: "mm.pre_norm", isOptional: false },
    stages: [
      { ...PLAIN_STAGE, matrix: "mm.0", isKernel: true, activation: "gelu" },
      { ...PLAIN_STAGE, matrix: "mm.2", isKernel: true },
    ],
    ...{ first: "mm.model.fc", isFirstTransposed: false, second: null },
    ...{ biases: "required", activation: null },
    frame: {
      ...{ lineEnd: "v.image_newline", begin: "mm.image_begin", end: "mm.image_end" },
      norm: "mm.post_norm",
    },
  },
  // Between pictures of a film.
  unused: ["v.view_seperator"],
};

/** GLM-Edge: SigLIP, a convolution over blocks, and learned rows around an image. */
export const adapter: VisionKind = {
  ...COMMON,
  name: "adapter",
  mayBeSwapped: true,
  side: { key: SCALE_FACTOR, absent: 2 },
  merge: "turns",
  around: { begin: "adapter.boi", end: "adapter.eoi" },
  projector: {
    norm: null,
    stages: [{ ...PLAIN_STAGE, matrix: "adapter.conv", isKernel: true }, {
      ...{ ...PLAIN_STAGE, matrix: "adapter.linear.linear", activation: "gelu" },
      norm: { tensor: "adapter.linear.norm1", epsilon: null },
    }],
    ...{ first: "adapter.linear.dense_h_to_4h", gate: "adapter.linear.gate" },
    ...{ isFirstTransposed: false, second: "adapter.linear.dense_4h_to_h" },
    ...{ biases: "none", activation: "silu" },
  },
};

/** MiniMax M3: of any shape, two frames, a third of heads turned by rows and one by columns. */
export const minimaxM3: VisionKind = {
  ...COMMON,
  name: "minimax_m3",
  hasTwoFrames: true,
  positions: "none",
  rope: { pairs: "neox", first: "row", isInterleaved: false, isByThirds: true, from: 0 },
  rows: { min: 8, max: 576 },
  side: { key: MERGE_SIZE, absent: 2 },
  activation: "geluErf",
  projector: {
    norm: null,
    rowStages: [
      { ...PLAIN_STAGE, matrix: "mm.1", activation: "geluErf" },
      { ...PLAIN_STAGE, matrix: "mm.2" },
    ],
    ...{ stages: [], first: "mm.merger.fc1", isFirstTransposed: false },
    ...{ second: "mm.merger.fc2", biases: "required", activation: "geluErf" },
  },
};

/** Step3-VL: turned, its rows made fewer by convolutions, with windows of a large image. */
export const step3vl: VisionKind = {
  ...COMMON,
  name: "step3vl",
  resize: "bilinear",
  rope: { pairs: "norm", first: "column", isInterleaved: false, from: 0 },
  projector: {
    ...{ norm: null, convolutions: ["mm.0", "mm.1"], stages: [], first: "mm.model.fc" },
    ...{ isFirstTransposed: false, second: null, biases: "none", activation: null },
  },
};

/** Granite 4 Vision: SigLIP, of some of whose layers queries ask windows; tiles without edges. */
export const granite4Vision: VisionKind = {
  ...COMMON,
  name: "granite4_vision",
  asksLayers: true,
  projector: {
    ...{ norm: null, stages: [], first: "v.proj_blk.0.linear", isFirstTransposed: false },
    ...{ second: null, biases: "ifThere", activation: null },
  },
};

/** MobileVLM 2: LLaVA's tower, means of blocks, and a convolution over each of their numbers. */
export const ldpv2: VisionKind = {
  ...COMMON,
  name: "ldpv2",
  mayBeSwapped: true,
  classToken: "ifThere",
  namesLayers: true,
  side: { key: SCALE_FACTOR, absent: 2 },
  merge: "mean",
  projector: {
    norm: null,
    rowStages: [{ ...PLAIN_STAGE, matrix: "mm.model.mlp.0", activation: "gelu" }],
    stages: [],
    // A mean of products is the product of a mean.
    ...{ first: "mm.model.mlp.2", isFirstTransposed: false, second: null },
    ...{ biases: "required", activation: null, channels: "mm.model.peg.0" },
  },
  unused: ["model.image_newline", "v.image_newline"],
};

/** Muse Glimmer: of any shape, turned, with windows that edges cut off. */
export const museGlimmer: VisionKind = {
  ...COMMON,
  name: "muse-glimmer",
  resize: "bilinearCentres",
  // Its authors count rows and columns from 1, which turns queries and keys alike.
  rope: { pairs: "norm", first: "column", isInterleaved: false, from: 0 },
  rows: { min: 1, max: 4096 },
  side: { key: MERGE_SIZE, absent: 2 },
  merge: "turns",
  hasWindowsOfPositions: true,
  activation: "geluErf",
  projector: {
    norm: null,
    stages: ["mm.0", "mm.1"].map((matrix) => (
      { ...PLAIN_STAGE, matrix, activation: "geluErf" as const }
    )),
    ...{ first: "mm.2", isFirstTransposed: false, second: null, biases: "none", activation: null },
  },
};

/** MiMo-VL: Qwen2.5-VL's tower with long heads, of which some attend along lines and columns. */
export const mimovl: VisionKind = {
  ...COMMON,
  name: "mimovl",
  norm: "rms",
  // What files call the last norm is the projector's, and of another kind.
  lastNorm: "mm.post_norm",
  hasTwoFrames: true,
  positions: "none",
  rope: { pairs: "neox", first: "row", isInterleaved: false, from: 0 },
  rows: { min: 8, max: 1280 },
  side: { key: MERGE_SIZE, absent: 2 },
  hasBands: true,
  projector: {
    norm: { of: "rows", kind: "layer", epsilon: 1e-6, tensor: "v.post_ln", isOptional: false },
    ...{ stages: [], first: "mm.0", isFirstTransposed: false, second: "mm.2" },
    ...{ biases: "none", activation: "gelu" },
  },
};

/** MiniCPM-V 4.6: SigLIP, blocks of whose patches become rows between two layers, or behind. */
export const minicpmv46: VisionKind = {
  ...COMMON,
  name: "minicpmv4_6",
  mayBeSwapped: true,
  resize: "spread",
  isLikeSquare: true,
  foldsRows: true,
  side: { key: SCALE_FACTOR, absent: 4 },
  projector: {
    norm: {
      ...{ of: "merged", kind: "layer", epsilon: null },
      ...{ tensor: "mm.input_norm", isOptional: false },
    },
    ...{ stages: [], first: "mm.up", isFirstTransposed: false, second: "mm.down" },
    ...{ biases: "ifThere", activation: "geluErf" },
  },
};

/** Youtu-VL: SigLIP 2 that is turned, of any shape, with windows that edges cut off. */
export const youtuvl: VisionKind = {
  ...COMMON,
  name: "youtuvl",
  hasFlatPatches: true,
  hasColoursLast: true,
  positions: "none",
  rope: { pairs: "neox", first: "row", isInterleaved: false, from: 0 },
  // 62500 rows by its authors, which is an image of 64 megapixels: see Qwen2-VL.
  rows: { min: 1, max: 4096 },
  side: { key: MERGE_SIZE, absent: 2 },
  namesWindows: true,
  projector: {
    norm: { of: "rows", kind: "rms", epsilon: 1e-6, tensor: "mm.input_norm", isOptional: false },
    ...{ stages: [], first: "mm.0", isFirstTransposed: false, second: "mm.2" },
    ...{ biases: "required", activation: "gelu" },
  },
};

/** MiniCPM-V 2.5 to 4.5 and MiniCPM-o: SigLIP, of whose rows queries take what they want. */
export const resampler: VisionKind = {
  ...COMMON,
  name: "resampler",
  mayBeSwapped: true,
  resize: "spread",
  isLikeSquare: true,
  isResampled: true,
  projector: {
    norm: {
      ...{ of: "merged", kind: "layer", epsilon: null },
      ...{ tensor: "resampler.ln_post", isOptional: false },
    },
    ...{ stages: [], first: "resampler.proj", isFirstTransposed: false },
    ...{ second: null, biases: "none", activation: null },
  },
  // Sines and cosines that are made anew, for other shapes than a square, too.
  unused: ["resampler.pos_embed_k"],
};
