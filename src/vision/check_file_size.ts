/** What is known of an image file without looking into it. */
import { formatBytes, MiB } from "../base/units.ts";
import { tooLarge, unknown } from "./image_error.ts";

/** Of a file. */
export const FILE_BYTES_MAX = 20 * MiB;

/** @throws {RequestError} 400: files are larger than they may be, or empty. */
export function checkFileSize(bytes: Uint8Array): void {
  if (bytes.length === 0) throw unknown("its file is empty");
  if (bytes.length <= FILE_BYTES_MAX) return;
  throw tooLarge(
    `its file has ${formatBytes(bytes.length)}, files may have ${formatBytes(FILE_BYTES_MAX)}`,
    "send a smaller one",
  );
}
