/** Tiny projector files of kinds whose towers or projectors do what few others do, as data. */
import { list, u32 } from "../../src/gguf/mod.ts";
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

/** Kinds, and after a dash forms of them. */
export const NEWER_TINY_KINDS = {
  "step3vl": {
    ...{ patchBias: true, side: 8, fusedQkv: true, gains: true, preNorm: true },
    activation: "quickGelu",
    keys: { "projector.scale_factor": u32(4) },
    tensors: ({ width, outputLength }) => [
      { name: "mm.0.weight", dims: [3, 3, width, 40] },
      { name: "mm.0.bias", dims: [40] },
      { name: "mm.1.weight", dims: [3, 3, 40, 72] },
      { name: "mm.1.bias", dims: [72] },
      { name: "mm.model.fc.weight", dims: [72, outputLength] },
    ],
  },
  /** Layers along lines, along columns twice, and of all; heads longer than their share. */
  "mimovl": {
    ...{ twoFrames: true, positions: false, activation: "silu", rms: true, gated: true },
    ...{ fusedQkv: true, heads: 4, kvHeads: 2, ownHeadDim: 32, blockCount: 4, sinks: [0, 1, 2] },
    keys: {
      ...{ ...PIXELS, "attention.head_count_kv": u32(2), "window_size": u32(5) },
      "wa_pattern_mode": list(Int32Array.of(0, 1, 1, -1)),
    },
    tensors: ({ width, outputLength }) => [
      { name: "v.post_ln.weight", dims: [width], role: "norm" },
      { name: "v.post_ln.bias", dims: [width] },
      { name: "mm.0.weight", dims: [4 * width, NEURONS] },
      { name: "mm.2.weight", dims: [NEURONS, outputLength] },
    ],
  },
  "ldpv2": {
    ...{ activation: "quickGelu", preNorm: true },
    tensors: ({ width, outputLength }) => [
      { name: "mm.model.mlp.0.weight", dims: [width, NEURONS] },
      { name: "mm.model.mlp.0.bias", dims: [NEURONS] },
      { name: "mm.model.mlp.2.weight", dims: [NEURONS, outputLength] },
      { name: "mm.model.mlp.2.bias", dims: [outputLength] },
      { name: "mm.model.peg.0.weight", dims: [3, 3, 1, outputLength] },
      { name: "mm.model.peg.0.bias", dims: [outputLength] },
    ],
  },
  "minicpmv4_6": {
    ...{ ...SIGLIP, width: 64, heads: 4, neurons: 96, positionSide: 70, side: 8 },
    keys: { "wa_layer_indexes": list(Int32Array.of(0)) },
    tensors: (of) => [...foldingLayer(of), ...miniProjector(of)],
  },
  /** Four patches a row, and all of them in all layers. */
  "minicpmv4_6-four": {
    ...{ ...SIGLIP, width: 64, heads: 4, neurons: 96, positionSide: 70 },
    ...{ projector: "minicpmv4_6", keys: SIDE_2 },
    tensors: miniProjector,
  },
  "minimax_m3": {
    ...{ twoFrames: true, positions: false, preNorm: true, keys: PIXELS },
    tensors: ({ width, outputLength: rows }) => [
      // Longer than a tower's rows have room for.
      ...twoMatrices(["mm.1", "mm.2"], { columns: width, rows: 272 }),
      ...twoMatrices(["mm.merger.fc1", "mm.merger.fc2"], { columns: 4 * 272, rows }),
    ],
  },
  "adapter": {
    ...{ ...SIGLIP, activation: "silu" },
    tensors: ({ width, outputLength: rows }) => [
      { name: "adapter.conv.weight", dims: [2, 2, width, 112] },
      { name: "adapter.conv.bias", dims: [112] },
      { name: "adapter.linear.linear.weight", dims: [112, NEURONS] },
      { name: "adapter.linear.norm1.weight", dims: [NEURONS], role: "norm" },
      { name: "adapter.linear.norm1.bias", dims: [NEURONS] },
      { name: "adapter.linear.dense_h_to_4h.weight", dims: [NEURONS, 144] },
      { name: "adapter.linear.gate.weight", dims: [NEURONS, 144] },
      { name: "adapter.linear.dense_4h_to_h.weight", dims: [144, rows] },
      { name: "adapter.boi", dims: [rows] },
      { name: "adapter.eoi", dims: [rows] },
    ],
  },
  /** Windows of 4 · 4 rows, asked by 2 · 2 queries: two means and two rows of each block. */
  "granite4_vision": {
    ...{ ...SIGLIP, width: 128, heads: 4, neurons: 96, side: 8 },
    keys: {
      "feature_layer": list(Int32Array.of(1, 0, 1, 1)),
      "projector.spatial_offsets": list(Int32Array.of(-1, -1, 1, 2)),
      "projection_dim": u32(16),
      "projector.query_side": u32(2),
      "projector.window_side": u32(4),
      "image_grid_pinpoints": list(Int32Array.of(32, 64, 64, 32, 64, 64, 96, 32)),
    },
    tensors: ({ width, outputLength }) => [
      ...[0, 1, 2, 3].flatMap((part) => queriesOf(part, width, outputLength / 4)),
      { name: "v.image_newline", dims: [outputLength / 4] },
    ],
  },
  /** Windows of 4 · 4 patches in the first layer of two. */
  "muse-glimmer": {
    ...{ patchBias: true, preNorm: true, postNorm: true, positionSide: 4, keys: PIXELS },
    tensors: ({ width, outputLength: rows }) => [
      { name: "mm.0.weight", dims: [4 * width, NEURONS] },
      { name: "mm.1.weight", dims: [NEURONS, 112] },
      { name: "mm.2.weight", dims: [112, rows] },
    ],
  },
} as const satisfies Readonly<Record<string, TinyVisionKind>>;

/** What asks a layer: a norm, positions and queries, one block, one matrix. */
function queriesOf(part: number, width: number, rows: number): TinyTensor[] {
  const at = `v.proj_blk.${part}.`;
  const norm = (name: string): TinyTensor[] => [
    { name: `${at}${name}.weight`, dims: [width], role: "norm" },
    { name: `${at}${name}.bias`, dims: [width] },
  ];
  const matrix = (name: string, columns: number, rows: number): TinyTensor[] => [
    { name: `${at}${name}.weight`, dims: [columns, rows] },
    { name: `${at}${name}.bias`, dims: [rows] },
  ];
  const asking = ["self_attn_", "cross_attn_"].flatMap((of) => [
    ...["q", "k", "v", "out"].flatMap((name) => matrix(of + name, width, width)),
    ...norm(`${of}norm`),
  ]);
  return [
    { name: `${at}img_pos`, dims: [width, 16], role: "table" },
    { name: `${at}query`, dims: [width, 4], role: "table" },
    ...[...norm("norm"), ...norm("post_norm"), ...asking, ...norm("ffn_norm")],
    ...twoMatrices([`${at}ffn_up`, `${at}ffn_down`], { columns: width, rows: width }),
    ...matrix("linear", width, rows),
  ];
}

/** A layer without neurons, and what makes one row of four. */
function foldingLayer({ width }: TinyLengths): readonly TinyTensor[] {
  const at = "v.vit_merger.";
  const norms = [["ln1", width], ["ds_ln", 4 * width]] as const;
  return [
    ...norms.flatMap(([name, length]): TinyTensor[] => [
      { name: `${at}${name}.weight`, dims: [length], role: "norm" },
      { name: `${at}${name}.bias`, dims: [length] },
    ]),
    ...["q", "k", "v", "out"].flatMap((name) => [
      { name: `${at}attn_${name}.weight`, dims: [width, width] },
      { name: `${at}attn_${name}.bias`, dims: [width] },
    ]),
    ...twoMatrices([`${at}ds_ffn_up`, `${at}ds_ffn_down`], { columns: 4 * width, rows: width }),
  ];
}

/** A norm of merged rows, and two matrices. */
function miniProjector({ width, outputLength: rows }: TinyLengths): readonly TinyTensor[] {
  return [
    { name: "mm.input_norm.weight", dims: [4 * width], role: "norm" },
    { name: "mm.input_norm.bias", dims: [4 * width] },
    ...twoMatrices(["mm.up", "mm.down"], { columns: 4 * width, rows }),
  ];
}
