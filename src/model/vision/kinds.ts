/** Every kind of projector files that this version reads. */
import {
  adapter,
  granite4Vision,
  hunyuanvl,
  ldpv2,
  mimovl,
  minicpmv46,
  minimaxM3,
  museGlimmer,
  resampler,
  step3vl,
  youtuvl,
} from "./newer_kinds.ts";
import { COMMON, PLAIN_STAGE, type VisionKind } from "./vision_kind.ts";

/** Of projectors of two matrices with gelu between them. */
const TWO = {
  norm: null,
  stages: [],
  isFirstTransposed: false,
  biases: "required",
  activation: "gelu",
} as const;

const SCALE_FACTOR = "projector.scale_factor";
const MERGE_SIZE = "spatial_merge_size";
const INPUT_NORM = "mm.input_norm";
const MVLM = "mm.model.mlp.";

/** Gemma 3: SigLIP, means of blocks. */
const gemma3: VisionKind = {
  ...COMMON,
  name: "gemma3",
  mayBeSwapped: true,
  side: { key: SCALE_FACTOR, absent: 4 },
  merge: "mean",
  projector: {
    norm: {
      ...{ of: "merged", kind: "rms", epsilon: null },
      ...{ tensor: "mm.soft_emb_norm", isOptional: false },
    },
    stages: [],
    first: "mm.input_projection",
    isFirstTransposed: true,
    second: null,
    biases: "none",
    activation: null,
  },
};

/** Gemma 4: of any shape, norms behind blocks, positions of columns and of rows. */
const gemma4v: VisionKind = {
  ...COMMON,
  name: "gemma4v",
  norm: "rms",
  resize: "sum",
  rope: {
    ...{ pairs: "neox", first: "column", isInterleaved: false, from: 0 },
    ...{ isByHalves: true, base: 100 },
  },
  rows: { min: 40, max: 280 },
  side: { key: SCALE_FACTOR, absent: 3 },
  merge: "mean",
  projector: {
    norm: { of: "merged", kind: "rms", epsilon: null, tensor: null, isOptional: false },
    isStandardized: true,
    stages: [],
    first: "mm.input_projection",
    isFirstTransposed: false,
    second: null,
    biases: "none",
    activation: null,
  },
  normalizesValues: true,
  mayLimitProducts: true,
  hasSignedColours: true,
};

/** Gemma 4 of one piece: no layers, and a patch is what is a block elsewhere. */
const gemma4uv: VisionKind = {
  ...COMMON,
  name: "gemma4uv",
  hasLayers: false,
  hasFlatPatches: true,
  hasBlocksAsPatches: true,
  pixelNorm: "v.patch_norm.1",
  patchNorm: "v.patch_norm.2",
  embeddingNorm: "v.patch_norm.3",
  epsilon: 1e-5,
  resize: "sum",
  rows: gemma4v.rows,
  side: gemma4v.side,
  projector: {
    norm: { of: "rows", kind: "rms", epsilon: null, tensor: null, isOptional: false },
    ...{ stages: [], first: "mm.input_projection", isFirstTransposed: false },
    ...{ second: null, biases: "none", activation: null },
  },
};

/** LLaVA: CLIP with a class token, all layers but the last, which files do not have. */
const mlp: VisionKind = {
  ...COMMON,
  name: "mlp",
  mayBeSwapped: true,
  classToken: "ifThere",
  namesLayers: true,
  projector: { ...TWO, first: "mm.0", second: "mm.2" },
  // Rows of lines' ends, of LLaVA 1.6: other programs do not use them, either.
  unused: ["model.image_newline", "v.image_newline"],
};

/** SmolVLM: SigLIP, blocks of patches side by side. */
const idefics3: VisionKind = {
  ...COMMON,
  name: "idefics3",
  mayBeSwapped: true,
  side: { key: SCALE_FACTOR, absent: 1 },
  projector: {
    ...{ norm: null, stages: [], first: "mm.model.fc", isFirstTransposed: false },
    ...{ second: null, biases: "none", activation: null },
  },
};

/** InternVL, its tower small or of six thousand million parameters. */
const internvl: VisionKind = {
  ...COMMON,
  name: "internvl",
  norm: ({ embeddingLength, blockCount }) =>
    embeddingLength === 3200 && blockCount === 45 ? "rms" : "layer",
  classToken: "required",
  side: { key: SCALE_FACTOR, absent: 1 },
  projector: {
    ...TWO,
    norm: { of: "merged", kind: "layer", epsilon: 1e-5, tensor: `${MVLM}0`, isOptional: false },
    first: `${MVLM}1`,
    second: `${MVLM}3`,
  },
};

/** Llama 4: positions are learned, the class token's behind the patches', and turn heads, too. */
const llama4: VisionKind = {
  ...COMMON,
  name: "llama4",
  hasFlatPatches: true,
  classToken: "last",
  rope: { pairs: "norm", first: "column", isInterleaved: false, from: 1 },
  side: { key: SCALE_FACTOR, absent: 1 },
  projector: {
    ...TWO,
    norm: null,
    stages: [{ ...PLAIN_STAGE, matrix: `${MVLM}1`, activation: "gelu" }],
    first: `${MVLM}2`,
    second: "mm.model.fc",
    biases: "none",
  },
};

/** Nemotron Nano 2 VL: RADIO, with class tokens beside the image's patches. */
const nemotron: VisionKind = {
  ...COMMON,
  name: "nemotron_v2_vl",
  classToken: "many",
  side: { key: SCALE_FACTOR, absent: 1 },
  projector: {
    ...TWO,
    norm: { of: "merged", kind: "rms", epsilon: 1e-6, tensor: `${MVLM}0`, isOptional: false },
    first: `${MVLM}1`,
    second: `${MVLM}3`,
    biases: "none",
    activation: "relu2",
  },
};

/** Janus Pro: SigLIP. */
const janusPro: VisionKind = {
  ...COMMON,
  name: "janus_pro",
  projector: { ...TWO, first: "mm.0", second: "mm.1", activation: "own" },
};

/** Kimi-VL: positions are learned, and turn heads, too. */
const kimivl: VisionKind = {
  ...COMMON,
  name: "kimivl",
  resize: "bilinear",
  rope: { pairs: "norm", first: "column", isInterleaved: false, from: 0 },
  rows: { min: 8, max: 1024 },
  side: { key: SCALE_FACTOR, absent: 1 },
  projector: {
    ...TWO,
    norm: { of: "rows", kind: "layer", epsilon: 1e-5, tensor: INPUT_NORM, isOptional: false },
    first: "mm.1",
    second: "mm.2",
  },
};

/** Kimi K2.5: the same with cubics between positions. */
const kimik25: VisionKind = {
  ...kimivl,
  name: "kimik25",
  positions: "byRows",
  resize: "bicubic",
  // 4096 rows by its authors: see Qwen2-VL.
  rows: { min: 2, max: 1280 },
  projector: { ...kimivl.projector, norm: { ...kimivl.projector.norm!, epsilon: null } },
};

/** LFM2-VL: SigLIP 2, of any shape. */
const lfm2: VisionKind = {
  ...COMMON,
  name: "lfm2",
  resize: "bilinear",
  rows: { min: 64, max: 256 },
  side: { key: SCALE_FACTOR, absent: 1 },
  projector: {
    ...TWO,
    norm: { of: "merged", kind: "layer", epsilon: 1e-5, tensor: INPUT_NORM, isOptional: true },
    first: "mm.1",
    second: "mm.2",
  },
};

/** Pixtral, and Mistral Small 3, which merges: a row and a column turn heads. */
const pixtral: VisionKind = {
  ...COMMON,
  name: "pixtral",
  norm: "rms",
  positions: "none",
  rope: { pairs: "norm", first: "row", isInterleaved: true, from: 0 },
  rows: { min: 8, max: 1024 },
  side: { key: MERGE_SIZE, absent: 1 },
  merge: "turns",
  projector: {
    norm: { of: "rows", kind: "rms", epsilon: null, tensor: INPUT_NORM, isOptional: true },
    stages: [{ ...PLAIN_STAGE, matrix: "mm.patch_merger", isOptional: true }],
    first: "mm.1",
    isFirstTransposed: false,
    second: "mm.2",
    biases: "ifThere",
    activation: "gelu",
  },
  lineBreak: "v.token_embd.img_break",
};

/** LightOnOCR: Pixtral's tower without anything between lines. */
const lightonocr: VisionKind = {
  ...pixtral,
  name: "lightonocr",
  rows: null,
  isOfLongestEdge: true,
  lineBreak: null,
};

/**
 * Qwen2-VL: an image is a film of two frames. Its authors allow 16384 rows, and advise 1280 at most
 * where memory and time count: attention takes their square.
 */
const qwen2vl: VisionKind = {
  ...COMMON,
  name: "qwen2vl_merger",
  mayBeSwapped: true,
  hasTwoFrames: true,
  positions: "none",
  rope: { pairs: "neox", first: "row", isInterleaved: false, from: 0 },
  rows: { min: 8, max: 1280 },
  side: { key: MERGE_SIZE, absent: 2 },
  projector: { ...TWO, first: "mm.0", second: "mm.2" },
};

/** Qwen2.5-VL: the same with RMS norms, gates and windows. */
const qwen25vl: VisionKind = {
  ...qwen2vl,
  name: "qwen2.5vl_merger",
  norm: "rms",
  windowPixels: 112,
};

/** EXAONE 4.5: the same, heads of queries sharing keys; files may have no windows. */
const exaone: VisionKind = { ...qwen25vl, name: "exaone4_5", mayLackWindows: true };

/** Qwen3-VL: learned positions, too, and rows of some layers beside those of the last. */
const qwen3vl: VisionKind = {
  ...qwen2vl,
  name: "qwen3vl_merger",
  mayBeSwapped: false,
  positions: "required",
  resize: "bilinearCorners",
  deep: "v.deepstack.",
};

/** dots.ocr: like Qwen2-VL, of one frame. */
const dotsOcr: VisionKind = {
  ...COMMON,
  name: "dots_ocr",
  norm: "rms",
  lastNorm: "mm.post_norm",
  positions: "none",
  rope: qwen2vl.rope,
  rows: qwen2vl.rows,
  side: { key: SCALE_FACTOR, absent: 2 },
  projector: {
    ...TWO,
    norm: { of: "rows", kind: "layer", epsilon: 1e-6, tensor: INPUT_NORM, isOptional: false },
    first: "mm.0",
    second: "mm.2",
  },
};

/** GLM-4.1V and 4.5V, GLM-OCR (without positions): a norm of patches, a long projector. */
const glm4v: VisionKind = {
  ...qwen2vl,
  name: "glm4v",
  norm: "rms",
  mayBeSwapped: false,
  patchNorm: "v.norm_embd",
  positions: "ifThere",
  resize: "bicubic",
  merge: "turns",
  projector: {
    norm: null,
    stages: [{ ...PLAIN_STAGE, matrix: "mm.patch_merger", isKernel: true }, {
      ...{ ...PLAIN_STAGE, matrix: "mm.model.fc", activation: "geluErf" },
      norm: { tensor: "mm.post_norm", epsilon: 1e-5 },
    }],
    first: "mm.up",
    gate: "mm.gate",
    isFirstTransposed: false,
    second: "mm.down",
    biases: "ifThere",
    activation: "own",
  },
};

/** PaddleOCR-VL: SigLIP 2 that is turned, too. */
const paddleocr: VisionKind = {
  ...kimivl,
  name: "paddleocr",
  side: { key: SCALE_FACTOR, absent: 2 },
  rope: qwen2vl.rope,
  rows: qwen2vl.rows,
  projector: { ...kimivl.projector, activation: "own" },
};

/** Phi-4 that reasons about images: SigLIP 2, of any shape. */
const phi4: VisionKind = {
  ...COMMON,
  name: "phi4",
  resize: "bilinear",
  rows: { min: 256, max: 3600 },
  projector: { ...TWO, first: "mm.0", second: "mm.2" },
};

/** In alphabetical order. */
export const KINDS: readonly VisionKind[] = [
  adapter,
  dotsOcr,
  exaone,
  gemma3,
  gemma4uv,
  gemma4v,
  glm4v,
  granite4Vision,
  hunyuanvl,
  idefics3,
  internvl,
  janusPro,
  kimik25,
  kimivl,
  ldpv2,
  lfm2,
  lightonocr,
  llama4,
  mimovl,
  minicpmv46,
  minimaxM3,
  mlp,
  museGlimmer,
  nemotron,
  paddleocr,
  phi4,
  pixtral,
  qwen25vl,
  qwen2vl,
  qwen3vl,
  resampler,
  step3vl,
  youtuvl,
];
