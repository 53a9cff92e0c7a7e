/**
 * Tensors of NVFP4 whose factors lie beside them ("X.weight" and "X.scale", an f32 for all of the
 * tensor or for each expert), as tensors of one type, NVFP4S, whose blocks begin with the factor:
 * whoever uses weights sees a type like any other. No bytes are read here, and none are changed in
 * a file: a reader puts the factors in (`readScaled`).
 */
import { elementCount } from "../model/dtypes.ts";
import type { ByteSource } from "./byte_source.ts";
import type { GgufTensor, ScaledTensor } from "./types.ts";

/** Of a block of NVFP4, and of the same with a factor. */
const PLAIN_BYTES = 36;
const SCALED_BYTES = 40;
/** Blocks that are read at a time. */
const PIECE_BLOCKS = 8192;

/**
 * The tensors with their factors in them. Factors of other types, or of another shape, stay: who
 * has no use for them says so. What activations were divided by for a GPU's products
 * ("X.input_scale") is of no use to anybody here, as in llama.cpp, and left out.
 */
export function joinScales(
  tensors: ReadonlyMap<string, GgufTensor>,
): ReadonlyMap<string, GgufTensor> {
  const joined = new Map(tensors);
  for (const [name, base] of tensors) {
    if (base.type !== "NVFP4" || !name.endsWith(".weight")) continue;
    const own = name.slice(0, -".weight".length);
    joined.delete(`${own}.input_scale`);
    const factors = tensors.get(`${own}.scale`);
    if (factors === undefined || !fits(base, factors)) continue;
    joined.delete(factors.name);
    const sizeBytes = base.sizeBytes / PLAIN_BYTES * SCALED_BYTES;
    joined.set(name, { ...base, type: "NVFP4S", sizeBytes, scaled: { base, factors } });
  }
  return joined;
}

function fits({ dims: [, , matrices = 1] }: GgufTensor, { type, dims }: GgufTensor): boolean {
  const count = elementCount(dims);
  return type === "F32" && (count === 1 || count === matrices);
}

/** Fills `into` with bytes of a joined tensor from `offsetBytes` on: maybe within a block. */
export function readScaled(
  { base, factors }: ScaledTensor,
  sourceOf: (tensor: GgufTensor) => ByteSource,
  { offsetBytes, into }: { readonly offsetBytes: number; readonly into: Uint8Array },
): void {
  const count = factors.sizeBytes / 4;
  const values = new Uint8Array(factors.sizeBytes);
  sourceOf(factors).read(factors.offsetBytes, values);
  const blocksOfOne = base.sizeBytes / PLAIN_BYTES / count;
  const end = offsetBytes + into.length;
  const lastBlock = Math.ceil(end / SCALED_BYTES);
  const piece = new Uint8Array(PIECE_BLOCKS * PLAIN_BYTES);
  for (let block = Math.floor(offsetBytes / SCALED_BYTES); block < lastBlock;) {
    const blocks = Math.min(PIECE_BLOCKS, lastBlock - block);
    const plain = piece.subarray(0, blocks * PLAIN_BYTES);
    sourceOf(base).read(base.offsetBytes + block * PLAIN_BYTES, plain);
    for (let b = 0; b < blocks; b++, block++) {
      const factor = 4 * Math.floor(block / blocksOfOne);
      const at = block * SCALED_BYTES - offsetBytes;
      putInside(into, at, values.subarray(factor, factor + 4));
      putInside(into, at + 4, plain.subarray(b * PLAIN_BYTES, (b + 1) * PLAIN_BYTES));
    }
  }
}

/** Puts what of `bytes` falls within `into` there. */
export function putInside(into: Uint8Array, at: number, bytes: Uint8Array): void {
  if (at >= 0 && at + bytes.length <= into.length) return into.set(bytes, at);
  if (at >= into.length || at + bytes.length <= 0) return;
  const inside = bytes.subarray(Math.max(0, -at), Math.min(bytes.length, into.length - at));
  into.set(inside, Math.max(0, at));
}
