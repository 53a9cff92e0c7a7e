/**
 * An image cut as Step3-VL was trained: whole, and windows as large as its shape wants. Sizes that
 * towers see are made between colours that are normalised already, in single precision.
 */
import { RequestError } from "../base/errors.ts";
import type { ImageConfig } from "../model/vision_types.ts";
import { crop, resize, type Resizing, type Size } from "./resize.ts";
import type { Raster } from "./types.ts";

/** Of the longest edge, where a file does not say. */
const LONGEST_EDGE = 3024;
/** An image thinner than that is put on a square, where its shorter edge is below so much. */
const [WIDE, THIN_EDGE] = [4, 32];
/** One that is small and longer than that is looked at in windows, too. */
const LONG = 1.5;
/** Of a window, what is left of an edge is one more, or nothing. */
const MORE = 0.2;
/** Each is enlarged to a tile: of 504 pixels on a side that are 3 MB. */
const WINDOWS_MAX = 64;
const PILLOW: Resizing = { filter: "bilinear", around: null };

const { fround } = Math;

/** @throws {RequestError} 400 when the image is so thin that it has more windows than that. */
export function cutWindows(
  image: Raster,
  config: ImageConfig,
): { readonly whole: Raster; readonly parts: Raster[][] } {
  const { imageSize, tileSize = imageSize, longestEdge } = config;
  const prepared = withinEdge(onSquare(image), longestEdge ?? LONGEST_EDGE);
  const whole = between(prepared, imageSize, config);
  const side = windowSide(prepared, imageSize, tileSize);
  if (side === 0) return { whole, parts: [] };
  const size = { width: extent(prepared.width, side), height: extent(prepared.height, side) };
  const count = (length: number) => Math.max(1, length / side);
  const [rows, columns] = [count(size.height), count(size.width)];
  if (rows * columns > WINDOWS_MAX) {
    throw new RequestError(
      `Cannot look at the image: it is ${image.width} pixels wide and ${image.height} high, and ` +
        `would be cut into ${rows * columns} parts, ${WINDOWS_MAX} are possible: cut it yourself`,
      { status: 400, code: "invalid_image" },
    );
  }
  const resized = resize(prepared, size, PILLOW);
  const parts = Array.from(
    { length: rows },
    (_, row) =>
      Array.from({ length: columns }, (_, column) => {
        const part = crop(resized, {
          ...{ left: column * side, top: row * side },
          width: Math.min(side, size.width),
          height: Math.min(side, size.height),
        });
        return between(onBlack(part, side), tileSize, config);
      }),
  );
  return { whole, parts };
}

/** A thin image in the corner of a black square. */
function onSquare(image: Raster): Raster {
  const { width, height } = image;
  const ratio = fround(width / height);
  const isThin = ratio > WIDE || ratio < 1 / WIDE;
  if (!isThin || Math.min(width, height) >= THIN_EDGE) return image;
  return onBlack(image, Math.max(width, height));
}

/** An image in the corner of a black square; where it fills it, the image itself. */
function onBlack(image: Raster, side: number): Raster {
  const { width, height, bytes, start, rowStride, pixelStride, channels } = image;
  if (width === side && height === side) return image;
  const black = new Uint8Array(side * side * 3);
  for (let y = 0; y < height; y++) {
    let from = start + y * rowStride;
    for (let x = 0, to = y * side * 3; x < width; x++, from += pixelStride, to += 3) {
      for (let c = 0; c < 3; c++) black[to + c] = bytes[from + channels[c]];
    }
  }
  return {
    ...{ width: side, height: side, bytes: black, start: 0, rowStride: side * 3, pixelStride: 3 },
    channels: [0, 1, 2],
  };
}

function withinEdge(image: Raster, edge: number): Raster {
  const longest = Math.max(image.width, image.height);
  if (longest <= edge) return image;
  const scale = fround(edge / longest);
  const shorter = (length: number) => Math.max(1, Math.floor(fround(length * scale)));
  return resize(image, { width: shorter(image.width), height: shorter(image.height) }, PILLOW);
}

/** Of windows; 0: it is looked at as a whole only. */
function windowSide({ width, height }: Size, imageSize: number, tileSize: number): number {
  const longer = Math.max(width, height), shorter = Math.min(width, height);
  const ratio = fround(longer / shorter);
  if (longer <= imageSize) return ratio > LONG ? shorter : 0;
  return ratio > WIDE ? Math.min(shorter, tileSize) : tileSize;
}

/** Whole windows; of an edge that is shorter than one, the edge. */
function extent(length: number, side: number): number {
  const ratio = fround(length / side);
  if (ratio < 1) return length;
  const whole = Math.floor(ratio);
  return side * (fround(ratio - whole) > fround(MORE) ? whole + 1 : whole);
}

/** A square of that side, each colour between four, normalised first; of that side, the image. */
function between(image: Raster, side: number, { mean, deviation }: ImageConfig): Raster {
  const { width, height, bytes, start, rowStride, pixelStride, channels } = image;
  if (width === side && height === side) return image;
  const values = new Float32Array(side * side * 3);
  const [down, across] = [height, width].map((length) => neighbours(length, side));
  const levels = [0, 1, 2].map((c) =>
    Float32Array.from(
      { length: 256 },
      (_, level) => fround(fround(level / 255) - fround(mean[c])) / fround(deviation[c]),
    )
  );
  for (let y = 0, to = 0; y < side; y++) {
    const [above, below] = [down.first[y], down.next[y]].map((row) => start + row * rowStride);
    for (let x = 0; x < side; x++) {
      const left = across.first[x] * pixelStride, right = across.next[x] * pixelStride;
      for (let c = 0; c < 3; c++, to++) {
        const level = levels[c], at = channels[c];
        const top = mix(
          level[bytes[above + left + at]],
          level[bytes[above + right + at]],
          across,
          x,
        );
        const base = mix(
          level[bytes[below + left + at]],
          level[bytes[below + right + at]],
          across,
          x,
        );
        values[to] = mix(top, base, down, y);
      }
    }
  }
  return { ...image, width: side, height: side, values };
}

interface Neighbours {
  readonly first: Int32Array;
  readonly next: Int32Array;
  /** Of the way from the first one to the next. */
  readonly share: Float32Array;
}

/** Of each place of `side` the two of `length` that it is between, where pixels' centres meet. */
function neighbours(length: number, side: number): Neighbours {
  const scale = fround(length / side);
  const [first, next] = [new Int32Array(side), new Int32Array(side)];
  const share = new Float32Array(side);
  for (let i = 0; i < side; i++) {
    const place = fround(fround(fround(i + 0.5) * scale) - 0.5);
    const floor = Math.floor(place);
    first[i] = Math.max(0, Math.min(floor, length - 1));
    next[i] = Math.max(0, Math.min(floor + 1, length - 1));
    share[i] = place - floor;
  }
  return { first, next, share };
}

function mix(a: number, b: number, { share }: Neighbours, place: number): number {
  return fround(a + fround(fround(b - a) * share[place]));
}
