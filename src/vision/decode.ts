/**
 * An image file to pixels: by decoders that are JavaScript or WebAssembly, since those that Deno
 * has (`createImageBitmap`) end the process on some damaged files.
 */
import { decodeBmp } from "./decoders/bmp.ts";
import { decodeGif } from "./decoders/gif.ts";
import { decodeJpeg, decodeWebp } from "./decoders/jpeg_webp.ts";
import { decodePng } from "./decoders/png.ts";
import { type AnyHeader, readHeader } from "./headers/mod.ts";
import { damaged } from "./image_error.ts";
import type { Raster } from "./types.ts";

/**
 * Decodes the first picture of a file. It stands as cameras say that it should (Exif); what can be
 * seen through lies on white; profiles of colours are not applied.
 * @throws {RequestError} 400 when it is no image, damaged or too large.
 */
export async function decodeImage(file: Uint8Array): Promise<Raster> {
  const header = readHeader(file);
  const raster = await decode(header);
  const { width, height, kind } = header;
  const isAsSaid = raster.width === width && raster.height === height ||
    raster.width === height && raster.height === width;
  if (isAsSaid) return raster;
  throw damaged(kind, `its pixels are others than it says: ${raster.width} · ${raster.height}`);
}

function decode(header: AnyHeader): Raster | Promise<Raster> {
  switch (header.kind) {
    case "bmp":
      return decodeBmp(header);
    case "gif":
      return decodeGif(header);
    case "jpeg":
      return decodeJpeg(header.file);
    case "png":
      return decodePng(header);
    case "webp":
      return decodeWebp(header.file);
  }
}
