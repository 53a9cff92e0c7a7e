/**
 * Writes GGUF files, version 3: a header, then tensors whose data is produced piece by piece, so
 * that memory stays flat. Knows nothing of models.
 */
import { closeSync, fsync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import process from "node:process";
import { promisify } from "node:util";
import { alignUp, check } from "../base/check.ts";
import { formatBytes } from "../base/units.ts";
import { dtypeByName, rowBytes } from "../model/dtypes.ts";
import { HeaderBytes } from "./header_bytes.ts";
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
    throw explained(error, path, `${formatBytes(done)} of ${formatBytes(totalBytes)}`);
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
    const sizeBytes = tensorBytes(tensor);
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

/** Gives other work of this thread its turn, now and then. */
class Turns {
  readonly #signal: AbortSignal | undefined;
  #nextMs = performance.now() + TURN_INTERVAL_MS;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  /** True when the last turn is long enough ago; asked first, so that pieces cost no promise. */
  isDue(): boolean {
    return performance.now() >= this.#nextMs;
  }

  /** @throws the signal's reason when it was aborted in the meantime. */
  async give(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 0));
    this.#signal?.throwIfAborted();
    this.#nextMs = performance.now() + TURN_INTERVAL_MS;
  }
}

const TURN_INTERVAL_MS = 50;

/** The header's bytes, and how long the file will be. */
interface Layout {
  readonly header: Uint8Array;
  readonly alignmentBytes: number;
  readonly totalBytes: number;
}

const VERSION = 3;
const ALIGNMENT_BYTES_DEFAULT = 32;

function layOut(spec: GgufSpec): Layout {
  const alignment = new Map(spec.metadata).get("general.alignment");
  const alignmentBytes = alignment ? Number(alignment.value) : ALIGNMENT_BYTES_DEFAULT;
  const header = new HeaderBytes();
  header.raw(new TextEncoder().encode(spec.magic ?? "GGUF"));
  header.u32(VERSION);
  header.u64(spec.tensors.length);
  header.u64(spec.metadata.length);
  for (const [key, stored] of spec.metadata) {
    header.string(key);
    header.stored(stored);
  }
  let offset = 0;
  for (const tensor of spec.tensors) {
    putTensorEntry(header, tensor, offset);
    offset += alignUp(tensorBytes(tensor), alignmentBytes);
  }
  const hasData = spec.tensors.length > 0;
  const totalBytes = (hasData ? alignUp(header.length, alignmentBytes) : header.length) + offset;
  return { header: header.finish(), alignmentBytes, totalBytes };
}

function putTensorEntry(header: HeaderBytes, tensor: TensorSpec, offset: number): void {
  const type = dtypeByName(tensor.type);
  check(type !== undefined, `no tensor type "${tensor.type}"`);
  header.string(tensor.name);
  header.u32(tensor.dims.length);
  for (const dimension of tensor.dims) header.u64(dimension);
  header.u32(type.id);
  header.u64(offset);
}

function tensorBytes({ type, dims }: TensorSpec): number {
  return dims.slice(1).reduce((bytes, dimension) => bytes * dimension, rowBytes(type, dims[0]));
}

function openForWriting(path: string, temporary: string): number {
  try {
    return openSync(temporary, "w");
  } catch (error) {
    throw explained(error, path);
  }
}

/** What the system refuses, in words; what the pieces' source threw, as it is. */
function explained(error: unknown, path: string, done = ""): unknown {
  const { code, syscall } = error as { code?: unknown; syscall?: unknown };
  if (typeof code !== "string" || typeof syscall !== "string") return error;
  const advice = WRITE_ADVICE[code] ?? `${code}: check the disk and the path`;
  const when = FULL.includes(code) ? ` (${done} was written)` : "";
  return new Error(`Cannot write "${path}": ${advice}${when}`, { cause: error });
}

/** What refuses when the writing has begun. */
const FULL = ["ENOSPC", "EDQUOT"];

const WRITE_ADVICE: Readonly<Record<string, string>> = {
  ENOENT: "there is no such folder: make it first",
  ENOTDIR: "a part of the path is not a folder: check the path",
  EISDIR: "the path is a folder: give the path of a file",
  EACCES: "the folder may not be written to: change its permissions, or give another path",
  EROFS: "the disk may only be read: give a path on another one",
  ENOSPC: "the disk is full: make room, or give a path on another one",
  EDQUOT: "your share of the disk is used up: make room, or give a path on another one",
  ENAMETOOLONG: "the name is too long: give a shorter one",
};

function writeFully(descriptor: number, bytes: Uint8Array): void {
  let done = 0;
  while (done < bytes.length) done += writeSync(descriptor, bytes, done);
}

function discard(descriptor: number, temporary: string): void {
  try {
    closeSync(descriptor);
  } catch {
    // It is closed already when the renaming failed.
  }
  rmSync(temporary, { force: true });
}
