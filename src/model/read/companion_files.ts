/** Files that belong to a model and are none: what changes one, and what its weights count. */
import { UnsupportedModelError } from "../../base/errors.ts";
import type { GgufFile } from "../../gguf/mod.ts";

/** True for a file that says it is an adapter: low-rank matrices, or a vector that steers. */
export function isAdapter(file: Pick<GgufFile, "metadata">): boolean {
  const { metadata } = file;
  return metadata.get("general.type") === "adapter" || metadata.has("adapter.type") ||
    isControlVector(file);
}

/** True for a file that says it is a control vector. */
export function isControlVector({ metadata }: Pick<GgufFile, "metadata">): boolean {
  return metadata.get("general.architecture") === "controlvector";
}

/** True for a file that says it is an importance matrix. */
export function isImportance({ metadata }: Pick<GgufFile, "metadata">): boolean {
  return metadata.get("general.type") === "imatrix";
}

/** @throws {UnsupportedModelError} when the file is one of these, and not a model. */
export function refuseCompanion(file: Pick<GgufFile, "metadata">): void {
  if (isImportance(file)) {
    throw new UnsupportedModelError(
      "Cannot run this file: it is an importance matrix, which says what a model's weights " +
        "count: give the model's file, and this one to quantize --imatrix",
    );
  }
  if (!isAdapter(file)) return;
  const [what, flag] = isControlVector(file)
    ? ["a control vector", "--control-vector"]
    : ["an adapter", "--lora"];
  throw new UnsupportedModelError(
    `Cannot run this file: it is ${what}, which changes a model and is none by itself: give ` +
      `the model's file, and this one with ${flag}`,
  );
}
