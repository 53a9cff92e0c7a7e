/** Pixels for tests of images. */
import type { Raster } from "../../src/vision/mod.ts";

/** An image of what `level` says of each channel. */
export function makeRaster(
  width: number,
  height: number,
  level: (x: number, y: number, channel: number) => number,
): Raster {
  const bytes = new Uint8Array(width * height * 3);
  for (let i = 0; i < bytes.length; i++) {
    const pixel = Math.floor(i / 3);
    bytes[i] = level(pixel % width, Math.floor(pixel / width), i % 3);
  }
  return {
    ...{ width, height, bytes, start: 0, rowStride: 3 * width, pixelStride: 3 },
    channels: [0, 1, 2],
  };
}

/** R, G and B of a pixel. */
export function pixelOf(
  { bytes, start, rowStride, pixelStride, channels }: Raster,
  x: number,
  y: number,
): number[] {
  return channels.map((channel) => bytes[start + y * rowStride + x * pixelStride + channel]);
}

/** All pixels, R, G and B in turns. */
export function levelsOf(raster: Raster): number[] {
  const levels: number[] = [];
  for (let y = 0; y < raster.height; y++) {
    for (let x = 0; x < raster.width; x++) levels.push(...pixelOf(raster, x, y));
  }
  return levels;
}
