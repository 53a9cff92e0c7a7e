/** Models in I2_S, as Microsoft's converter writes BitNet's, and the same weights as floats. */
import { encodeGguf, parseGguf, TensorReader, type TensorSpec } from "../../src/gguf/mod.ts";
import { changedMetadata } from "../../src/gguf/rewrite.ts";

/** The number of I2_S in files, and of the type that stands there until a file is made. */
const I2_S_ID = 36, I8_ID = 24;
/** What follows the codes: the factor, and nothing. */
const TAIL_BYTES = 32;

export interface TernaryTwins {
  readonly i2s: Uint8Array<ArrayBuffer>;
  readonly floats: Uint8Array<ArrayBuffer>;
}

/** Of a model of F32: blocks' matrices are 0 or ± their mean size in both, all else as it is. */
export function ternaryTwins(model: Uint8Array): TernaryTwins {
  const file = parseGguf(model);
  using reader = TensorReader.ofBytes(model);
  const metadata = changedMetadata(file, []);
  const floats: TensorSpec[] = [], stored: TensorSpec[] = [];
  const matrices: TensorSpec[] = [];
  for (const { name, type, dims } of file.tensors.values()) {
    const bytes = reader.readAll(file.tensors.get(name)!);
    const spec = { name, type, dims, pieces: () => [bytes] };
    if (dims.length < 2 || !name.startsWith("blk.")) {
      floats.push(spec), stored.push(spec);
      continue;
    }
    const weights = new Float32Array(bytes.buffer);
    const { codes, factor } = ternary(weights);
    const values = Float32Array.from(codes, (code) => factor * (code - 1));
    floats.push({ ...spec, pieces: () => [new Uint8Array(values.buffer)] });
    matrices.push(spec);
    // As many bytes, and as many dimensions.
    const data = i2sBytes(codes, factor);
    const fake = [data.length, ...dims.slice(1).fill(1)];
    stored.push({ name, type: "I8", dims: fake, pieces: () => [data] });
  }
  const i2s = encodeGguf({ metadata, tensors: stored });
  for (const { name, dims } of matrices) renameType(i2s, name, dims);
  return { i2s, floats: encodeGguf({ metadata, tensors: floats }) };
}

/** Codes 0, 1, 2 for −1, 0, 1, and a factor of eight bits, as a bf16 has. */
function ternary(weights: Float32Array): { codes: Uint8Array; factor: number } {
  const mean = weights.reduce((sum, w) => sum + Math.abs(w), 0) / weights.length;
  const factor = Math.round(mean * 2 ** 12) / 2 ** 12;
  const codes = Uint8Array.from(weights, (w) => Math.abs(w) < mean / 2 ? 1 : w > 0 ? 2 : 0);
  return { codes, factor };
}

/** 128 codes in 32 bytes: those of a quarter are neighbours, the first quarter's on top. */
export function i2sBytes(codes: Uint8Array, factor: number): Uint8Array {
  const bytes = new Uint8Array(codes.length / 4 + TAIL_BYTES);
  for (let i = 0; i < codes.length; i++) {
    const quarter = (i % 128) / 32 | 0;
    bytes[(i / 128 | 0) * 32 + i % 32] |= codes[i] << (6 - 2 * quarter);
  }
  new DataView(bytes.buffer).setFloat32(codes.length / 4, factor, true);
  return bytes;
}

/** Writes other dimensions and I2_S into the header's entry of a tensor. */
function renameType(file: Uint8Array<ArrayBuffer>, name: string, dims: readonly number[]): void {
  const view = new DataView(file.buffer);
  const wanted = new TextEncoder().encode(name);
  const at = file.findIndex((_, i) =>
    wanted.every((byte, j) => file[i + j] === byte) &&
    view.getUint32(i + wanted.length, true) === dims.length &&
    view.getUint32(i + wanted.length + 4 + 8 * dims.length, true) === I8_ID
  );
  dims.forEach((dim, axis) =>
    view.setBigUint64(at + wanted.length + 4 + 8 * axis, BigInt(dim), true)
  );
  view.setUint32(at + wanted.length + 4 + 8 * dims.length, I2_S_ID, true);
}
