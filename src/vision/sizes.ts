/** Which sizes images are brought to; in single precision, as elsewhere, where others come out. */
import { tooLarge } from "./image_error.ts";
import type { Size } from "./resize.ts";

const { fround, max, min, sqrt } = Math;

/**
 * The size of an image's shape whose sides are whole numbers of `align` and whose pixels are within
 * bounds ("smart resize").
 * @throws {RequestError} 400 when there is none: the image is too long and thin.
 */
export function sizeWithinPixels(
  { width, height }: Size,
  { align, pixelsMin, pixelsMax }: {
    readonly align: number;
    readonly pixelsMin: number;
    readonly pixelsMax: number;
  },
): Size {
  const rounded = (round: (value: number) => number, side: number) =>
    round(fround(fround(side) / align)) * align;
  let size = {
    width: max(align, rounded(Math.round, width)),
    height: max(align, rounded(Math.round, height)),
  };
  if (size.width * size.height > pixelsMax) {
    const shrink = fround(sqrt(fround(fround(width * height) / pixelsMax)));
    size = {
      width: max(align, rounded(Math.floor, fround(width / shrink))),
      height: max(align, rounded(Math.floor, fround(height / shrink))),
    };
  } else if (size.width * size.height < pixelsMin) {
    const grow = fround(sqrt(fround(pixelsMin / fround(width * height))));
    size = {
      width: rounded(Math.ceil, fround(width * grow)),
      height: rounded(Math.ceil, fround(height * grow)),
    };
  }
  if (size.width * size.height <= pixelsMax) return size;
  throw tooLong({ width, height });
}

/** What a scale is made smaller by. */
const STEP = fround(0.02);

/**
 * The size of an image's shape, or of fiftieths of it less, whose sides are rounded up to whole
 * `align`s and that has no more patches than there may be.
 * @throws {RequestError} 400 when there is none: the image is too long and thin.
 */
export function sizeBySteps(
  { width, height }: Size,
  { patchSize, align, pixelsMax }: {
    readonly patchSize: number;
    readonly align: number;
    readonly pixelsMax: number;
  },
): Size {
  const most = Math.trunc(pixelsMax / patchSize ** 2);
  for (let scale = 1; scale > STEP / 2; scale = fround(scale - STEP)) {
    const side = (length: number) =>
      max(align, Math.ceil(fround(fround(length * scale) / align)) * align);
    const size = { width: side(width), height: side(height) };
    if (size.width / patchSize * (size.height / patchSize) <= most) return size;
  }
  throw tooLong({ width, height });
}

/**
 * Of the grids of whole `align`s next to an image's own size, or to the largest one of its shape
 * that has no more than it may have, the one that is most like its shape.
 * @throws {RequestError} 400 when there is none: the image is too long and thin.
 */
export function sizeOfNearestShape(
  { width, height }: Size,
  { align, pixelsMax }: { readonly align: number; readonly pixelsMax: number },
): Size {
  const most = Math.trunc(pixelsMax / align ** 2);
  let [rows, columns] = [height / align, width / align];
  const shape = columns / rows;
  if (rows * columns > most) {
    rows = sqrt(most / shape);
    columns = rows * shape;
  }
  let best: Size | null = null;
  let bestDifference = Infinity;
  for (const down of [Math.floor(rows), Math.ceil(rows)]) {
    for (const across of [Math.floor(columns), Math.ceil(columns)]) {
      if (down < 1 || across < 1 || down * across > most) continue;
      const difference = Math.abs(down / across - height / width);
      const isLarger = best === null || down * across > best.width * best.height;
      if (difference < bestDifference || difference === bestDifference && isLarger) {
        [best, bestDifference] = [{ width: across, height: down }, difference];
      }
    }
  }
  if (best === null) throw tooLong({ width, height });
  return { width: best.width * align, height: best.height * align };
}

function tooLong({ width, height }: Size): Error {
  return tooLarge(
    `${width} · ${height} pixels are too long and thin for this model`,
    "send it in pieces that are less so",
  );
}

/** The size of an image's shape with that longest edge, each side rounded up to whole `align`s. */
export function sizeOfLongestEdge({ width, height }: Size, longest: number, align: number): Size {
  const scale = min(fround(longest / width), fround(longest / height));
  const side = (value: number) => Math.ceil(fround(fround(value * scale) / align)) * align;
  return { width: side(width), height: side(height) };
}

/** Halves become even. */
export function roundedToEven(value: number): number {
  const below = Math.floor(value);
  return value - below === 0.5 ? below + below % 2 : Math.round(value);
}

/** The size of an image's shape with that longest edge; the other one is even, or 1. */
export function evenSizeOfEdge({ width, height }: Size, longest: number): Size {
  const shape = width / height;
  const even = (length: number) => max(1, Math.trunc(length) + Math.trunc(length) % 2);
  return width >= height
    ? { width: longest, height: even(longest / shape) }
    : { width: even(longest * shape), height: longest };
}

/**
 * The size of an image's shape with about as many pixels as a square, in whole `align`s.
 * @throws {RequestError} 400 when whole ones are too many: the image is too long and thin.
 */
export function sizeLikeSquare(
  { width, height }: Size,
  { side, align, pixelsMax }: {
    readonly side: number;
    readonly align: number;
    readonly pixelsMax: number;
  },
): Size {
  const shape = fround(width / height);
  const tall = Math.trunc(fround(side / fround(sqrt(shape))));
  const wide = Math.trunc(fround(tall * shape));
  const whole = (length: number) => max(align, Math.round(fround(length / align)) * align);
  const size = { width: whole(wide), height: whole(tall) };
  if (size.width * size.height <= pixelsMax) return size;
  throw tooLong({ width, height });
}

/** Most parts of an image. */
const SLICES_MAX = 9;

/**
 * Columns and rows of parts, about as many as squares have an image's pixels, nearest to its shape;
 * null: a square has them all.
 */
export function slicesOf({ width, height }: Size, side: number): Size | null {
  const squares = fround(fround(width * height) / (side * side));
  if (squares <= 1) return null;
  const count = min(Math.ceil(squares), SLICES_MAX);
  const shape = fround(Math.log(fround(width / height)));
  let best: Size = { width: 1, height: 1 };
  let bestDifference = Infinity;
  for (const all of [count - 1, count, count + 1]) {
    if (all === 1 || all > SLICES_MAX) continue;
    for (const grid of gridsByArea(all, all)) {
      const difference = fround(Math.abs(shape - Math.log(grid.width / grid.height)));
      if (difference < bestDifference) [best, bestDifference] = [grid, difference];
    }
  }
  return best;
}

/** Of sizes, the one in which an image keeps most of its pixels, and then wastes least. */
export function bestSize({ width, height }: Size, sizes: readonly Size[]): Size {
  let best = sizes[0];
  let [bestKept, bestWasted] = [0, Infinity];
  for (const size of sizes) {
    const scale = min(fround(size.width / width), fround(size.height / height));
    const fitting = Math.trunc(fround(width * scale)) * Math.trunc(fround(height * scale));
    const kept = min(fitting, width * height);
    const wasted = size.width * size.height - kept;
    if (kept > bestKept || kept === bestKept && wasted < bestWasted) {
      [best, bestKept, bestWasted] = [size, kept, wasted];
    }
  }
  return best;
}

/** Columns and rows of tiles, so many at least and at most, nearest to an image's shape. */
export function bestGrid(
  { width, height }: Size,
  { tilesMin, tilesMax, tileSide }: {
    readonly tilesMin: number;
    readonly tilesMax: number;
    readonly tileSide: number;
  },
): Size {
  const shape = fround(width / height);
  let best: Size = { width: 1, height: 1 };
  let bestDifference = Infinity;
  for (const grid of gridsByArea(tilesMin, tilesMax)) {
    const difference = fround(Math.abs(fround(shape - fround(grid.width / grid.height))));
    const area = tileSide * tileSide * grid.width * grid.height;
    const isBetter = difference < bestDifference ||
      difference === bestDifference && width * height > area / 2;
    if (isBetter) best = grid;
    bestDifference = min(bestDifference, difference);
  }
  return best;
}

/** All grids of so many tiles, the smaller ones first. */
function gridsByArea(tilesMin: number, tilesMax: number): Size[] {
  const grids: Size[] = [];
  for (let area = tilesMin; area <= tilesMax; area++) {
    for (let width = 1; width <= area; width++) {
      if (area % width === 0) grids.push({ width, height: area / width });
    }
  }
  return grids;
}
