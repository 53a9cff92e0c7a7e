/**
 * Tensors of I2_S, in which Microsoft's BitNet files have ternary weights: two bits each, in groups
 * of 128 that run on through all rows, and behind the last one a factor of all of them, an f32.
 * They are seen as tensors of TQ2_0, or of Q2_0 where rows are no multiples of 256: whoever uses
 * weights sees a type like any other. No bytes are read here, and none are changed in a file: a
 * reader gives the codes their places (`readTernary`). The factor is rounded to an f16, as these
 * types have it, which is exact for those that were a bf16 in training.
 */
import { check } from "../base/check.ts";
import { ModelFormatError } from "../base/errors.ts";
import { type Dtype, dtypeByName, elementCount, tensorBytes } from "../model/dtypes.ts";
import type { ByteSource } from "./byte_source.ts";
import { putInside } from "./scaled_tensors.ts";
import type { GgufTensor } from "./types.ts";

/** A type whose tensors have something behind their blocks. */
export interface TailedDtype extends Dtype {
  readonly tailBytes: number;
}

/** In no table of types: beyond this folder there are no such tensors. */
export const I2_S: TailedDtype = {
  ...{ id: 36, name: "I2_S", tailBytes: 32 },
  // Rows of Q2_0 end on these, too.
  ...{ blockElements: 64, blockBytes: 16 },
};

/** Codes of a group; byte i of it has those of i, i + 32, i + 64 and i + 96, the first on top. */
export const CODES_OF_GROUP = 128;
const GROUP = CODES_OF_GROUP, GROUP_BYTES = 32;
/** Groups that are read at a time. */
const PIECE_GROUPS = 4096;
/** Largest part of a factor that rounding it may take: more is no f16. */
const ROUNDED_MOST = 2 ** -11;

/** The tensors, those of I2_S as what they are read as. */
export function readAsTernary(
  tensors: ReadonlyMap<string, GgufTensor>,
): ReadonlyMap<string, GgufTensor> {
  if (tensors.values().every(({ type }) => type !== I2_S.name)) return tensors;
  const read = new Map(tensors);
  for (const [name, base] of tensors) {
    if (base.type !== I2_S.name) continue;
    const type = base.dims[0] % dtypeByName("TQ2_0")!.blockElements === 0 ? "TQ2_0" : "Q2_0";
    read.set(name, { ...base, type, sizeBytes: tensorBytes(type, base.dims), ternary: base });
  }
  return read;
}

/**
 * Fills `into` with bytes of a tensor that is read so from `offsetBytes` on: maybe within a block.
 * @throws {ModelFormatError} when its factor is no number, or none that an f16 can be.
 */
export function readTernary(
  tensor: GgufTensor,
  sourceOf: (tensor: GgufTensor) => ByteSource,
  { offsetBytes, into }: { readonly offsetBytes: number; readonly into: Uint8Array },
): void {
  const base = tensor.ternary!, type = dtypeByName(tensor.type)!;
  check(type.name === "TQ2_0" || type.name === "Q2_0", `${type.name} has ternary codes`);
  const source = sourceOf(base);
  const factor = factorOf(base, source);
  const { blockElements, blockBytes } = type;
  const write = type.name === "TQ2_0" ? writeTq2_0 : writeQ2_0;
  const block = new Uint8Array(blockBytes);
  const end = Math.ceil((offsetBytes + into.length) / blockBytes) * blockElements;
  let first = Math.floor(offsetBytes / blockBytes) * blockElements;
  // Groups are whole, blocks of Q2_0 are half of one.
  let group = Math.floor(first / GROUP);
  const endGroup = Math.ceil(end / GROUP);
  const codes = new Uint8Array(Math.min(PIECE_GROUPS, endGroup - group) * GROUP_BYTES);
  while (first < end) {
    const groups = Math.min(PIECE_GROUPS, endGroup - group);
    const piece = codes.subarray(0, groups * GROUP_BYTES);
    source.read(base.offsetBytes + group * GROUP_BYTES, piece);
    zeroThrees(piece);
    const pieceEnd = (group + groups) * GROUP;
    for (; first < pieceEnd; first += blockElements) {
      write(piece, first - group * GROUP, block, factor);
      putInside(into, first / blockElements * blockBytes - offsetBytes, block);
    }
    group += groups;
  }
}

/** A code of 3, which no converter writes, is 0 (of weights: code 1) in I2_S, and 2 elsewhere. */
function zeroThrees(codes: Uint8Array): void {
  for (let i = 0; i < codes.length; i++) codes[i] &= ~((codes[i] & codes[i] >> 1 & 0x55) << 1);
}

/** Two groups, whose codes lie the other way round in each byte. */
function writeTq2_0(codes: Uint8Array, first: number, block: Uint8Array, factor: Uint8Array): void {
  const at = first / GROUP * GROUP_BYTES;
  for (let i = 0; i < 2 * GROUP_BYTES; i++) {
    const byte = codes[at + i];
    const swapped = (byte & 0x33) << 2 | byte >> 2 & 0x33;
    block[i] = swapped << 4 | swapped >> 4;
  }
  block.set(factor, 2 * GROUP_BYTES);
}

/** Half a group: neighbours share a byte. */
function writeQ2_0(codes: Uint8Array, first: number, block: Uint8Array, factor: Uint8Array): void {
  block.set(factor);
  const at = Math.floor(first / GROUP) * GROUP_BYTES, half = first % GROUP;
  for (let i = 0; i < 64; i += 4) {
    const shift = 6 - 2 * ((half + i) >> 5), from = at + (i & 31);
    let byte = 0;
    for (let j = 0; j < 4; j++) byte |= (codes[from + j] >> shift & 3) << 2 * j;
    block[2 + (i >> 2)] = byte;
  }
}

/** The bytes of an f16. */
function factorOf(base: GgufTensor, source: ByteSource): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(4));
  const at = base.offsetBytes + elementCount(base.dims) / GROUP * GROUP_BYTES;
  source.read(at, new Uint8Array(bytes.buffer));
  const factor = bytes.getFloat32(0, true);
  bytes.setFloat16(0, factor, true);
  const lost = Math.abs(bytes.getFloat16(0, true) - factor);
  if (!(lost <= ROUNDED_MOST * Math.abs(factor))) {
    const state = `its factor is ${factor}, which is no number or none of 16 bits`;
    const message = `Cannot read tensor "${base.name}" (I2_S): ${state}: download the file again`;
    throw new ModelFormatError(message, { path: source.path, offsetBytes: at });
  }
  return new Uint8Array(bytes.buffer, 0, 2);
}
