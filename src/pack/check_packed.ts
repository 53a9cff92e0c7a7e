/**
 * Whether every byte of a packed file is as it was written, and what lies where it is not. Reads
 * the whole file, and sums up a piece while the next one is on its way.
 */
import { open } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { CHUNK_BYTES } from "../bundle/checksums.ts";
import { damaged, FILE_PAGE_BYTES, REPACK } from "../bundle/format.ts";
import { type OpenedFile, openPackedFile } from "../bundle/open_packed.ts";
import type { BundleUnit } from "../bundle/types.ts";
import { nameOfUnit } from "../bundle/units.ts";

/** A piece of the file that was changed. */
export interface Damage {
  /** The smallest piece that has a sum of its own. */
  readonly beginBytes: number;
  readonly endBytes: number;
  /** What lies there, in words. */
  readonly holds: readonly string[];
}

export interface CheckOptions {
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  readonly signal?: AbortSignal;
}

/** What was found. */
export interface CheckResult {
  readonly bytes: number;
  readonly damage: readonly Damage[];
}

/** A multiple of what one sum is of. */
const READ_BYTES = 4 * CHUNK_BYTES;

/**
 * Reads the file and compares it with its checksums.
 * @throws {ModelFormatError} when its header, tables or checksums were changed: what is in the file
 *   is not known then; or when it cannot be read.
 * @throws the signal's reason.
 */
export async function checkPacked(
  path: string,
  { onProgress, signal }: CheckOptions = {},
): Promise<CheckResult> {
  const opened = openPackedFile(path);
  const { layout: { sumsOffsetBytes, fileBytes }, sums } = opened;
  const damage: Damage[] = [];
  let chunk = 0;
  for await (const bytes of piecesOf(path, sumsOffsetBytes)) {
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES, chunk++) {
      const piece = bytes.subarray(at, at + CHUNK_BYTES);
      if (crc32(piece) === sums[chunk]) continue;
      const beginBytes = chunk * CHUNK_BYTES;
      const endBytes = beginBytes + piece.length;
      damage.push({ beginBytes, endBytes, holds: contentsOf(opened, beginBytes, endBytes) });
    }
    onProgress?.(Math.min(chunk * CHUNK_BYTES, sumsOffsetBytes), fileBytes);
    signal?.throwIfAborted();
  }
  return { bytes: fileBytes, damage };
}

/** The file's bytes up to `endBytes`; a piece is valid until the next one is asked for. */
async function* piecesOf(path: string, endBytes: number): AsyncGenerator<Uint8Array, void> {
  const file = await open(path);
  try {
    const buffers = [new Uint8Array(READ_BYTES), new Uint8Array(READ_BYTES)];
    const read = (index: number) => {
      const begin = index * READ_BYTES;
      const into = buffers[index % 2].subarray(0, Math.min(READ_BYTES, endBytes - begin));
      return readFully(file, into, { path, offsetBytes: begin });
    };
    let next: Promise<Uint8Array> | null = read(0);
    for (let index = 0; next !== null; index++) {
      const piece: Uint8Array = await next;
      next = (index + 1) * READ_BYTES < endBytes ? read(index + 1) : null;
      // Who leaves early leaves a read behind, whose failure is nobody's business.
      next?.catch(() => {});
      yield piece;
    }
  } finally {
    await file.close();
  }
}

/** @throws {ModelFormatError} when the disk cannot read it, or the file became shorter. */
async function readFully(
  file: Awaited<ReturnType<typeof open>>,
  into: Uint8Array,
  at: { path: string; offsetBytes: number },
): Promise<Uint8Array> {
  const { path, offsetBytes } = at;
  let done = 0;
  while (done < into.length) {
    const begin = offsetBytes + done;
    const { bytesRead } = await file.read(into, done, into.length - done, begin)
      .catch((error: Error) => {
        throw damaged(path, begin, `the disk cannot read it (${error.message}): ${REPACK}`);
      });
    if (bytesRead === 0) throw damaged(path, begin, "it became shorter while it was read");
    done += bytesRead;
  }
  return into;
}

/** What lies between two bytes of a file. */
function contentsOf(
  { model: { file, units }, layout, ggufBytes }: OpenedFile,
  begin: number,
  end: number,
): string[] {
  const holds: string[] = [];
  const add = (from: number, to: number, what: string) => {
    if (from < end && begin < to) holds.push(what);
  };
  add(0, FILE_PAGE_BYTES, "the first page");
  add(FILE_PAGE_BYTES, FILE_PAGE_BYTES + ggufBytes, "metadata");
  [...file.tensors.values()].forEach(({ name, offsetBytes, sizeBytes }, index) => {
    if (layout.isFixed[index]) add(offsetBytes, offsetBytes + sizeBytes, `tensor "${name}"`);
  });
  const { tableOffsetBytes, tableBytes } = layout;
  add(tableOffsetBytes, tableOffsetBytes + tableBytes, "the tables of units");
  for (const unit of units) {
    const { factorsOffsetBytes, factorsSizeBytes } = unit;
    const name = nameOfUnit(unit);
    add(factorsOffsetBytes, factorsOffsetBytes + factorsSizeBytes, `${name}: factors of down`);
    const neurons = neuronsBetween(unit, begin, end);
    if (neurons !== null) holds.push(`${name}: ${neurons}`);
  }
  return holds.length === 0 ? ["padding"] : holds;
}

/** Which bundles of a unit lie between two bytes; null: none. */
function neuronsBetween(unit: BundleUnit, begin: number, end: number): string | null {
  const { offsetBytes, bundleBytes, neurons } = unit;
  const first = Math.max(0, Math.floor((begin - offsetBytes) / bundleBytes));
  const last = Math.min(neurons, Math.ceil((end - offsetBytes) / bundleBytes)) - 1;
  if (last < first) return null;
  return `neurons at positions ${first} to ${last}`;
}
