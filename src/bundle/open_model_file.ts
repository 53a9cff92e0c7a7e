/** Opens a model of either kind, packed or plain, by its first bytes. */
import { createHash } from "node:crypto";
import { openFileSource } from "../gguf/byte_source.ts";
import { fingerprint } from "../gguf/fingerprint.ts";
import { openGguf } from "../gguf/parse.ts";
import type { GgufFile } from "../gguf/types.ts";
import { isPacked, MAGIC } from "./format.ts";
import { openPacked } from "./open_packed.ts";
import type { PackedModel } from "./types.ts";

/** What a model's file says. */
export interface ModelFile {
  /** Metadata and tensors; those of a packed model's units have no bytes in it. */
  readonly file: GgufFile;
  /** Null: a plain GGUF file. */
  readonly packed: PackedModel | null;
}

/** @throws {ModelFormatError} as `openGguf` and `openPacked`. */
export function openModelFile(path: string): ModelFile {
  if (!isPackedFile(path)) return { file: openGguf(path), packed: null };
  const packed = openPacked(path);
  return { file: packed.file, packed };
}

/**
 * Which model a file holds, or was packed from, with what steers it: statistics are of that.
 * @throws {ModelFormatError} when it cannot be read any more.
 */
export function sourceFingerprint({ file, packed }: ModelFile): string {
  if (packed === null) return fingerprint(file.parts);
  const { sourceFingerprint: own } = packed;
  const steering = file.parts.filter(({ use }) => use !== undefined);
  if (steering.length === 0) return own;
  return createHash("sha256").update(own).update(fingerprint(steering)).digest("hex");
}

/**
 * True for a file that begins as packed ones do.
 * @throws {ModelFormatError} when it cannot be read.
 */
function isPackedFile(path: string): boolean {
  const source = openFileSource(path);
  try {
    if (source.sizeBytes < MAGIC.length) return false;
    const bytes = new Uint8Array(MAGIC.length);
    source.read(0, bytes);
    return isPacked(bytes);
  } finally {
    source.close();
  }
}
