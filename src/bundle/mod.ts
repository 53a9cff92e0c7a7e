/** The door to packed files: what they hold, opened and checked. Writes nothing. */
export { type ModelFile, openModelFile, sourceFingerprint } from "./open_model_file.ts";
export { openPacked } from "./open_packed.ts";
export type { BundleAlignment } from "./format.ts";
export { nameOfUnit } from "./units.ts";
export type { BundlePart, BundleUnit, FileStamp, PackedModel } from "./types.ts";
