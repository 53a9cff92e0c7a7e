/** Parsed files with something changed: models that are wrong in one place. */
import type { GgufFile, GgufTensor, GgufValue } from "../../src/gguf/mod.ts";

/** `file` with these metadata values; undefined takes a key out. */
export function withMetadata(
  file: GgufFile,
  changes: Readonly<Record<string, GgufValue | undefined>>,
): GgufFile {
  const metadata = new Map(file.metadata);
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) metadata.delete(key);
    else metadata.set(key, value);
  }
  return { ...file, metadata };
}

/** The same of keys that begin with the file's architecture, which is left out. */
export function withKeys(
  file: GgufFile,
  changes: Readonly<Record<string, GgufValue | undefined>>,
): GgufFile {
  const architecture = file.metadata.get("general.architecture");
  const named = Object.entries(changes).map(([key, value]) => [`${architecture}.${key}`, value]);
  return withMetadata(file, Object.fromEntries(named));
}

/** `file` with fields of one tensor replaced; one that is not there begins as an F32 vector. */
export function withTensor(
  file: GgufFile,
  name: string,
  changes: Partial<GgufTensor>,
): GgufFile {
  const like = file.tensors.get(name) ?? file.tensors.get("output_norm.weight")!;
  const tensors = new Map(file.tensors).set(name, { ...like, name, ...changes });
  return { ...file, tensors };
}

/** `file` without one tensor. */
export function withoutTensor(file: GgufFile, name: string): GgufFile {
  const tensors = new Map(file.tensors);
  tensors.delete(name);
  return { ...file, tensors };
}
