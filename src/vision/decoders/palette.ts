/** Pixels that are numbers of colours. */
import type { Raster } from "../types.ts";

/** @param palette R, G and B in turns, of all numbers that pixels may have. */
export function throughPalette(
  { bytes, width, height, start, rowStride }: Raster,
  palette: Uint8Array,
) {
  const pixels = new Uint8Array(width * height * 3);
  let to = 0;
  for (let y = 0; y < height; y++) {
    const row = start + y * rowStride;
    for (let x = 0; x < width; x++, to += 3) {
      const colour = 3 * bytes[row + x];
      pixels[to] = palette[colour];
      pixels[to + 1] = palette[colour + 1];
      pixels[to + 2] = palette[colour + 2];
    }
  }
  const of = { width, height, bytes: pixels, start: 0, rowStride: 3 * width, pixelStride: 3 };
  return { ...of, channels: [0, 1, 2] } satisfies Raster;
}
