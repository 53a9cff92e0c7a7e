/** Images that are the same everywhere: slopes and noise in stripes. */
import type { Raster } from "../../src/vision/types.ts";

/** Even stripes of columns are noise, the others slopes. */
export function seededImage(width: number, height: number): Raster {
  const bytes = new Uint8Array(width * height * 3);
  let state = width * 31 + height;
  for (let at = 0; at < bytes.length; at++) {
    const [x, y] = [Math.floor(at / 3) % width, Math.floor(at / 3 / width)];
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = (x >> 3) % 2 === 0 ? state >>> 24 : (3 * x + 2 * y + 60 * (at % 3)) % 256;
  }
  return {
    ...{ width, height, bytes, start: 0, rowStride: 3 * width, pixelStride: 3 },
    channels: [0, 1, 2],
  };
}
