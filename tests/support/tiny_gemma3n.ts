/**
 * Small projector files of Gemma 3n, with random weights made from a seed: a network of four stages
 * that has every kind of block there is.
 */
import { bool, encodeGguf, f32, list, type MetadataEntry, text, u32 } from "../../src/gguf/mod.ts";
import { encodeWeights } from "../../src/quantize/mod.ts";
import { Rng } from "./rng.ts";

export interface TinyGemma3nOptions {
  readonly seed?: number;
  /** Of matrices and kernels; default F32. */
  readonly type?: "F32" | "F16";
  /** Pixels on a side of an image; default 256. */
  readonly imageSize?: number;
  /** Of a row of the network, and of one that comes out; default 64. */
  readonly width?: number;
  readonly outputLength?: number;
  /** Gains of blocks are as files have them that call them a plane's: [1, 1, channels]. */
  readonly hasPlaneGains?: boolean;
  /** Entries that replace or add to the file's metadata. */
  readonly metadata?: readonly MetadataEntry[];
}

interface TinyTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly role: "norm" | "gains" | "bias" | "kernel" | "matrix";
}

/** Channels behind the first convolution, and behind each stage. */
const [STEM, CHANNELS] = [12, [16, 20, 24, 36]] as const;

/** The bytes of a GGUF file. Same options, same bytes. */
export function tinyGemma3n(options: TinyGemma3nOptions = {}): Uint8Array<ArrayBuffer> {
  const { seed = 1, type = "F32", imageSize = 256, width = 64, outputLength = 64 } = options;
  const rng = new Rng(seed);
  const gains = (name: string, count: number): TinyTensor => (
    { name, dims: options.hasPlaneGains ? [1, 1, count] : [count], role: "gains" }
  );
  const planned = planTensors({ width, outputLength, gains });
  const tensors = planned.map(({ name, dims, role }) => {
    const length = dims.reduce((product, dimension) => product * dimension);
    const isHalf = type === "F16" && (role === "kernel" || role === "matrix") &&
      !name.includes("stem");
    const own = isHalf ? "F16" : "F32";
    const fan = dims.slice(0, -1).reduce((product, dimension) => product * dimension, 1);
    const [mean, deviation] = role === "norm"
      ? [1, 0.2]
      : role === "gains"
      ? [0.7, 0.3]
      : role === "bias"
      ? [0, 0.3]
      : [0, 1.5 / Math.sqrt(fan)];
    const bytes = encodeWeights(own, rng.normals(length, (normal) => mean + deviation * normal));
    return { name, dims, type: own, pieces: () => [bytes] };
  });
  const metadata = new Map<string, MetadataEntry[1]>([
    ["general.architecture", text("clip")],
    ["clip.has_vision_encoder", bool(true)],
    ["clip.vision.projector_type", text("gemma3nv")],
    ["clip.use_gelu", bool(true)],
    ["clip.vision.image_size", u32(imageSize)],
    ["clip.vision.patch_size", u32(imageSize / 256)],
    ["clip.vision.embedding_length", u32(width)],
    ["clip.vision.feed_forward_length", u32(4 * width)],
    // What no network has, and nobody reads.
    ["clip.vision.block_count", u32(128)],
    ["clip.vision.projection_dim", u32(outputLength)],
    ["clip.vision.attention.head_count", u32(8)],
    ["clip.vision.attention.layer_norm_epsilon", f32(1e-6)],
    ["clip.vision.image_mean", list(Float32Array.of(0, 0, 0))],
    ["clip.vision.image_std", list(Float32Array.of(1, 1, 1))],
    ...options.metadata ?? [],
  ]);
  return encodeGguf({ metadata: [...metadata], tensors });
}

function planTensors(
  { width, outputLength, gains }: {
    readonly width: number;
    readonly outputLength: number;
    readonly gains: (name: string, count: number) => TinyTensor;
  },
): TinyTensor[] {
  const [first, second, third, fourth] = CHANNELS;
  const inverted = (at: string, of: Inverted) => planInverted(`v.blk.${at}.`, of, gains);
  const asking = (at: string, of: Asking) => planAsking(`v.blk.${at}.`, of, gains);
  return [
    kernel("v.conv_stem.conv.weight", [3, 3, 3, STEM]),
    { name: "v.conv_stem.conv.bias", dims: [1, 1, STEM], role: "bias" },
    norm("v.conv_stem.bn", STEM),
    ...planEdge("v.blk.0.0.", [STEM, 36, first]),
    ...planEdge("v.blk.0.1.", [first, 40, first]),
    ...inverted("1.0", { channels: [first, 52, second], start: 3, mid: 5 }),
    ...inverted("1.1", { channels: [second, 48, second], start: 5, mid: 3 }),
    ...inverted("1.2", { channels: [second, 40, second] }),
    ...inverted("2.0", { channels: [second, 60, third], start: 5, mid: 5 }),
    ...asking("2.1", { channels: third, heads: 3, headDim: 8, side: 3 }),
    ...inverted("2.2", { channels: [third, 36, third], start: 3 }),
    ...inverted("3.0", { channels: [third, 72, fourth], mid: 3 }),
    ...asking("3.1", { channels: fourth, heads: 2, headDim: 12, side: 0 }),
    ...inverted("3.2", { channels: [fourth, 50, fourth], start: 3 }),
    ...planInverted("v.msfa.ffn.", { channels: [third + fourth, 68, width] }, null),
    norm("v.msfa.norm", width),
    norm("mm.soft_emb_norm", width),
    { name: "mm.input_projection.weight", dims: [width, outputLength], role: "matrix" },
    // Rows of marks: those of the text's model count.
    { name: "mm.embedding.weight", dims: [width, 4], role: "matrix" },
    norm("mm.hard_emb_norm", width),
  ];
}

type Channels = readonly [before: number, between: number, behind: number];

interface Inverted {
  readonly channels: Channels;
  /** Sides of kernels; left out: there are none. */
  readonly start?: number;
  readonly mid?: number;
}

interface Asking {
  readonly channels: number;
  readonly heads: number;
  readonly headDim: number;
  /** Of what keys are made of; 0: of all places as they are. */
  readonly side: number;
}

function planEdge(at: string, [before, between, behind]: Channels): TinyTensor[] {
  return [
    kernel(`${at}conv_exp.weight`, [3, 3, before, between]),
    norm(`${at}bn1`, between),
    kernel(`${at}conv_pwl.weight`, [1, 1, between, behind]),
    norm(`${at}bn2`, behind),
  ];
}

function planInverted(
  at: string,
  { channels: [before, between, behind], start, mid }: Inverted,
  gains: ((name: string, count: number) => TinyTensor) | null,
): TinyTensor[] {
  const depthwise = (name: string, side: number | undefined, count: number) =>
    side === undefined ? [] : [
      kernel(`${at}${name}.conv.weight`, [side, side, 1, count]),
      norm(`${at}${name}.bn`, count),
    ];
  return [
    ...depthwise("dw_start", start, before),
    kernel(`${at}pw_exp.conv.weight`, [1, 1, before, between]),
    norm(`${at}pw_exp.bn`, between),
    ...depthwise("dw_mid", mid, between),
    kernel(`${at}pw_proj.conv.weight`, [1, 1, between, behind]),
    norm(`${at}pw_proj.bn`, behind),
    ...gains === null ? [] : [gains(`${at}layer_scale.gamma`, behind)],
  ];
}

function planAsking(
  at: string,
  { channels, heads, headDim, side }: Asking,
  gains: (name: string, count: number) => TinyTensor,
): TinyTensor[] {
  const own = (name: string): TinyTensor[] => [
    ...side === 0 ? [] : [
      kernel(`${at}attn.${name}.down_conv.weight`, [side, side, 1, channels]),
      norm(`${at}attn.${name}.norm`, channels),
    ],
    kernel(`${at}attn.${name}.proj.weight`, [1, 1, channels, headDim]),
  ];
  return [
    norm(`${at}norm`, channels),
    kernel(`${at}attn.query.proj.weight`, [1, 1, channels, heads * headDim]),
    ...own("key"),
    ...own("value"),
    kernel(`${at}attn.output.proj.weight`, [1, 1, heads * headDim, channels]),
    gains(`${at}layer_scale.gamma`, channels),
  ];
}

function kernel(name: string, dims: readonly number[]): TinyTensor {
  return { name, dims, role: "kernel" };
}

function norm(name: string, length: number): TinyTensor {
  return { name: `${name}.weight`, dims: [length], role: "norm" };
}
