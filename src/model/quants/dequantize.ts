/**
 * Stored weights to numbers, for every type the engine computes with. Of ggml's types they are the
 * numbers of ggml, bit for bit: a weight is a product that f32 holds exactly, or such a product and
 * one sum that is rounded once. Knows nothing of tensors or files; the blocks are taken apart in
 * dequantize_blocks.ts (32 weights each), dequantize_superblocks.ts (256), dequantize_codebooks.ts
 * (256, looked up), dequantize_nvfp4.ts and dequantize_ternary.ts.
 */
import { check } from "../../base/check.ts";
import { UnsupportedModelError } from "../../base/errors.ts";
import {
  decodeE0m4,
  decodeIq4Nl,
  decodeMxfp4,
  decodeQ4_0,
  decodeQ4_1,
  decodeQ5_0,
  decodeQ5_1,
  decodeQ8_0,
} from "./dequantize_blocks.ts";
import {
  decodeIq1M,
  decodeIq1S,
  decodeIq2S,
  decodeIq2Xs,
  decodeIq2Xxs,
  decodeIq3S,
  decodeIq3Xxs,
} from "./dequantize_codebooks.ts";
import {
  decodeIq4Xs,
  decodeQ2K,
  decodeQ3K,
  decodeQ4K,
  decodeQ5K,
  decodeQ6K,
} from "./dequantize_superblocks.ts";
import { decodeNvfp4, decodeNvfp4S } from "./dequantize_nvfp4.ts";
import { decodeQ1_0, decodeQ2_0, decodeTq1_0, decodeTq2_0 } from "./dequantize_ternary.ts";
import { dtypeByName } from "../dtypes.ts";

/** Writes the weights of whole blocks to `out`; a block's layout is in the comment of each. */
type Decoder = (bytes: DataView, out: Float32Array) => void;

const DECODERS: ReadonlyMap<string, Decoder> = new Map([
  ["F32", decodeF32],
  ["F16", decodeF16],
  ["BF16", decodeBf16],
  ["Q8_0", decodeQ8_0],
  ["Q4_0", decodeQ4_0],
  ["Q4_1", decodeQ4_1],
  ["Q5_0", decodeQ5_0],
  ["Q5_1", decodeQ5_1],
  ["Q2_K", decodeQ2K],
  ["Q3_K", decodeQ3K],
  ["Q4_K", decodeQ4K],
  ["Q5_K", decodeQ5K],
  ["Q6_K", decodeQ6K],
  ["IQ4_NL", decodeIq4Nl],
  ["IQ4_XS", decodeIq4Xs],
  ["MXFP4", decodeMxfp4],
  ["NVFP4", decodeNvfp4],
  ["NVFP4S", decodeNvfp4S],
  ["IQ2_XXS", decodeIq2Xxs],
  ["IQ2_XS", decodeIq2Xs],
  ["IQ2_S", decodeIq2S],
  ["IQ3_XXS", decodeIq3Xxs],
  ["IQ3_S", decodeIq3S],
  ["IQ1_S", decodeIq1S],
  ["IQ1_M", decodeIq1M],
  ["TQ1_0", decodeTq1_0],
  ["TQ2_0", decodeTq2_0],
  ["Q1_0", decodeQ1_0],
  ["Q2_0", decodeQ2_0],
  ["E0M4", decodeE0m4],
]);

/** The types that `dequantize` reads. */
export const DEQUANTIZED_TYPES: readonly string[] = [...DECODERS.keys()];

/**
 * The weights of whole blocks of type `type`, in the order of the file.
 * @throws {UnsupportedModelError} when the engine does not compute with that type.
 */
export function dequantize(type: string, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const { blockBytes, blockElements } = dtypeByName(type) ?? { blockBytes: 1, blockElements: 1 };
  const out = new Float32Array(Math.floor(bytes.length / blockBytes) * blockElements);
  dequantizeInto(type, bytes, out);
  return out;
}

/**
 * As `dequantize`, into an array of exactly as many weights as `bytes` holds.
 * @throws {UnsupportedModelError} when the engine does not compute with that type.
 */
export function dequantizeInto(type: string, bytes: Uint8Array, out: Float32Array): void {
  const decode = DECODERS.get(type) ?? (type === "I32" ? decodeI32 : undefined);
  const dtype = dtypeByName(type);
  if (!decode || !dtype) {
    throw new UnsupportedModelError(
      `Cannot read weights of type "${type}": this version reads ${DEQUANTIZED_TYPES.join(", ")}`,
    );
  }
  const blocks = bytes.length / dtype.blockBytes;
  check(Number.isInteger(blocks), `${bytes.length} bytes are no whole blocks of ${type}`);
  check(out.length === blocks * dtype.blockElements, `${out.length} weights of ${blocks} blocks`);
  decode(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), out);
}

function decodeF32(bytes: DataView, out: Float32Array): void {
  const { buffer, byteOffset, byteLength } = out;
  // The machine is little-endian, as the file.
  const given = new Uint8Array(bytes.buffer, bytes.byteOffset, byteLength);
  new Uint8Array(buffer, byteOffset, byteLength).set(given);
}

function decodeF16(bytes: DataView, out: Float32Array): void {
  for (let i = 0; i < out.length; i++) out[i] = bytes.getFloat16(2 * i, true);
}

/** Whole numbers of tables, which are no weights: f32 holds those up to 2^24. */
function decodeI32(bytes: DataView, out: Float32Array): void {
  for (let i = 0; i < out.length; i++) out[i] = bytes.getInt32(4 * i, true);
}

/** The upper half of an f32. */
function decodeBf16(bytes: DataView, out: Float32Array): void {
  const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
  for (let i = 0; i < out.length; i++) bits[i] = bytes.getUint16(2 * i, true) << 16;
}
