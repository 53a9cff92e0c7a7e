/** Tiny projector files of kinds whose towers or projectors do what few others do, as data. */
import { list } from "../../src/gguf/mod.ts";
import {
  SIDE_2,
  SIGLIP,
  type TinyLengths,
  type TinyTensor,
  type TinyVisionKind,
  twoMatrices,
} from "./tiny_vision_parts.ts";

/** Kinds, and after a dash forms of them. */
export const NEWER_TINY_KINDS = {
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
} as const satisfies Readonly<Record<string, TinyVisionKind>>;

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
