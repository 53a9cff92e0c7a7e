/**
 * Stored weights to numbers, for every type the engine computes with. Exact: a weight of any of
 * these types is a number that f32 holds. Knows the bits of a block; nothing of tensors or files.
 */
import { check } from "../base/check.ts";
import { UnsupportedModelError } from "../base/errors.ts";
import { dtypeByName } from "./dtypes.ts";

/** Writes the weights of `bytes` to `out`; a block's layout is in the comment of each. */
type Decoder = (bytes: DataView, out: Float32Array) => void;

const DECODERS: ReadonlyMap<string, Decoder> = new Map([
  ["F32", decodeF32],
  ["F16", decodeF16],
  ["BF16", decodeBf16],
  ["Q8_0", decodeQ8_0],
  ["Q4_0", decodeQ4_0],
]);

/** Every type that `dequantize` reads, and so every type that a matrix may have. */
export const DEQUANTIZED_TYPES: readonly string[] = [...DECODERS.keys()];

/**
 * The weights of whole blocks of ggml type `type`, in the order of the file.
 * @throws {UnsupportedModelError} when the engine does not compute with that type.
 */
export function dequantize(type: string, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const decode = DECODERS.get(type);
  const dtype = dtypeByName(type);
  if (!decode || !dtype) {
    throw new UnsupportedModelError(
      `Cannot read weights of type "${type}": this version reads ${DEQUANTIZED_TYPES.join(", ")}`,
    );
  }
  const blocks = bytes.length / dtype.blockBytes;
  check(Number.isInteger(blocks), `${bytes.length} bytes are no whole blocks of ${type}`);
  const out = new Float32Array(blocks * dtype.blockElements);
  decode(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), out);
  return out;
}

function decodeF32(bytes: DataView, out: Float32Array): void {
  for (let i = 0; i < out.length; i++) out[i] = bytes.getFloat32(4 * i, true);
}

function decodeF16(bytes: DataView, out: Float32Array): void {
  for (let i = 0; i < out.length; i++) out[i] = f16ToF32(bytes.getUint16(2 * i, true));
}

/** The upper half of an f32. */
function decodeBf16(bytes: DataView, out: Float32Array): void {
  const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
  for (let i = 0; i < out.length; i++) bits[i] = bytes.getUint16(2 * i, true) << 16;
}

/** 34 bytes for 32 weights: f16 scale, 32 signed bytes. */
function decodeQ8_0(bytes: DataView, out: Float32Array): void {
  for (let i = 0, at = 0; i < out.length; i += 32, at += 34) {
    const scale = f16ToF32(bytes.getUint16(at, true));
    for (let j = 0; j < 32; j++) out[i + j] = scale * bytes.getInt8(at + 2 + j);
  }
}

/** 18 bytes for 32 weights: f16 scale, 16 bytes; low nibbles are weights 0..15. */
function decodeQ4_0(bytes: DataView, out: Float32Array): void {
  for (let i = 0, at = 0; i < out.length; i += 32, at += 18) {
    const scale = f16ToF32(bytes.getUint16(at, true));
    for (let j = 0; j < 16; j++) {
      const pair = bytes.getUint8(at + 2 + j);
      out[i + j] = scale * ((pair & 15) - 8);
      out[i + 16 + j] = scale * ((pair >> 4) - 8);
    }
  }
}

/** IEEE half to float: sign, 5 bits of exponent biased by 15, 10 of fraction. */
function f16ToF32(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = bits >> 10 & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}
