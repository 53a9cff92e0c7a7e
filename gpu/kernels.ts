/**
 * All shaders: their text, and what they bind in the order of their bindings ("u" uniform, "r"
 * storage that is read, "w" storage that may be written). Activations are always "w": they may lie
 * in one buffer, which WebGPU lets a dispatch use in one way only.
 */
import activate from "./kernels/activate.wgsl" with { type: "text" };
import addRows from "./kernels/add_rows.wgsl" with { type: "text" };
import attention from "./kernels/attention.wgsl" with { type: "text" };
import attentionCombine from "./kernels/attention_combine.wgsl" with { type: "text" };
import attentionFew from "./kernels/attention_few.wgsl" with { type: "text" };
import embedByte from "./kernels/embed_byte.wgsl" with { type: "text" };
import embedFloat from "./kernels/embed_float.wgsl" with { type: "text" };
import embedNibble from "./kernels/embed_nibble.wgsl" with { type: "text" };
import headNorm from "./kernels/head_norm.wgsl" with { type: "text" };
import matmulByte from "./kernels/matmul_byte.wgsl" with { type: "text" };
import matmulFloat from "./kernels/matmul_float.wgsl" with { type: "text" };
import matmulFloatWide from "./kernels/matmul_float_wide.wgsl" with { type: "text" };
import matmulInt8 from "./kernels/matmul_int8.wgsl" with { type: "text" };
import matmulNibble from "./kernels/matmul_nibble.wgsl" with { type: "text" };
import matmulNibbleF16 from "./kernels/matmul_nibble_f16.wgsl" with { type: "text" };
import matvecByte from "./kernels/matvec_byte.wgsl" with { type: "text" };
import matvecByteSubgroups from "./kernels/matvec_byte_subgroups.wgsl" with { type: "text" };
import matvecFloat from "./kernels/matvec_float.wgsl" with { type: "text" };
import matvecFloatRows from "./kernels/matvec_float_rows.wgsl" with { type: "text" };
import matvecInt8 from "./kernels/matvec_int8.wgsl" with { type: "text" };
import matvecInt8Subgroups from "./kernels/matvec_int8_subgroups.wgsl" with { type: "text" };
import matvecNibble from "./kernels/matvec_nibble.wgsl" with { type: "text" };
import matvecNibbleSubgroups from "./kernels/matvec_nibble_subgroups.wgsl" with { type: "text" };
import norm from "./kernels/norm.wgsl" with { type: "text" };
import partAttentionRows from "./kernels/parts/attention_rows.wgsl" with { type: "text" };
import partByte from "./kernels/parts/byte.wgsl" with { type: "text" };
import partEmbed from "./kernels/parts/embed.wgsl" with { type: "text" };
import partFactors from "./kernels/parts/factors.wgsl" with { type: "text" };
import partFloat from "./kernels/parts/float.wgsl" with { type: "text" };
import partInt8 from "./kernels/parts/int8.wgsl" with { type: "text" };
import partInt8Write from "./kernels/parts/int8_write.wgsl" with { type: "text" };
import partMatvec from "./kernels/parts/matvec.wgsl" with { type: "text" };
import partMatvecInt8 from "./kernels/parts/matvec_int8.wgsl" with { type: "text" };
import partMatvecSubgroups from "./kernels/parts/matvec_subgroups.wgsl" with { type: "text" };
import partNibble from "./kernels/parts/nibble.wgsl" with { type: "text" };
import partProduct from "./kernels/parts/product.wgsl" with { type: "text" };
import partPutRow from "./kernels/parts/put_row.wgsl" with { type: "text" };
import partRowSums from "./kernels/parts/row_sums.wgsl" with { type: "text" };
import partRowTree from "./kernels/parts/row_tree.wgsl" with { type: "text" };
import partTile from "./kernels/parts/tile.wgsl" with { type: "text" };
import partTileF32 from "./kernels/parts/tile_f32.wgsl" with { type: "text" };
import quantize from "./kernels/quantize.wgsl" with { type: "text" };
import rotateAndRemember from "./kernels/rotate_and_remember.wgsl" with { type: "text" };
import scaleRows from "./kernels/scale_rows.wgsl" with { type: "text" };
import weighRows from "./kernels/weigh_rows.wgsl" with { type: "text" };

/** What not every adapter or host has: `int8` is WGSL's `packed_4x8_integer_dot_product`. */
export type Feature = "f16" | "subgroups" | "int8";

/** A shader. */
export interface Kernel {
  readonly text: string;
  /** One letter a binding: "u", "r" or "w". */
  readonly bindings: string;
  /** What the adapter must have beyond WebGPU's core. */
  readonly needs?: readonly Feature[];
}

/** A shader and what it shares with others: declarations may stand in any order. */
function withParts(text: string, ...parts: readonly string[]): string {
  return [text, ...parts].join("\n");
}

/** What products of few tokens by integers are made of. */
const INT8_FEW = [partMatvecInt8, partRowSums, partProduct, partFactors, partInt8];

/** All shaders by the names of their files. */
export const KERNELS = {
  activate: { text: withParts(activate, partInt8Write), bindings: "www" },
  add_rows: { text: addRows, bindings: "ww" },
  attention: { text: withParts(attention, partAttentionRows), bindings: "urrww" },
  attention_combine: { text: withParts(attentionCombine, partInt8Write), bindings: "uwww" },
  attention_few: { text: withParts(attentionFew, partAttentionRows), bindings: "urrww" },
  embed_byte: { text: withParts(embedByte, partEmbed, partFactors, partByte), bindings: "urrrw" },
  embed_float: { text: withParts(embedFloat, partEmbed, partFloat), bindings: "urrw" },
  embed_nibble: {
    text: withParts(embedNibble, partEmbed, partFactors, partNibble),
    bindings: "urrrw",
  },
  head_norm: { text: headNorm, bindings: "rw" },
  matmul_byte: {
    text: withParts(matmulByte, partProduct, partFactors, partByte, partTile, partTileF32),
    bindings: "urrrww",
  },
  matmul_float: {
    text: withParts(matmulFloat, partProduct, partFloat, partTile, partTileF32),
    bindings: "urrww",
  },
  matmul_float_wide: {
    text: withParts(matmulFloatWide, partPutRow, partProduct, partFloat),
    bindings: "urrww",
  },
  matmul_int8: {
    text: withParts(matmulInt8, partPutRow, partProduct, partFactors, partInt8),
    bindings: "urrrrw",
    needs: ["int8"],
  },
  matmul_nibble: {
    text: withParts(matmulNibble, partProduct, partFactors, partNibble, partTile, partTileF32),
    bindings: "urrrww",
  },
  matmul_nibble_f16: {
    text: withParts(matmulNibbleF16, partProduct, partFactors, partNibble, partTile),
    bindings: "urrrww",
    needs: ["f16"],
  },
  matvec_byte: {
    text: withParts(matvecByte, partProduct, partFactors, partByte, partMatvec),
    bindings: "urrrww",
  },
  matvec_byte_subgroups: {
    text: withParts(matvecByteSubgroups, partProduct, partFactors, partByte, partMatvecSubgroups),
    bindings: "urrrww",
    needs: ["subgroups"],
  },
  matvec_float: {
    text: withParts(matvecFloat, partProduct, partFloat, partMatvec),
    bindings: "urrww",
  },
  matvec_float_rows: {
    text: withParts(matvecFloatRows, partRowSums, partRowTree, partProduct, partFloat),
    bindings: "urrww",
  },
  matvec_int8: {
    text: withParts(matvecInt8, partRowTree, ...INT8_FEW),
    bindings: "urrrrw",
    needs: ["int8"],
  },
  matvec_int8_subgroups: {
    text: withParts(matvecInt8Subgroups, ...INT8_FEW),
    bindings: "urrrrw",
    needs: ["int8", "subgroups"],
  },
  matvec_nibble: {
    text: withParts(matvecNibble, partProduct, partFactors, partNibble, partMatvec),
    bindings: "urrrww",
  },
  matvec_nibble_subgroups: {
    text: withParts(
      matvecNibbleSubgroups,
      partProduct,
      partFactors,
      partNibble,
      partMatvecSubgroups,
    ),
    bindings: "urrrww",
    needs: ["subgroups"],
  },
  norm: { text: withParts(norm, partInt8Write), bindings: "urrwww" },
  quantize: { text: withParts(quantize, partInt8Write), bindings: "ww" },
  rotate_and_remember: { text: rotateAndRemember, bindings: "urwww" },
  scale_rows: { text: scaleRows, bindings: "w" },
  weigh_rows: { text: weighRows, bindings: "ww" },
} as const satisfies Record<string, Kernel>;

export type KernelName = keyof typeof KERNELS;

/** The list as the type says it, for those who loop. */
export const KERNEL_LIST: Readonly<Record<KernelName, Kernel>> = KERNELS;

/** What a shader needs beyond WebGPU's core. */
export function needsOf(name: KernelName): readonly Feature[] {
  return KERNEL_LIST[name].needs ?? [];
}
