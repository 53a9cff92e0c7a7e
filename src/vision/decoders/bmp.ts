/** BMP's pixels, where they are in the file. */
import type { BmpHeader } from "../headers/bmp.ts";
import type { Raster } from "../types.ts";
import { throughPalette } from "./palette.ts";

export function decodeBmp(header: BmpHeader): Raster {
  const { width, height, bits, rowBytes, isTopDown, pixels, palette } = header;
  const raster: Raster = {
    ...{ width, height, bytes: pixels, pixelStride: bits / 8, channels: [2, 1, 0] },
    start: isTopDown ? 0 : (height - 1) * rowBytes,
    rowStride: isTopDown ? rowBytes : -rowBytes,
  };
  if (bits !== 8) return raster;
  const rgb = new Uint8Array(3 * 256);
  for (let i = 0; i < 256; i++) {
    for (let c = 0; c < 3; c++) rgb[3 * i + c] = palette[4 * i + 2 - c] ?? 0;
  }
  return throughPalette(raster, rgb);
}
