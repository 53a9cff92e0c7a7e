/**
 * Writes GGUF files, version 3: a header, then tensors whose data is produced piece by piece, so
 * that memory stays flat. Knows nothing of models.
 */
import { closeSync, fsync, openSync, renameSync, rmSync } from "node:fs";
import process from "node:process";
import { promisify } from "node:util";
import { alignUp, check } from "../base/check.ts";
import { Turns } from "../base/turns.ts";
import { formatBytes } from "../base/units.ts";
import { explainWriteError, writeFully } from "../base/write_errors.ts";
import { tensorBytes } from "../model/dtypes.ts";
import { encodeHeader } from "./encode_header.ts";
import type { MetadataEntry } from "./stored_values.ts";

/** A tensor to be written. */
export interface TensorSpec {
  readonly name: string;
  /** ggml type name in upper case. */
  readonly type: string;
  /** ggml order: columns first. */
  readonly dims: readonly number[];
  /** The data, in pieces of any size; a piece is used before the next one is asked for. */
  readonly pieces: () => Iterable<Uint8Array>;
}

/** A file to be written. */
export interface GgufSpec {
  /** "PWRI" marks PowerInfer's sparse models; left out: "GGUF". */
  readonly magic?: "GGUF" | "PWRI";
  /** `general.alignment`, a u32, is obeyed when it is there. */
  readonly metadata: readonly MetadataEntry[];
  readonly tensors: readonly TensorSpec[];
}

/** Called after each piece with the bytes written so far and in the end. */
export type WriteProgress = (doneBytes: number, totalBytes: number) => void;

/** Who looks on while a file is written. */
export interface WriteOptions {
  readonly onProgress?: WriteProgress;
  /** Ends the writing; what was written is removed. */
  readonly signal?: AbortSignal;
}

/**
 * Writes a file under a temporary name beside `path`, then renames it: `path` holds the old file or
 * the whole new one, never a half. Other work of the thread gets its turn every 50 ms, Ctrl-C among
 * it, but not while a piece is made.
 * @returns bytes of the file.
 * @throws {Error} "Cannot write …" when the disk is full or may not be written to; the signal's
 *   reason when it is aborted. Nothing is left there.
 */
export async function writeGguf(
  path: string,
  spec: GgufSpec,
  { onProgress, signal }: WriteOptions = {},
): Promise<number> {
  const layout = layOut(spec);
  const { totalBytes } = layout;
  const temporary = `${path}.${process.pid}.part`;
  const descriptor = openForWriting(path, temporary);
  let done = 0;
  try {
    const turns = new Turns(signal);
    for (const bytes of filePieces(spec, layout)) {
      writeFully(descriptor, bytes);
      done += bytes.length;
      onProgress?.(done, totalBytes);
      if (turns.isDue()) await turns.give();
    }
    await promisify(fsync)(descriptor);
    signal?.throwIfAborted();
    closeSync(descriptor);
    renameSync(temporary, path);
    return done;
  } catch (error) {
    discard(descriptor, temporary);
    throw explainWriteError(error, path, `${formatBytes(done)} of ${formatBytes(totalBytes)}`);
  }
}

/** The whole file in memory, for small models. */
export function encodeGguf(spec: GgufSpec): Uint8Array<ArrayBuffer> {
  const layout = layOut(spec);
  const bytes = new Uint8Array(layout.totalBytes);
  let done = 0;
  for (const piece of filePieces(spec, layout)) {
    bytes.set(piece, done);
    done += piece.length;
  }
  return bytes;
}

/** The whole file, piece by piece; a piece is valid until the next one is asked for. */
function* filePieces(
  { tensors }: GgufSpec,
  { header, alignmentBytes }: Layout,
): Iterable<Uint8Array> {
  const padding = new Uint8Array(alignmentBytes);
  const padded = (sizeBytes: number) =>
    padding.subarray(0, alignUp(sizeBytes, alignmentBytes) - sizeBytes);
  yield header;
  if (tensors.length > 0) yield padded(header.length);
  for (const tensor of tensors) {
    const sizeBytes = tensorBytes(tensor.type, tensor.dims);
    let given = 0;
    for (const piece of tensor.pieces()) {
      given += piece.length;
      // Too much is never written: it would be the next tensor's place.
      if (given <= sizeBytes) yield piece;
    }
    check(given === sizeBytes, `"${tensor.name}" was given ${given} of ${sizeBytes} bytes`);
    yield padded(sizeBytes);
  }
}

/** The header's bytes, and how long the file will be. */
interface Layout {
  readonly header: Uint8Array;
  readonly alignmentBytes: number;
  readonly totalBytes: number;
}

const ALIGNMENT_BYTES_DEFAULT = 32;

function layOut(spec: GgufSpec): Layout {
  const alignment = new Map(spec.metadata).get("general.alignment");
  const alignmentBytes = alignment ? Number(alignment.value) : ALIGNMENT_BYTES_DEFAULT;
  let offset = 0;
  const offsets = spec.tensors.map((tensor) => {
    const begin = offset;
    offset += alignUp(tensorBytes(tensor.type, tensor.dims), alignmentBytes);
    return begin;
  });
  const header = encodeHeader(spec, offsets);
  const hasData = spec.tensors.length > 0;
  const totalBytes = (hasData ? alignUp(header.length, alignmentBytes) : header.length) + offset;
  return { header, alignmentBytes, totalBytes };
}

function openForWriting(path: string, temporary: string): number {
  try {
    return openSync(temporary, "w");
  } catch (error) {
    throw explainWriteError(error, path);
  }
}

function discard(descriptor: number, temporary: string): void {
  try {
    closeSync(descriptor);
  } catch {
    // It is closed already when the renaming failed.
  }
  rmSync(temporary, { force: true });
}
