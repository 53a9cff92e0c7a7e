/**
 * All shaders: their text, and what they bind in the order of their bindings ("u" uniform, "r"
 * storage that is read, "w" storage that may be written). Activations are always "w": they may lie
 * in one buffer, which WebGPU lets a dispatch use in one way only.
 */
import activate from "./kernels/activate.wgsl" with { type: "text" };
import addRows from "./kernels/add_rows.wgsl" with { type: "text" };
import advance from "./kernels/advance.wgsl" with { type: "text" };
import attention from "./kernels/attention.wgsl" with { type: "text" };
import attentionCombine from "./kernels/attention_combine.wgsl" with { type: "text" };
import attentionFew from "./kernels/attention_few.wgsl" with { type: "text" };
import attentionLast from "./kernels/attention_last.wgsl" with { type: "text" };
import attentionWide from "./kernels/attention_wide.wgsl" with { type: "text" };
import choose from "./kernels/choose.wgsl" with { type: "text" };
import chooseExperts from "./kernels/choose_experts.wgsl" with { type: "text" };
import chooseMaxima from "./kernels/choose_maxima.wgsl" with { type: "text" };
import combineRoutes from "./kernels/combine_routes.wgsl" with { type: "text" };
import correctStreams from "./kernels/correct_streams.wgsl" with { type: "text" };
import cutGates from "./kernels/cut_gates.wgsl" with { type: "text" };
import embedByte from "./kernels/embed_byte.wgsl" with { type: "text" };
import embedFloat from "./kernels/embed_float.wgsl" with { type: "text" };
import embedNibble from "./kernels/embed_nibble.wgsl" with { type: "text" };
import enter from "./kernels/enter.wgsl" with { type: "text" };
import gated from "./kernels/gated.wgsl" with { type: "text" };
import gateStates from "./kernels/gate_states.wgsl" with { type: "text" };
import guessStreams from "./kernels/guess_streams.wgsl" with { type: "text" };
import halfNorm from "./kernels/half_norm.wgsl" with { type: "text" };
import headNorm from "./kernels/head_norm.wgsl" with { type: "text" };
import heads from "./kernels/heads.wgsl" with { type: "text" };
import joined from "./kernels/joined.wgsl" with { type: "text" };
import joinedNorms from "./kernels/joined_norms.wgsl" with { type: "text" };
import matchLengths from "./kernels/match_lengths.wgsl" with { type: "text" };
import matmulByte from "./kernels/matmul_byte.wgsl" with { type: "text" };
import matmulFloat from "./kernels/matmul_float.wgsl" with { type: "text" };
import matmulNibble from "./kernels/matmul_nibble.wgsl" with { type: "text" };
import matmulNibbleF16 from "./kernels/matmul_nibble_f16.wgsl" with { type: "text" };
import matvecByte from "./kernels/matvec_byte.wgsl" with { type: "text" };
import matvecFloat from "./kernels/matvec_float.wgsl" with { type: "text" };
import matvecFloatRows from "./kernels/matvec_float_rows.wgsl" with { type: "text" };
import matvecInt8 from "./kernels/matvec_int8.wgsl" with { type: "text" };
import matvecNibble from "./kernels/matvec_nibble.wgsl" with { type: "text" };
import mergeRows from "./kernels/merge_rows.wgsl" with { type: "text" };
import norm from "./kernels/norm.wgsl" with { type: "text" };
import partActivation from "./kernels/parts/activation.wgsl" with { type: "text" };
import partAttentionChunk from "./kernels/parts/attention_chunk.wgsl" with { type: "text" };
import partAttentionRows from "./kernels/parts/attention_rows.wgsl" with { type: "text" };
import partAttentionShares from "./kernels/parts/attention_shares.wgsl" with { type: "text" };
import partBatched from "./kernels/parts/batched.wgsl" with { type: "text" };
import partByte from "./kernels/parts/byte.wgsl" with { type: "text" };
import partCacheFloats from "./kernels/parts/cache_floats.wgsl" with { type: "text" };
import partCurves from "./kernels/parts/curves.wgsl" with { type: "text" };
import partEmbed from "./kernels/parts/embed.wgsl" with { type: "text" };
import partEntry from "./kernels/parts/entry.wgsl" with { type: "text" };
import partEntrySubgroups from "./kernels/parts/entry_subgroups.wgsl" with { type: "text" };
import partFactors from "./kernels/parts/factors.wgsl" with { type: "text" };
import partFew from "./kernels/parts/few.wgsl" with { type: "text" };
import partFloat from "./kernels/parts/float.wgsl" with { type: "text" };
import partFloatRows from "./kernels/parts/float_rows.wgsl" with { type: "text" };
import partInt8 from "./kernels/parts/int8.wgsl" with { type: "text" };
import partInt8Piece from "./kernels/parts/int8_piece.wgsl" with { type: "text" };
import partInt8Rows from "./kernels/parts/int8_rows.wgsl" with { type: "text" };
import partInt8Write from "./kernels/parts/int8_write.wgsl" with { type: "text" };
import partInt8Stored from "./kernels/parts/int8_stored.wgsl" with { type: "text" };
import partLeaveHalf from "./kernels/parts/leave_half.wgsl" with { type: "text" };
import partLevels from "./kernels/parts/levels.wgsl" with { type: "text" };
import partLanes from "./kernels/parts/lanes.wgsl" with { type: "text" };
import partLogitKeys from "./kernels/parts/logit_keys.wgsl" with { type: "text" };
import partMatvec from "./kernels/parts/matvec.wgsl" with { type: "text" };
import partMatvecSubgroups from "./kernels/parts/matvec_subgroups.wgsl" with { type: "text" };
import partNibble from "./kernels/parts/nibble.wgsl" with { type: "text" };
import partOneFloat from "./kernels/parts/one_float.wgsl" with { type: "text" };
import partOneInt8 from "./kernels/parts/one_int8.wgsl" with { type: "text" };
import partOneRow from "./kernels/parts/one_row.wgsl" with { type: "text" };
import partPair from "./kernels/parts/pair.wgsl" with { type: "text" };
import partProduct from "./kernels/parts/product.wgsl" with { type: "text" };
import partPutRow from "./kernels/parts/put_row.wgsl" with { type: "text" };
import partRouted from "./kernels/parts/routed.wgsl" with { type: "text" };
import partRowSubgroups from "./kernels/parts/row_subgroups.wgsl" with { type: "text" };
import partRowSums from "./kernels/parts/row_sums.wgsl" with { type: "text" };
import partRowTree from "./kernels/parts/row_tree.wgsl" with { type: "text" };
import partSequences from "./kernels/parts/sequences.wgsl" with { type: "text" };
import partStateColumns from "./kernels/parts/state_columns.wgsl" with { type: "text" };
import partStep from "./kernels/parts/step.wgsl" with { type: "text" };
import partSumLanes from "./kernels/parts/sum_lanes.wgsl" with { type: "text" };
import partSum64 from "./kernels/parts/sum64.wgsl" with { type: "text" };
import partSumSubgroups from "./kernels/parts/sum_subgroups.wgsl" with { type: "text" };
import partSumTree from "./kernels/parts/sum_tree.wgsl" with { type: "text" };
import partTableByte from "./kernels/parts/table_byte.wgsl" with { type: "text" };
import partTableFloat from "./kernels/parts/table_float.wgsl" with { type: "text" };
import partTableNibble from "./kernels/parts/table_nibble.wgsl" with { type: "text" };
import partTile from "./kernels/parts/tile.wgsl" with { type: "text" };
import partTileF32 from "./kernels/parts/tile_f32.wgsl" with { type: "text" };
import partWhole from "./kernels/parts/whole.wgsl" with { type: "text" };
import quantize from "./kernels/quantize.wgsl" with { type: "text" };
import rememberLatent from "./kernels/remember_latent.wgsl" with { type: "text" };
import rotateAndRemember from "./kernels/rotate_and_remember.wgsl" with { type: "text" };
import scanDeltas from "./kernels/scan_deltas.wgsl" with { type: "text" };
import scanStates from "./kernels/scan_states.wgsl" with { type: "text" };
import scaleRows from "./kernels/scale_rows.wgsl" with { type: "text" };
import shortConvolution from "./kernels/short_convolution.wgsl" with { type: "text" };
import sortRoutes from "./kernels/sort_routes.wgsl" with { type: "text" };
import stateConvolution from "./kernels/state_convolution.wgsl" with { type: "text" };
import weighRows from "./kernels/weigh_rows.wgsl" with { type: "text" };
import matmulFloatWide from "./kernels/written_out/matmul_float_wide.wgsl" with { type: "text" };
import matmulInt8 from "./kernels/written_out/matmul_int8.wgsl" with { type: "text" };
import { writeOut } from "./write_out.ts";

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

/** What leaves rows in 8 bits. */
const INT8_WRITE = [partInt8Write, partLanes];
/** What sees whose tokens are where. */
const SEQUENCES = [partSequences, partStep];
/** What goes through a sequence's tokens with its states. */
const STATES = [partStateColumns, partCurves, ...SEQUENCES];
const EMBED = [partEmbed, partStep];
/** Tables whose rows are looked up. */
const TABLE_BYTE = [partTableByte, partFactors, partByte];
const TABLE_FLOAT = [partTableFloat, partFloat];
const TABLE_NIBBLE = [partTableNibble, partFactors, partNibble, partLevels];
const ATTENTION = [partAttentionRows, ...SEQUENCES];
const ATTENTION_FLOATS = [...ATTENTION, partCacheFloats];
/** What puts chunks of positions together. */
const CHUNKS = [partAttentionShares, partInt8Piece];
/** What products are made of: of codes of 4 bits, of 8, of floats. */
const NIBBLE = [partProduct, partStep, partFactors, partNibble, partLevels];
const BYTE = [partProduct, partStep, partFactors, partByte];
const FLOAT = [partProduct, partStep, partFloat];
/** The same by integers. */
const INT8 = [partProduct, partStep, partFactors, partInt8, partLevels];
/** How products of few tokens sum up over a workgroup. */
const MATVEC = [partMatvec, partEntry];
const MATVEC_SUBGROUPS = [partMatvecSubgroups, partEntrySubgroups];
const ROW_TREE = [partFew, partRowSums, partRowTree, partEntry];
const ROW_SUBGROUPS = [partFew, partRowSums, partRowSubgroups, partEntrySubgroups];

/** How products of a token of each sequence that do more than multiply read weights, and sum up. */
const ONE = [partFew, partOneRow, partLanes];
const ONE_FLOAT = [...ONE, partOneFloat, partFloatRows, ...FLOAT, partSumTree, partEntry];
const ONE_CODES = [...ONE, partOneInt8, partInt8Rows, ...INT8];
const ONE_INT8 = [...ONE_CODES, partSumTree, partEntry];
const ONE_INT8_SUBGROUPS = [...ONE_CODES, partSumSubgroups, partEntrySubgroups];
/** What neurons give on. */
const ACTIVATION = [partActivation, partCurves];
const GATED = [partPair, ...ACTIVATION, partInt8Piece];

/** Products of matrices, without what says which rows of inputs meet which weights. */
const PRODUCTS = {
  gated_float: { text: withParts(gated, ...GATED, ...ONE_FLOAT), bindings: "urrrwww" },
  gated_int8: {
    text: withParts(gated, ...GATED, ...ONE_INT8),
    bindings: "urrrrww",
    needs: ["int8"],
  },
  gated_int8_subgroups: {
    text: withParts(gated, ...GATED, ...ONE_INT8_SUBGROUPS),
    bindings: "urrrrww",
    needs: ["int8", "subgroups"],
  },
  matmul_byte: {
    text: withParts(matmulByte, ...BYTE, partTile, partTileF32),
    bindings: "urrrww",
  },
  matmul_float: {
    text: withParts(matmulFloat, ...FLOAT, partTile, partTileF32),
    bindings: "urrww",
  },
  matmul_float_wide: {
    text: withParts(writeOut(matmulFloatWide), partPutRow, ...FLOAT),
    bindings: "urrww",
  },
  matmul_int8: {
    text: withParts(writeOut(matmulInt8), partPutRow, ...INT8),
    bindings: "urrrrw",
    needs: ["int8"],
  },
  matmul_nibble: {
    text: withParts(matmulNibble, ...NIBBLE, partTile, partTileF32),
    bindings: "urrrww",
  },
  matmul_nibble_f16: {
    text: withParts(matmulNibbleF16, ...NIBBLE, partTile),
    bindings: "urrrww",
    needs: ["f16"],
  },
  matvec_byte: { text: withParts(matvecByte, ...BYTE, ...MATVEC), bindings: "urrrww" },
  matvec_byte_subgroups: {
    text: withParts(matvecByte, ...BYTE, ...MATVEC_SUBGROUPS),
    bindings: "urrrww",
    needs: ["subgroups"],
  },
  matvec_float: { text: withParts(matvecFloat, ...FLOAT, ...MATVEC), bindings: "urrww" },
  matvec_float_rows: {
    text: withParts(matvecFloatRows, partFloatRows, ...FLOAT, ...ROW_TREE),
    bindings: "urrww",
  },
  matvec_int8: {
    text: withParts(matvecInt8, partInt8Stored, partInt8Rows, ...INT8, ...ROW_TREE),
    bindings: "urrrrw",
    needs: ["int8"],
  },
  matvec_int8_subgroups: {
    text: withParts(matvecInt8, partInt8Stored, partInt8Rows, ...INT8, ...ROW_SUBGROUPS),
    bindings: "urrrrw",
    needs: ["int8", "subgroups"],
  },
  matvec_nibble: { text: withParts(matvecNibble, ...NIBBLE, ...MATVEC), bindings: "urrrww" },
  matvec_nibble_subgroups: {
    text: withParts(matvecNibble, ...NIBBLE, ...MATVEC_SUBGROUPS),
    bindings: "urrrww",
    needs: ["subgroups"],
  },
} as const satisfies Record<string, Kernel>;

type Products = typeof PRODUCTS;
/** A product; there is one of experts of each. */
export type ProductName = keyof Products;

/** Products of whole matrices. */
function forAll(products: Products): Record<ProductName, Kernel> {
  const made = Object.entries<Kernel>(products).map(([name, kernel]) => {
    return [name, { ...kernel, text: withParts(kernel.text, partWhole) }];
  });
  return Object.fromEntries(made);
}

/** Products of experts, who are told in one binding more: parts/routed.wgsl. */
function forRoutes(products: Products): Record<RoutedName, Kernel> {
  const made = Object.entries<Kernel>(products).map(([name, { text, bindings, needs }]) => {
    const routes = `@group(0) @binding(${bindings.length}) var<storage, read> routes: array<u32>;`;
    const own = { text: withParts(text, partRouted, routes), bindings: `${bindings}r`, needs };
    return [routedName(name as ProductName), own];
  });
  return Object.fromEntries(made);
}

export type RoutedName = `${ProductName}_routed`;

/** The same product of experts. */
export function routedName(name: ProductName): RoutedName {
  return `${name}_routed`;
}

/** Products that there are of heads with a matrix each: those that run everywhere. */
type BatchedProduct = `${"matvec" | "matmul"}_${"nibble" | "byte" | "float"}`;
export type BatchedName = `${BatchedProduct}_batched`;

/** The same product of heads, each with a matrix of its own. */
export function batchedName(name: BatchedProduct): BatchedName {
  return `${name}_batched`;
}

function batched(name: BatchedProduct): Kernel {
  const { text, bindings } = PRODUCTS[name];
  return { text: withParts(text, partBatched), bindings };
}

/**
 * All shaders by the names of their files; products of experts end in `_routed`, of heads with a
 * matrix each in `_batched`.
 */
export const KERNELS = {
  activate: { text: withParts(activate, ...ACTIVATION, ...INT8_WRITE), bindings: "www" },
  add_rows: { text: addRows, bindings: "ww" },
  advance: { text: advance, bindings: "wrw" },
  attention: { text: withParts(attention, ...ATTENTION_FLOATS), bindings: "urrwwrr" },
  attention_combine: {
    text: withParts(attentionCombine, ...CHUNKS, ...SEQUENCES, partLanes),
    bindings: "uwwwrr",
  },
  attention_few: {
    text: withParts(attentionFew, partAttentionChunk, ...ATTENTION),
    bindings: "urrwwr",
  },
  attention_last: {
    text: withParts(attentionLast, partAttentionChunk, ...CHUNKS, ...ATTENTION),
    bindings: "urrwwrwwrw",
  },
  attention_wide: { text: withParts(attentionWide, ...ATTENTION_FLOATS), bindings: "urrwwwrr" },
  choose: { text: withParts(choose, partLogitKeys), bindings: "uwww" },
  choose_experts: { text: chooseExperts, bindings: "wrrw" },
  choose_maxima: { text: withParts(chooseMaxima, partLogitKeys), bindings: "ww" },
  combine_routes: {
    text: withParts(combineRoutes, partInt8Piece),
    bindings: "rwwrww",
  },
  correct_streams: { text: correctStreams, bindings: "wrrww" },
  cut_gates: { text: withParts(cutGates, partSum64), bindings: "w" },
  embed_byte: { text: withParts(embedByte, ...EMBED, ...TABLE_BYTE), bindings: "urrrw" },
  embed_float: { text: withParts(embedFloat, ...EMBED, ...TABLE_FLOAT), bindings: "urrrw" },
  embed_nibble: { text: withParts(embedNibble, ...EMBED, ...TABLE_NIBBLE), bindings: "urrrw" },
  enter_byte: { text: withParts(enter, partLeaveHalf, ...TABLE_BYTE), bindings: "wrrrrrww" },
  enter_float: { text: withParts(enter, partLeaveHalf, ...TABLE_FLOAT), bindings: "wrrrrrww" },
  enter_nibble: { text: withParts(enter, partLeaveHalf, ...TABLE_NIBBLE), bindings: "wrrrrrww" },
  gate_states: { text: withParts(gateStates, partCurves, ...INT8_WRITE), bindings: "rwww" },
  guess_streams: { text: guessStreams, bindings: "wrww" },
  half_norm: { text: withParts(halfNorm, partLeaveHalf), bindings: "rwww" },
  head_norm: { text: withParts(headNorm, partSum64), bindings: "rrw" },
  heads_float: { text: withParts(heads, partSequences, ...ONE_FLOAT), bindings: "urrrwrwww" },
  heads_int8: {
    text: withParts(heads, partSequences, ...ONE_INT8),
    bindings: "urrrrrwww",
    needs: ["int8"],
  },
  heads_int8_subgroups: {
    text: withParts(heads, partSequences, ...ONE_INT8_SUBGROUPS),
    bindings: "urrrrrwww",
    needs: ["int8", "subgroups"],
  },
  joined_float: { text: withParts(joined, partInt8Piece, ...ONE_FLOAT), bindings: "urrrwrwww" },
  joined_int8: {
    text: withParts(joined, partInt8Piece, ...ONE_INT8),
    bindings: "urrrrrwww",
    needs: ["int8"],
  },
  joined_int8_subgroups: {
    text: withParts(joined, partInt8Piece, ...ONE_INT8_SUBGROUPS),
    bindings: "urrrrrwww",
    needs: ["int8", "subgroups"],
  },
  ...forAll(PRODUCTS),
  ...forRoutes(PRODUCTS),
  joined_norms: { text: withParts(joinedNorms, partSumLanes, ...INT8_WRITE), bindings: "rrrwwww" },
  matmul_byte_batched: batched("matmul_byte"),
  matmul_float_batched: batched("matmul_float"),
  matmul_nibble_batched: batched("matmul_nibble"),
  matvec_byte_batched: batched("matvec_byte"),
  matvec_float_batched: batched("matvec_float"),
  matvec_nibble_batched: batched("matvec_nibble"),
  norm: { text: withParts(norm, partStep, partSumLanes, ...INT8_WRITE), bindings: "urrwww" },
  merge_rows: { text: mergeRows, bindings: "ww" },
  match_lengths: { text: withParts(matchLengths, partSum64), bindings: "www" },
  quantize: { text: withParts(quantize, ...INT8_WRITE), bindings: "ww" },
  remember_latent: {
    text: withParts(rememberLatent, ...SEQUENCES, partSum64),
    bindings: "urwrw",
  },
  rotate_and_remember: {
    text: withParts(rotateAndRemember, ...SEQUENCES, partSum64),
    bindings: "urwwwrr",
  },
  scan_deltas: { text: withParts(scanDeltas, ...STATES), bindings: "urrwwww" },
  scan_states: { text: withParts(scanStates, ...STATES), bindings: "urrwwwww" },
  scale_rows: { text: scaleRows, bindings: "w" },
  short_convolution: { text: withParts(shortConvolution, ...SEQUENCES), bindings: "urrwwww" },
  sort_routes: { text: withParts(sortRoutes, partStep), bindings: "uw" },
  state_convolution: {
    text: withParts(stateConvolution, partCurves, partSum64, ...SEQUENCES),
    bindings: "urrrwww",
  },
  weigh_rows: { text: withParts(weighRows, partCurves), bindings: "ww" },
} as const satisfies Record<string, Kernel>;

export type KernelName = keyof typeof KERNELS;

/** The list as the type says it, for those who loop. */
export const KERNEL_LIST: Readonly<Record<KernelName, Kernel>> = KERNELS;

/** What a shader needs beyond WebGPU's core. */
export function needsOf(name: KernelName): readonly Feature[] {
  return KERNEL_LIST[name].needs ?? [];
}
