/**
 * Writes GGUF files, version 3: a header, then tensors whose data is produced piece by piece, so
 * that memory stays flat. Knows nothing of models.
 */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import process from "node:process";
import { alignUp, check } from "../base/check.ts";
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

/**
 * Writes a file under a temporary name beside `path`, then renames it: `path` holds the old file or
 * the whole new one, never a half.
 * @returns bytes of the file.
 * @throws {Error} "Cannot write …" when the disk is full or may not be written to; nothing is left
 *   there.
 */
export function writeGguf(path: string, spec: GgufSpec, onProgress?: WriteProgress): number {
  const temporary = `${path}.${process.pid}.part`;
  const descriptor = openForWriting(path, temporary);
  try {
    const sizeBytes = emit(spec, (bytes) => writeFully(descriptor, bytes), onProgress);
    fsyncSync(descriptor);
    closeSync(descriptor);
    renameSync(temporary, path);
    return sizeBytes;
  } catch (error) {
    discard(descriptor, temporary);
    throw explained(error, path);
  }
}

/** The whole file in memory, for small models. */
export function encodeGguf(spec: GgufSpec): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(layOut(spec).totalBytes);
  let done = 0;
  emit(spec, (piece) => {
    bytes.set(piece, done);
    done += piece.length;
  });
  return bytes;
}

/** Gives the file to `sink`, piece by piece. */
function emit(
  spec: GgufSpec,
  sink: (bytes: Uint8Array) => void,
  onProgress?: WriteProgress,
): number {
  const { header, totalBytes, alignmentBytes } = layOut(spec);
  let done = 0;
  const put = (bytes: Uint8Array) => {
    sink(bytes);
    done += bytes.length;
    onProgress?.(done, totalBytes);
  };
  put(header);
  const padding = new Uint8Array(alignmentBytes);
  const pad = () => {
    if (done % alignmentBytes !== 0) put(padding.subarray(done % alignmentBytes));
  };
  if (spec.tensors.length > 0) pad();
  for (const tensor of spec.tensors) {
    const begin = done;
    for (const piece of tensor.pieces()) put(piece);
    const state = `${done - begin} of ${tensorBytes(tensor)} bytes`;
    check(done - begin === tensorBytes(tensor), `"${tensor.name}" was given ${state}`);
    pad();
  }
  return done;
}

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
function explained(error: unknown, path: string): unknown {
  const { code, syscall } = error as { code?: unknown; syscall?: unknown };
  if (typeof code !== "string" || typeof syscall !== "string") return error;
  const advice = WRITE_ADVICE[code] ?? `${code}: check the disk and the path`;
  return new Error(`Cannot write "${path}": ${advice}`, { cause: error });
}

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
