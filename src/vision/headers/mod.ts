/** What an image file says of itself, looked at before anything is decoded. */
import { checkFileSize } from "../check_file_size.ts";
import { damaged, tooLarge, unknown } from "../image_error.ts";
import { type BmpHeader, readBmpHeader } from "./bmp.ts";
import { type GifHeader, readGifHeader } from "./gif.ts";
import { type JpegHeader, readJpegHeader } from "./jpeg.ts";
import { type PngHeader, readPngHeader } from "./png.ts";
import { readWebpHeader, type WebpHeader } from "./webp.ts";

/** What a file says, by its kind. */
export type AnyHeader = BmpHeader | GifHeader | JpegHeader | PngHeader | WebpHeader;

/** Decoded, it is three times as many bytes, and several times that while it is decoded. */
export const PIXELS_MAX = 64e6;

/**
 * What a JPEG may have. Columns are brought to their new number before rows are: of millions of
 * rows that would be gigabytes, however few columns they have.
 */
const SIDE_MAX = 65_535;

/** The first bytes of files; null: any. */
const BEGINNINGS: readonly [readonly (number | null)[], (bytes: Uint8Array) => AnyHeader][] = [
  [[0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a], readPngHeader],
  [[0xff, 0xd8, 0xff], readJpegHeader],
  [[...ascii("RIFF"), null, null, null, null, ...ascii("WEBP")], readWebpHeader],
  [ascii("GIF87a"), readGifHeader],
  [ascii("GIF89a"), readGifHeader],
  [ascii("BM"), readBmpHeader],
];

/**
 * What is in the file, going by its first bytes, not by what it is called.
 * @throws {RequestError} 400 when it is of no known kind, damaged, or too large to be decoded.
 */
export function readHeader(bytes: Uint8Array): AnyHeader {
  checkFileSize(bytes);
  const known = BEGINNINGS.find(([start]) =>
    start.every((byte, i) => byte === null || bytes[i] === byte)
  );
  if (known === undefined) throw unknown("its file is of no kind that this version reads");
  const header = known[1](bytes);
  const { width, height, kind } = header;
  if (width < 1 || height < 1) {
    throw damaged(kind, `it says that it is ${width} · ${height} pixels large`);
  }
  if (width * height <= PIXELS_MAX) {
    if (Math.max(width, height) <= SIDE_MAX) return header;
    throw tooLarge(
      `it has ${width} · ${height} pixels, a side may have ${SIDE_MAX}`,
      "send it in pieces",
    );
  }
  throw tooLarge(
    `it has ${width} · ${height} pixels, images may have ${PIXELS_MAX / 1e6} million`,
    "send a smaller one",
  );
}

function ascii(text: string): number[] {
  return Array.from(text, (letter) => letter.charCodeAt(0));
}
