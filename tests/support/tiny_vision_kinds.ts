/** What sets one kind of tiny projector files apart from the next, as data. */
import { list, type StoredValue, u32 } from "../../src/gguf/mod.ts";
import { NEWER_TINY_KINDS } from "./tiny_newer_vision_kinds.ts";
import {
  NEURONS,
  PIXELS,
  SIDE_2,
  SIGLIP,
  type TinyLengths,
  type TinyTensor,
  type TinyVisionKind,
  twoMatrices,
} from "./tiny_vision_parts.ts";

export type { TinyVisionKind };

/** As converters write it, with a sign. */
const VERSION_3: StoredValue = { type: "i32", value: 3 };

/** Kinds, and after a dash forms of them. */
export const TINY_KINDS = {
  "gemma3": {
    ...SIGLIP,
    keys: SIDE_2,
    tensors: gemmaProjector,
  },
  /** Lengths as Gemma 3 has them: multiples of 16 and less, heads of 72. */
  "gemma3-odd": {
    ...{ ...SIGLIP, projector: "gemma3", width: 144, heads: 2, neurons: 80, patchSize: 14 },
    keys: SIDE_2,
    tensors: gemmaProjector,
  },
  "gemma4v": {
    ...{ rms: true, biases: false, gated: true, postNorms: true, positionTables: 64 },
    ...{ headDim: 16, headNorms: ["attn_q_norm", "attn_k_norm"] },
    keys: { ...SIDE_2, "image_min_pixels": u32(256), "image_max_pixels": u32(1600) },
    tensors: ({ width, outputLength: rows }) => [
      { name: "v.std_bias", dims: [width] },
      { name: "v.std_scale", dims: [width], role: "norm" },
      { name: "mm.input_projection.weight", dims: [width, rows] },
    ],
  },
  /** Gemma 4's small ones: without the numbers that make rows standard. */
  "gemma4v-limits": {
    ...{ projector: "gemma4v", rms: true, biases: false, gated: true, postNorms: true },
    ...{ headDim: 16, headNorms: ["attn_q_norm", "attn_k_norm"], positionTables: 64 },
    blockCount: 1,
    limited: ["attn_q", "attn_k", "attn_v", "attn_out", "ffn_gate", "ffn_up", "ffn_down"],
    keys: { ...SIDE_2, "image_min_pixels": u32(256), "image_max_pixels": u32(1600) },
    tensors: ({ width, outputLength: rows }) => [
      { name: "mm.input_projection.weight", dims: [width, rows] },
    ],
  },
  "gemma4uv": {
    ...{
      flatPatches: true,
      patchBias: true,
      positionTables: 64,
      patchSize: 4,
      blockCount: 0,
      neurons: 1,
    },
    patchNorms: true,
    keys: { ...SIDE_2, "image_min_pixels": u32(256), "image_max_pixels": u32(2304) },
    tensors: ({ width, outputLength: rows }) => [
      { name: "mm.input_projection.weight", dims: [width, rows] },
    ],
  },
  "mlp": {
    ...{ activation: "quickGelu", swapped: true },
    ...{ classToken: true, preNorm: true },
    tensors: ({ width: columns, outputLength: rows }) =>
      twoMatrices(["mm.0", "mm.2"], { columns, rows }),
  },
  "mlp-siglip": {
    ...SIGLIP,
    projector: "mlp",
    keys: { "feature_layer": list(Int32Array.of(1)) },
    tensors: ({ width: columns, outputLength: rows }) =>
      twoMatrices(["mm.0", "mm.2"], { columns, rows }),
  },
  "idefics3": {
    ...SIGLIP,
    keys: { ...SIDE_2, "preproc_image_size": u32(48) },
    tensors: ({ width, outputLength }) => [
      { name: "mm.model.fc.weight", dims: [4 * width, outputLength] },
    ],
  },
  "internvl": {
    ...{ patchBias: true, classToken: true, gains: true, keys: SIDE_2 },
    tensors: internProjector,
  },
  "internvl-norms": {
    ...{ projector: "internvl", patchBias: true, classToken: true, gains: true, keys: SIDE_2 },
    headNorms: ["attn_q_norm", "attn_k_norm"],
    tensors: internProjector,
  },
  "nemotron_v2_vl": {
    ...{ patchBias: true, classTokens: 3, fusedQkv: true, keys: SIDE_2 },
    tensors: ({ width, outputLength: rows }) => [
      { name: "mm.model.mlp.0.weight", dims: [4 * width], role: "norm" },
      { name: "mm.model.mlp.1.weight", dims: [4 * width, NEURONS] },
      { name: "mm.model.mlp.3.weight", dims: [NEURONS, rows] },
    ],
  },
  "pixtral": {
    ...{ rms: true, biases: false, gated: true, activation: "silu" },
    ...{ positions: false, preNorm: true },
    tensors: ({ width: columns, outputLength: rows }) => [
      ...twoMatrices(["mm.1", "mm.2"], { columns, rows }),
      { name: "v.token_embd.img_break", dims: [rows] },
    ],
  },
  "pixtral-merging": {
    ...{ projector: "pixtral", rms: true, biases: false, gated: true },
    ...{ activation: "silu", positions: false, preNorm: true },
    keys: { "spatial_merge_size": u32(2) },
    tensors: ({ width: columns, outputLength: rows }) => [
      { name: "mm.input_norm.weight", dims: [columns], role: "norm" },
      { name: "mm.patch_merger.weight", dims: [4 * columns, columns] },
      ...twoMatrices(["mm.1", "mm.2"], { columns, rows }).filter(({ dims }) => dims.length > 1),
      { name: "v.token_embd.img_break", dims: [rows] },
    ],
  },
  "lightonocr": {
    ...{ rms: true, biases: false, gated: true, activation: "silu" },
    ...{ positions: false, preNorm: true },
    keys: { "spatial_merge_size": u32(2), "preproc_image_size": u32(64) },
    tensors: ({ width: columns, outputLength: rows }) => [
      { name: "mm.input_norm.weight", dims: [columns], role: "norm" },
      { name: "mm.patch_merger.weight", dims: [4 * columns, columns] },
      ...twoMatrices(["mm.1", "mm.2"], { columns, rows }).filter(({ dims }) => dims.length > 1),
    ],
  },
  "qwen2vl_merger": {
    ...{ twoFrames: true, positions: false, postNorm: true, activation: "quickGelu" },
    tensors: ({ width, outputLength: rows }) =>
      twoMatrices(["mm.0", "mm.2"], { columns: 4 * width, rows }),
  },
  "qwen2.5vl_merger": {
    ...{ twoFrames: true, positions: false, postNorm: true, activation: "silu" },
    ...{ rms: true, gated: true, patchSize: 14 },
    keys: { "n_wa_pattern": u32(2) },
    tensors: ({ width, outputLength: rows }) =>
      twoMatrices(["mm.0", "mm.2"], { columns: 4 * width, rows }),
  },
  "exaone4_5": {
    ...{ twoFrames: true, positions: false, postNorm: true, activation: "silu" },
    ...{ rms: true, gated: true, fusedQkv: true, patchSize: 14, kvHeads: 2 },
    keys: {
      ...{ "attention.head_count_kv": u32(2), "n_wa_pattern": u32(2) },
      ...{ "image_min_pixels": u32(784), "image_max_pixels": u32(112 * 112 * 4) },
    },
    tensors: ({ width, outputLength: rows }) =>
      twoMatrices(["mm.0", "mm.2"], { columns: 4 * width, rows }),
  },
  "qwen3vl_merger": {
    ...{ twoFrames: true, patchBias: true, postNorm: true, fusedQkv: true },
    tensors: ({ width, outputLength: rows }) => [
      ...twoMatrices(["mm.0", "mm.2"], { columns: 4 * width, rows }),
      { name: "v.deepstack.0.norm.weight", dims: [4 * width], role: "norm" },
      { name: "v.deepstack.0.norm.bias", dims: [4 * width] },
      ...twoMatrices(["v.deepstack.0.fc1", "v.deepstack.0.fc2"], { columns: 4 * width, rows }),
    ],
  },
  "lfm2": {
    ...{ ...SIGLIP, keys: SIDE_2 },
    tensors: ({ width, outputLength: rows }) => [
      { name: "mm.input_norm.weight", dims: [4 * width], role: "norm" },
      { name: "mm.input_norm.bias", dims: [4 * width] },
      ...twoMatrices(["mm.1", "mm.2"], { columns: 4 * width, rows }),
    ],
  },
  "kimivl": {
    ...{ ...SIGLIP, keys: SIDE_2 },
    tensors: kimiProjector,
  },
  "kimik25": {
    ...{ ...SIGLIP, positionsByRows: true, keys: { ...SIDE_2, ...PIXELS } },
    tensors: kimiProjector,
  },
  "glm4v": {
    ...{ rms: true, biases: false, gated: true, fusedQkv: true, activation: "silu" },
    ...{ twoFrames: true, patchBias: true, patchNorm: true, postNorm: true, blockCount: 1 },
    tensors: ({ width, outputLength: rows }) => [
      { name: "mm.patch_merger.weight", dims: [2, 2, width, 128] },
      { name: "mm.patch_merger.bias", dims: [128] },
      { name: "mm.model.fc.weight", dims: [128, 96] },
      { name: "mm.post_norm.weight", dims: [96], role: "norm" },
      { name: "mm.post_norm.bias", dims: [96] },
      { name: "mm.up.weight", dims: [96, NEURONS] },
      { name: "mm.gate.weight", dims: [96, NEURONS] },
      { name: "mm.down.weight", dims: [NEURONS, rows] },
    ],
  },
  "hunyuanvl": {
    ...{ patchBias: true, postNorm: false, keys: PIXELS },
    tensors: hunyuanProjector,
  },
  "llama4": {
    ...{ flatPatches: true, classToken: true, preNorm: true, postNorm: true, keys: SIDE_2 },
    tensors: ({ width, outputLength: rows }) => [
      { name: "mm.model.mlp.1.weight", dims: [4 * width, 112] },
      { name: "mm.model.mlp.2.weight", dims: [112, NEURONS] },
      { name: "mm.model.fc.weight", dims: [NEURONS, rows] },
    ],
  },
  "dots_ocr": {
    ...{ rms: true, biases: false, gated: true, fusedQkv: true, activation: "silu" },
    ...{ positions: false, patchBias: true, preNorm: true, keys: { ...SIDE_2, ...PIXELS } },
    tensors: ({ width, outputLength: rows }) => [
      { name: "mm.post_norm.weight", dims: [width], role: "norm" },
      { name: "mm.input_norm.weight", dims: [width], role: "norm" },
      { name: "mm.input_norm.bias", dims: [width] },
      ...twoMatrices(["mm.0", "mm.2"], { columns: 4 * width, rows }),
    ],
  },
  "paddleocr": {
    ...{ ...SIGLIP, keys: PIXELS },
    tensors: kimiProjector,
  },
  "youtuvl": {
    ...{ flatPatches: true, patchBias: true, positions: false, postNorm: true },
    keys: { "window_size": u32(16), "wa_layer_indexes": list(Int32Array.of(1)) },
    tensors: ({ width, outputLength: rows }) => [
      { name: "mm.input_norm.weight", dims: [width], role: "norm" },
      ...twoMatrices(["mm.0", "mm.2"], { columns: 4 * width, rows }),
    ],
  },
  "phi4": {
    ...{ ...SIGLIP, keys: PIXELS },
    tensors: ({ width: columns, outputLength: rows }) =>
      twoMatrices(["mm.0", "mm.2"], { columns, rows }),
  },
  "resampler": {
    ...{ ...SIGLIP, width: 64, heads: 4, neurons: 96, positionSide: 70 },
    fileKeys: { "minicpmv_version": VERSION_3, "minicpmv_query_num": u32(5) },
    tensors: resampler,
  },
  ...NEWER_TINY_KINDS,
  "janus_pro": {
    ...SIGLIP,
    tensors: ({ width: columns, outputLength: rows }) =>
      twoMatrices(["mm.0", "mm.1"], { columns, rows }),
  },
} as const satisfies Readonly<Record<string, TinyVisionKind>>;

/** Two convolutions, a matrix, and what stands around an image. */
function hunyuanProjector({ width, outputLength: rows }: TinyLengths): readonly TinyTensor[] {
  return [
    { name: "mm.pre_norm.weight", dims: [width], role: "norm" },
    { name: "mm.0.weight", dims: [2, 2, width, 112] },
    { name: "mm.0.bias", dims: [112] },
    { name: "mm.2.weight", dims: [1, 1, 112, NEURONS] },
    { name: "mm.2.bias", dims: [NEURONS] },
    { name: "mm.model.fc.weight", dims: [NEURONS, rows] },
    { name: "mm.model.fc.bias", dims: [rows] },
    { name: "v.image_newline", dims: [NEURONS] },
    { name: "v.view_seperator", dims: [NEURONS] },
    { name: "mm.image_begin", dims: [rows] },
    { name: "mm.image_end", dims: [rows] },
    { name: "mm.post_norm.weight", dims: [rows], role: "norm" },
  ];
}

/** Five queries by two heads of 128. */
function resampler({ width, outputLength: rows }: TinyLengths): readonly TinyTensor[] {
  const own = 256;
  const normOf = (name: string): TinyTensor[] => [
    { name: `resampler.ln_${name}.weight`, dims: [own], role: "norm" },
    { name: `resampler.ln_${name}.bias`, dims: [own] },
  ];
  return [
    { name: "resampler.query", dims: [own, 5], role: "table" },
    { name: "resampler.pos_embed_k", dims: [own, 4], role: "table" },
    { name: "resampler.kv.weight", dims: [width, own] },
    ...["q", "k", "v", "out"].flatMap((name) => [
      { name: `resampler.attn.${name}.weight`, dims: [own, own] },
      { name: `resampler.attn.${name}.bias`, dims: [own] },
    ]),
    ...["q", "kv", "post"].flatMap(normOf),
    { name: "resampler.proj.weight", dims: [own, rows] },
  ];
}

/** A norm, and a matrix that lies column by column. */
function gemmaProjector({ width, outputLength }: TinyLengths): readonly TinyTensor[] {
  return [
    { name: "mm.soft_emb_norm.weight", dims: [width], role: "norm" },
    { name: "mm.input_projection.weight", dims: [outputLength, width] },
  ];
}

/** A norm of rows, and two matrices of merged ones. */
function kimiProjector({ width, outputLength: rows }: TinyLengths): readonly TinyTensor[] {
  return [
    { name: "mm.input_norm.weight", dims: [width], role: "norm" },
    { name: "mm.input_norm.bias", dims: [width] },
    ...twoMatrices(["mm.1", "mm.2"], { columns: 4 * width, rows }),
  ];
}

/** A norm of merged rows, and two matrices. */
function internProjector({ width, outputLength: rows }: TinyLengths): readonly TinyTensor[] {
  return [
    { name: "mm.model.mlp.0.weight", dims: [4 * width], role: "norm" },
    { name: "mm.model.mlp.0.bias", dims: [4 * width] },
    ...twoMatrices(["mm.model.mlp.1", "mm.model.mlp.3"], { columns: 4 * width, rows }),
  ];
}

/** A key of `TINY_KINDS`. */
export type TinyVisionName = keyof typeof TINY_KINDS;
