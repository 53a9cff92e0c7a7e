/**
 * Reads what a GGUF file says, split models included. Only headers are read, never the data of
 * tensors, and no file stays open.
 */
import { ModelFormatError } from "../base/errors.ts";
import { memorySource, openFileSource } from "./byte_source.ts";
import { readHeader } from "./header.ts";
import { mergeParts, type ReadPart, splitCount, splitPaths } from "./split.ts";
import type { TypedGgufFile } from "./types.ts";

/**
 * Reads the header of a model; for a split model, give the first part: the others are looked for
 * beside it.
 * @throws {ModelFormatError} when `path` is no readable regular file, its header is damaged or
 *   hostile, its tensors are not all there, or the parts do not belong together.
 */
export function openGguf(path: string): TypedGgufFile {
  const first = readPart(path, 0);
  const count = splitCount(first);
  if (count === 1) return mergeParts([first]);
  const paths = splitPaths(first, count);
  const others = paths.slice(1).map((part, index) => readPart(part, index + 1));
  return mergeParts([first, ...others]);
}

/**
 * Parses a whole GGUF file in memory; the bytes are not kept.
 * @throws {ModelFormatError} as `openGguf`, and for a part of a split model.
 */
export function parseGguf(bytes: Uint8Array): TypedGgufFile {
  const header = readHeader(memorySource(bytes), 0);
  const part: ReadPart = { header, path: "", sizeBytes: bytes.length };
  if (splitCount(part) !== 1) {
    const message = "Cannot parse one part of a split model: open the first part by its path";
    throw new ModelFormatError(message, { offsetBytes: 0 });
  }
  return mergeParts([part]);
}

function readPart(path: string, index: number): ReadPart {
  const source = openFileSource(path);
  try {
    return { header: readHeader(source, index), path, sizeBytes: source.sizeBytes };
  } finally {
    source.close();
  }
}
