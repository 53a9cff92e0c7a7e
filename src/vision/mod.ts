/**
 * The door of vision for those who ask for images: what kinds there are, and what comes out.
 * Decoders are behind `prepare.ts`, which the thread of images loads and nobody else.
 */
export { checkFileSize } from "./check_file_size.ts";
export { type ImageKind, imageKindOf } from "./kinds.ts";
export type { ImageTables, LayoutPart, PreparedImage, Raster } from "./types.ts";
