/** The door of vision: image files to what a tower reads, and what a prompt says around it. */
export { prepareFile, prepareImage } from "./prepare.ts";
export type { ImageTables, LayoutPart, PreparedImage, Raster } from "./types.ts";
