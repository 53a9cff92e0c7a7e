/**
 * What it takes to write a file anew with some of it changed: its own header and tensors as they
 * are, but in one part, and a look at where the new file is to lie.
 */
import { statSync } from "node:fs";
import { UsageError } from "../base/errors.ts";
import { type MetadataEntry, storedMetadata } from "./stored_values.ts";
import type { TensorReader } from "./tensor_reader.ts";
import type { GgufFile, GgufTensor, TypedGgufFile } from "./types.ts";

/** The magic of a copy. */
export function magicOf(file: GgufFile): "GGUF" | "PWRI" {
  return file.magic === "PWRI" ? "PWRI" : "GGUF";
}

/**
 * The file's metadata with some entries changed or added; one that is there keeps its place. What
 * says how a model is split is left out.
 */
export function changedMetadata(
  file: TypedGgufFile,
  changes: readonly MetadataEntry[],
): MetadataEntry[] {
  const kept = storedMetadata(file).filter(([key]) => !key.startsWith("split."));
  return [...new Map([...kept, ...changes])];
}

/**
 * A tensor's bytes as they are, through `buffer`; a piece is valid until the next one is asked for.
 */
export function* copiedPieces(
  reader: TensorReader,
  tensor: GgufTensor,
  buffer: Uint8Array,
): Iterable<Uint8Array> {
  for (let begin = 0; begin < tensor.sizeBytes; begin += buffer.length) {
    const piece = buffer.subarray(0, Math.min(buffer.length, tensor.sizeBytes - begin));
    reader.read(tensor, begin, piece);
    yield piece;
  }
}

/**
 * Looks before hours of work are done that cannot be saved, or that replace what is read.
 * @throws {UsageError} when `out` is no regular file, or a part of `file`.
 */
export function checkOutput(
  out: string,
  { parts }: { readonly parts: readonly { readonly path: string }[] },
): void {
  const there = statSync(out, { throwIfNoEntry: false });
  if (there === undefined) return;
  if (!there.isFile()) {
    throw new UsageError(`Cannot write "${out}": it is no regular file: give another path`);
  }
  for (const { path } of parts) {
    const part = statSync(path, { throwIfNoEntry: false });
    if (part?.dev !== there.dev || part.ino !== there.ino) continue;
    throw new UsageError(
      `Cannot write "${out}": it is the file that is read: give another path`,
    );
  }
}
