/** The door of packing: writes packed files and looks after them. Knows nothing of running them. */
export { packFile, type PackOptions, type PackResult } from "./pack_file.ts";
export { partPath } from "./part_journal.ts";
