/** Images that are seen through. */
import type { Raster } from "../types.ts";

/**
 * Lays an image on white, in place: text on nothing is mostly black, and so are the colours of
 * nothing, which a model would see where alpha is left out.
 * @param alpha where it is in a pixel.
 */
export function layOnWhite(raster: Raster, alpha: number): void {
  const { bytes, width, height, start, rowStride, pixelStride } = raster;
  const channels = [...new Set(raster.channels)];
  for (let y = 0; y < height; y++) {
    const row = start + y * rowStride;
    for (let at = row; at < row + pixelStride * width; at += pixelStride) {
      const share = bytes[at + alpha];
      if (share === 255) continue;
      for (const channel of channels) {
        const level = bytes[at + channel];
        bytes[at + channel] = Math.round((level * share + 255 * (255 - share)) / 255);
      }
    }
  }
}
