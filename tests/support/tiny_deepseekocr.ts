/**
 * Small projector files of DeepSeek-OCR, with random weights made from a seed: SAM's tower of three
 * layers, of which the last one sees all of an image, and CLIP's of two, or, of DeepSeek-OCR 2,
 * Qwen 2's of two.
 */
import { bool, encodeGguf, f32, list, type MetadataEntry, text, u32 } from "../../src/gguf/mod.ts";
import { encodeWeights } from "../../src/quantize/mod.ts";
import { Rng } from "./rng.ts";
import type { TinyTensor } from "./tiny_vision_parts.ts";

export interface TinyDeepseekOcrOptions {
  /** Default 1. */
  readonly version?: 1 | 2;
  readonly seed?: number;
  /** Of matrices; default F32. */
  readonly type?: "F32" | "F16" | "Q8_0";
  readonly patchSize?: number;
  /** Patches on a side of a whole image, and of a window. */
  readonly side?: number;
  readonly windowSide?: number;
  /** On a side of CLIP's positions. */
  readonly clipSide?: number;
  readonly samWidth?: number;
  readonly clipWidth?: number;
  readonly samLayers?: number;
  readonly outputLength?: number;
  /** Entries that replace or add to the file's metadata. */
  readonly metadata?: readonly MetadataEntry[];
}

/** Channels between SAM's convolutions. */
const NECK = [24, 24, 40] as const;
const [SAM_LAYERS, CLIP_LAYERS, NEURONS] = [3, 2, 96];
/** The whole image's layer has a table of another length, so that it is read in between. */
const TABLE_LENGTH = 13;

/** The bytes of a GGUF file. Same options, same bytes. */
export function tinyDeepseekOcr(options: TinyDeepseekOcrOptions = {}): Uint8Array<ArrayBuffer> {
  const { seed = 1, type = "F32", samWidth = 32, clipWidth = 64, windowSide = 3 } = options;
  const { version = 1 } = options;
  const rng = new Rng(seed);
  const tensors = planTensors(options).map(({ name, dims, role }) => {
    const length = dims.reduce((product, dimension) => product * dimension);
    const isMatrix = role === undefined && dims.length === 2;
    const own = !isMatrix ? "F32" : type === "Q8_0" && dims[0] % 32 !== 0 ? "F16" : type;
    const fan = dims.length === 4 ? dims[0] * dims[1] * dims[2] : dims[0];
    const [mean, deviation] = role === "norm"
      ? [1, 0.2]
      : role === "table"
      ? [0, 0.5]
      : dims.length === 1
      ? [0, 0.3]
      : [0, 1.5 / Math.sqrt(fan)];
    const bytes = encodeWeights(own, rng.normals(length, (normal) => mean + deviation * normal));
    return { name, dims, type: own, pieces: () => [bytes] };
  });
  const metadata = new Map<string, MetadataEntry[1]>([
    ["general.architecture", text("clip")],
    ["clip.has_vision_encoder", bool(true)],
    ["clip.projector_type", text(version === 1 ? "deepseekocr" : "deepseekocr2")],
    ["clip.use_gelu", bool(true)],
    // What is CLIP's own, and nobody reads.
    ["clip.vision.image_size", u32(224)],
    ["clip.vision.patch_size", u32(14)],
    ["clip.vision.embedding_length", u32(clipWidth)],
    ["clip.vision.feed_forward_length", u32(NEURONS)],
    ["clip.vision.block_count", u32(CLIP_LAYERS)],
    ["clip.vision.projection_dim", u32(options.outputLength ?? 64)],
    ["clip.vision.attention.head_count", u32(4)],
    ...version === 2 ? [["clip.vision.attention.head_count_kv", u32(2)] as const] : [],
    ["clip.vision.attention.layer_norm_epsilon", f32(1e-6)],
    ["clip.vision.image_mean", list(Float32Array.of(0.5, 0.5, 0.5))],
    ["clip.vision.image_std", list(Float32Array.of(0.5, 0.5, 0.5))],
    ["clip.vision.sam.embedding_length", u32(samWidth)],
    ["clip.vision.sam.block_count", u32(options.samLayers ?? SAM_LAYERS)],
    ["clip.vision.sam.head_count", u32(2)],
    ["clip.vision.window_size", u32(windowSide)],
    ...options.metadata ?? [],
  ]);
  return encodeGguf({ metadata: [...metadata], tensors });
}

function planTensors(options: TinyDeepseekOcrOptions): TinyTensor[] {
  const { patchSize = 2, side = 16, windowSide = 3 } = options;
  const { samWidth: d = 32, clipWidth = 64, outputLength = 64 } = options;
  const { samLayers = SAM_LAYERS } = options;
  const channels = [d, ...NECK, clipWidth];
  const convolution = (name: string, index: number, kernel: number): TinyTensor => (
    { name: `v.sam.${name}.weight`, dims: [kernel, kernel, channels[index], channels[index + 1]] }
  );
  const headDim = d / 2;
  return [
    { name: "v.sam.patch_embd.weight", dims: [patchSize, patchSize, 3, d] },
    { name: "v.sam.patch_embd.bias", dims: [d] },
    { name: "v.sam.pos_embd.weight", dims: [d, side, side], role: "table" },
    ...Array.from({ length: samLayers }, (_, layer): TinyTensor[] => {
      const at = `v.sam.blk.${layer}.`;
      const count = layer === samLayers - 1 ? TABLE_LENGTH : 2 * windowSide - 1;
      return [
        ...norm(`${at}pre_ln`, d),
        ...norm(`${at}post_ln`, d),
        ...matrix(`${at}attn.qkv`, d, 3 * d),
        ...matrix(`${at}attn.out`, d, d),
        { name: `${at}attn.pos_h.weight`, dims: [headDim, count], role: "table" },
        { name: `${at}attn.pos_w.weight`, dims: [headDim, count], role: "table" },
        ...matrix(`${at}mlp.lin1`, d, NEURONS),
        ...matrix(`${at}mlp.lin2`, NEURONS, d),
      ];
    }).flat(),
    convolution("neck.0", 0, 1),
    ...norm("v.sam.neck.1", NECK[0]),
    convolution("neck.2", 1, 3),
    ...norm("v.sam.neck.3", NECK[1]),
    convolution("net_2", 2, 3),
    convolution("net_3", 3, 3),
    ...options.version === 2 ? qwenTensors(options) : clipTensors(options),
    { name: "v.view_seperator", dims: [outputLength] },
  ];
}

function clipTensors(
  { clipSide = 4, clipWidth = 64, outputLength = 64 }: TinyDeepseekOcrOptions,
): TinyTensor[] {
  return [
    { name: "v.class_embd", dims: [clipWidth] },
    { name: "v.position_embd.weight", dims: [clipWidth, clipSide ** 2 + 1], role: "table" },
    ...norm("v.pre_ln", clipWidth),
    ...Array.from({ length: CLIP_LAYERS }, (_, layer): TinyTensor[] => {
      const at = `v.blk.${layer}.`;
      return [
        ...norm(`${at}ln1`, clipWidth),
        ...norm(`${at}ln2`, clipWidth),
        ...matrix(`${at}attn_qkv`, clipWidth, 3 * clipWidth),
        ...matrix(`${at}attn_out`, clipWidth, clipWidth),
        ...matrix(`${at}ffn_up`, clipWidth, NEURONS),
        ...matrix(`${at}ffn_down`, NEURONS, clipWidth),
      ];
    }).flat(),
    ...matrix("mm.model.fc", 2 * clipWidth, outputLength),
    { name: "v.image_newline", dims: [outputLength] },
  ];
}

/** Queries of a whole image and of a tile, and layers of half as many heads of keys. */
function qwenTensors(
  { side = 16, clipWidth: width = 64, outputLength = 64 }: TinyDeepseekOcrOptions,
): TinyTensor[] {
  const [whole, tile] = [side / 4, Math.max(1, Math.floor(3 / 16 * side))];
  return [
    { name: "v.resample_query_1024.weight", dims: [width, whole ** 2], role: "table" },
    { name: "v.resample_query_768.weight", dims: [width, tile ** 2], role: "table" },
    ...Array.from({ length: CLIP_LAYERS }, (_, layer): TinyTensor[] => {
      const at = `v.blk.${layer}.`;
      const plain = (name: string, columns: number, rows: number): TinyTensor => (
        { name: `${at}${name}.weight`, dims: [columns, rows] }
      );
      return [
        { name: `${at}ln1.weight`, dims: [width], role: "norm" },
        { name: `${at}ln2.weight`, dims: [width], role: "norm" },
        ...matrix(`${at}attn_q`, width, width),
        ...matrix(`${at}attn_k`, width, width / 2),
        ...matrix(`${at}attn_v`, width, width / 2),
        plain("attn_out", width, width),
        plain("ffn_gate", width, NEURONS),
        plain("ffn_up", width, NEURONS),
        plain("ffn_down", NEURONS, width),
      ];
    }).flat(),
    { name: "v.post_ln.weight", dims: [width], role: "norm" },
    ...matrix("mm.model.fc", width, outputLength),
  ];
}

function norm(name: string, length: number): TinyTensor[] {
  return [
    { name: `${name}.weight`, dims: [length], role: "norm" },
    { name: `${name}.bias`, dims: [length] },
  ];
}

function matrix(name: string, columns: number, rows: number): TinyTensor[] {
  return [{ name: `${name}.weight`, dims: [columns, rows] }, {
    name: `${name}.bias`,
    dims: [rows],
  }];
}
