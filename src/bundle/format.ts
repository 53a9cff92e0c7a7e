/**
 * The frame of a packed file, in little-endian bytes:
 *
 *   ├─ page ─┼─ GGUF header ─┼─ fixed tensors ─┼─ tables ─┼─ units ─┼─ checksums ─┤
 *
 * * page: 4096 bytes, below.
 * * GGUF header and fixed tensors: a GGUF file whose tables name all of the model's tensors, those
 *   of units at places behind the end of the packed file.
 * * tables: a record for each unit, then the order of each, then the rates of each, if there are
 *   any (unit_table.ts).
 * * units: of each its factors, then its bundles (types.ts); both begin at pages.
 * * checksums: a CRC-32 of each MiB of everything before them, and one of these (checksums.ts).
 *
 * Where parts lie follows from the model's tensors (file_layout.ts): what the file says of it must
 * agree.
 */
import { crc32 } from "../base/crc32.ts";
import { ModelFormatError } from "../base/errors.ts";

/** The first bytes of a file. */
export const MAGIC = "GANGLION";
/** Goes up with every change of this format, or of how kernels' rows and columns lie. */
export const VERSION = 2;
/** Bytes of the first page; tables and what belongs to units begin at multiples of it. */
export const FILE_PAGE_BYTES = 4096;
/**
 * At multiples of what bundles may begin: of a cache line, or of a disk's sectors. Slots of memory
 * are as large as bundles, and a read of sectors goes straight into them; of less, over a buffer.
 */
const BUNDLE_ALIGNMENTS = [64, 512, 4096] as const;
export type BundleAlignment = typeof BUNDLE_ALIGNMENTS[number];

/** What the first page says. */
export interface FilePage {
  readonly alignBytes: BundleAlignment;
  readonly fileBytes: number;
  readonly ggufBytes: number;
  /** CRC-32 of the GGUF header. */
  readonly ggufSum: number;
  readonly tableBytes: number;
  /** CRC-32 of the tables. */
  readonly tableSum: number;
  readonly hasRates: boolean;
  /** 64 hexadecimal digits. */
  readonly sourceFingerprint: string;
}

const AT = {
  version: 8,
  alignBytes: 12,
  fileBytes: 16,
  ggufBytes: 24,
  tableBytes: 32,
  ggufSum: 40,
  tableSum: 44,
  hasRates: 48,
  fingerprint: 64,
  sum: FILE_PAGE_BYTES - 4,
};
const FINGERPRINT_BYTES = 32;

export function encodePage(page: FilePage): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(FILE_PAGE_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(MAGIC));
  view.setUint32(AT.version, VERSION, true);
  view.setUint32(AT.alignBytes, page.alignBytes, true);
  view.setBigUint64(AT.fileBytes, BigInt(page.fileBytes), true);
  view.setBigUint64(AT.ggufBytes, BigInt(page.ggufBytes), true);
  view.setBigUint64(AT.tableBytes, BigInt(page.tableBytes), true);
  view.setUint32(AT.ggufSum, page.ggufSum, true);
  view.setUint32(AT.tableSum, page.tableSum, true);
  view.setUint32(AT.hasRates, Number(page.hasRates), true);
  for (let i = 0; i < FINGERPRINT_BYTES; i++) {
    bytes[AT.fingerprint + i] = parseInt(page.sourceFingerprint.slice(2 * i, 2 * i + 2), 16);
  }
  view.setUint32(AT.sum, crc32(bytes.subarray(0, AT.sum)), true);
  return bytes;
}

/** True for the first bytes of a packed file. */
export function isPacked(bytes: Uint8Array): boolean {
  return String.fromCharCode(...bytes.subarray(0, MAGIC.length)) === MAGIC;
}

/**
 * @param path for messages.
 * @throws {ModelFormatError} when it is no packed file, one of another version, or damaged.
 */
export function decodePage(bytes: Uint8Array<ArrayBuffer>, path: string): FilePage {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!isPacked(bytes)) {
    throw damaged(path, 0, "it does not begin with the bytes GANGLION: make one with pack");
  }
  const version = view.getUint32(AT.version, true);
  const sum = crc32(bytes.subarray(0, AT.sum));
  const isWhole = sum === view.getUint32(AT.sum, true);
  if (isWhole && version !== VERSION) {
    const state =
      `it is of version ${version}, this program reads ${VERSION}: pack the model again`;
    throw damaged(path, AT.version, state);
  }
  if (!isWhole) throw damaged(path, 0, `its first page was changed: ${REPACK}`);
  const count = (at: number) => Number(view.getBigUint64(at, true));
  const alignBytes = view.getUint32(AT.alignBytes, true);
  if (!isAlignment(alignBytes)) {
    const state = `its bundles begin at multiples of ${alignBytes} bytes: ${REPACK}`;
    throw damaged(path, AT.alignBytes, state);
  }
  return {
    alignBytes,
    fileBytes: count(AT.fileBytes),
    ggufBytes: count(AT.ggufBytes),
    tableBytes: count(AT.tableBytes),
    ggufSum: view.getUint32(AT.ggufSum, true),
    tableSum: view.getUint32(AT.tableSum, true),
    hasRates: view.getUint32(AT.hasRates, true) !== 0,
    sourceFingerprint: Array.from(
      bytes.subarray(AT.fingerprint, AT.fingerprint + FINGERPRINT_BYTES),
      (byte) => byte.toString(16).padStart(2, "0"),
    ).join(""),
  };
}

/** What to do about a damaged file. */
export const REPACK = "pack the model again";

/** A fault in a packed file, at a byte of it. */
export function damaged(path: string, offsetBytes: number, state: string): ModelFormatError {
  return new ModelFormatError(`Cannot read the packed model: ${state}`, { path, offsetBytes });
}

function isAlignment(bytes: number): bytes is BundleAlignment {
  return (BUNDLE_ALIGNMENTS as readonly number[]).includes(bytes);
}
