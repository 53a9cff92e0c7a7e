/**
 * Parses the header of one GGUF file: magic, version, metadata, tensors. Knows nothing of split
 * models, nor of paths: it is given bytes.
 */
import { MiB } from "../base/units.ts";
import type { ByteSource } from "./byte_source.ts";
import { CURE, HeaderCursor } from "./header_cursor.ts";
import { type MetadataTable, readMetadataTable } from "./metadata_table.ts";
import { readTensorTable } from "./tensor_table.ts";
import type { GgufTensor } from "./types.ts";

/** What one file says. */
export interface PartHeader extends MetadataTable {
  readonly magic: string;
  readonly version: number;
  readonly tensors: readonly GgufTensor[];
}

const MAGICS = ["GGUF", "PWRI"];
const VERSIONS = [2, 3];
const ALIGNMENT_BYTES_DEFAULT = 32;
const ALIGNMENT_BYTES_MAX = MiB;

/**
 * Reads the header of part `part`; the tensors' data is not touched.
 * @throws {ModelFormatError} when the bytes are not a GGUF header, or are damaged.
 */
export function readHeader(source: ByteSource, part: number): PartHeader {
  const cursor = new HeaderCursor(source);
  if (source.sizeBytes === 0) {
    throw cursor.error(`Cannot read the model: the file is empty: ${CURE}`);
  }
  const magic = readMagic(cursor);
  const version = readVersion(cursor);
  const tensorCount = cursor.count("the number of tensors");
  const entryCount = cursor.count("the number of metadata entries");
  const table = readMetadataTable(cursor, entryCount);
  const alignmentBytes = alignmentOf(cursor, table);
  const place = { part, fileBytes: source.sizeBytes, alignmentBytes };
  const tensors = readTensorTable(cursor, tensorCount, place);
  return { magic, version, tensors, ...table };
}

function readMagic(cursor: HeaderCursor): string {
  const bytes = cursor.bytes(4, "the magic bytes");
  const magic = String.fromCharCode(...bytes);
  if (!MAGICS.includes(magic)) {
    const guess = LOOKALIKES.get(magic) ??
      "the file does not begin with the bytes GGUF: it is another kind of file: check the path";
    throw cursor.error(`Cannot read the model: ${guess}`, 0);
  }
  return magic;
}

/** What people give us instead, by its first four bytes, and the cure. */
const LOOKALIKES: ReadonlyMap<string, string> = new Map([
  ["FUGG", "it is a big-endian file: convert the model again for little-endian machines"],
  ["lmgg", "it is a GGML file of before GGUF: convert the original model again"],
  ["tjgg", "it is a GGJT file of before GGUF: convert the original model again"],
  ["fmgg", "it is a GGMF file of before GGUF: convert the original model again"],
  ["GANG", "it is a packed model (.ganglion): give the .gguf file that it was made from"],
  ["PK\x03\x04", "it is a ZIP or PyTorch file: convert the model to GGUF"],
  ["vers", "it is a Git LFS pointer, not the model: run git lfs pull"],
  ["<!DO", "it is a web page: download the file itself"],
  ["<htm", "it is a web page: download the file itself"],
]);

function readVersion(cursor: HeaderCursor): number {
  const at = cursor.offsetBytes;
  const version = cursor.u32("the version");
  if (VERSIONS.includes(version)) return version;
  // A small number that was written with its bytes the other way round.
  const cure = version !== 0 && version % 2 ** 16 === 0
    ? "it is a big-endian file: convert the model again for little-endian machines"
    : version === 1
    ? "it is GGUF version 1: convert the original model again"
    : `it is GGUF version ${version}, known are ${VERSIONS.join(" and ")}: ` +
      "update Ganglion, or download the file again";
  throw cursor.error(`Cannot read the model: ${cure}`, at);
}

function alignmentOf(cursor: HeaderCursor, table: MetadataTable): number {
  const key = "general.alignment";
  if (!table.metadata.has(key)) return ALIGNMENT_BYTES_DEFAULT;
  const type = table.metadataTypes.get(key);
  const alignment = table.metadata.get(key);
  const at = table.entryOffsets.get(key);
  const what = `Cannot read metadata "${key}"`;
  if (type !== "u32" || typeof alignment !== "number") {
    throw cursor.error(`${what}: it is stored as ${type}, not as u32: ${CURE}`, at);
  }
  const isPowerOfTwo = alignment > 0 && Number.isInteger(Math.log2(alignment));
  if (!isPowerOfTwo || alignment > ALIGNMENT_BYTES_MAX) {
    const state = `${alignment} is not a power of two up to ${ALIGNMENT_BYTES_MAX}`;
    throw cursor.error(`${what}: ${state}: ${CURE}`, at);
  }
  return alignment;
}
