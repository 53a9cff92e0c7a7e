/** An image cut into what a tower looks at: sizes by the kind, then pixels. */
import type { ImageConfig } from "../model/vision_types.ts";
import type { ImageKind } from "./kinds.ts";
import { crop, resize, type Size } from "./resize.ts";
import {
  bestGrid,
  bestSize,
  evenSizeOfEdge,
  roundedToEven,
  sizeBySteps,
  sizeLikeSquare,
  sizeOfLongestEdge,
  sizeOfNearestShape,
  sizeWithinPixels,
  slicesOf,
} from "./sizes.ts";
import type { Raster } from "./types.ts";
import { cutWindows } from "./windows.ts";

/** What is looked at of an image. */
export interface ImageTiles {
  readonly whole: Raster;
  /** Rows of parts of the image, all of one size; none: it is looked at as a whole only. */
  readonly parts: readonly (readonly Raster[])[];
}

/** Where files do not say. */
const INTERNVL_TILES = { min: 1, max: 12 };
/** Files of LFM2-VL do not say them: of the processor it was published with. */
const LFM2_TILES = { tilesMin: 2, tilesMax: 10, tileSide: 512, tolerance: 2 };

/** @throws {RequestError} 400 when the image's shape is one that no size is like. */
export function cutImage(image: Raster, config: ImageConfig, kind: ImageKind): ImageTiles {
  if (kind.cut === "windows") return cutWindows(image, config);
  const { imageSize } = config;
  const square = { width: imageSize, height: imageSize };
  switch (kind.cut) {
    case "square":
      return { whole: resize(image, square, kind.whole), parts: [] };
    case "ownShape":
      return { whole: resize(image, ownSize(image, config), kind.whole), parts: [] };
    case "ownShapeBySteps": {
      const { patchSize, mergeSide, pixelsMax } = config;
      const align = patchSize * mergeSide;
      const size = sizeBySteps(image, { patchSize, align, pixelsMax: pixelsMax! });
      return { whole: resize(image, size, kind.whole), parts: [] };
    }
    case "nearestShape": {
      const { patchSize, mergeSide, pixelsMax } = config;
      const align = patchSize * mergeSide;
      const size = sizeOfNearestShape(image, { align, pixelsMax: pixelsMax! });
      return { whole: resize(image, size, kind.whole), parts: [] };
    }
    case "ownEdge": {
      const { longestEdge, patchSize, mergeSide } = config;
      const size = sizeOfLongestEdge(image, longestEdge!, patchSize * mergeSide);
      return { whole: resize(image, size, kind.whole), parts: [] };
    }
    case "bestSize":
    case "bestSizeAlways": {
      const cut = bestCut(image, config, kind);
      return cutInto(image, { kind, whole: square, cut, part: square });
    }
    case "longestEdge": {
      const { longestEdge } = config;
      if (longestEdge === null) {
        return cutInto(image, { kind, whole: square, cut: null, part: square });
      }
      // Three steps, as in training.
      const { width, height } = evenSizeOfEdge(image, longestEdge);
      const inEdge = resize(image, { width, height }, kind.parts);
      const inTiles = (length: number) => Math.ceil(length / imageSize) * imageSize;
      const size = { width: inTiles(width), height: inTiles(height) };
      const enlarged = resize(inEdge, size, kind.parts);
      return cutInto(enlarged, { kind, whole: square, cut: size, part: square });
    }
    case "bestGrid": {
      const { tileSide, tolerance } = LFM2_TILES;
      const { patchSize, mergeSide, pixelsMax } = config;
      const whole = (length: number) =>
        Math.max(
          patchSize,
          roundedToEven(length / (patchSize * mergeSide)) * patchSize * mergeSide,
        );
      const isSmall = whole(image.width) * whole(image.height) <= pixelsMax! * tolerance;
      const grid = isSmall ? null : bestGrid(image, LFM2_TILES);
      const cut = grid && { width: grid.width * tileSide, height: grid.height * tileSide };
      const part = { width: tileSide, height: tileSide };
      return cutInto(image, { kind, whole: ownSize(image, config), cut, part });
    }
    case "tileGrid": {
      const { tileSize: side = imageSize, tilesMin, tilesMax } = config;
      const isSmall = image.width <= side && image.height <= side;
      const of = { tilesMin: Math.max(1, tilesMin!), tilesMax: tilesMax!, tileSide: side };
      const grid = isSmall ? null : bestGrid(image, of);
      const cut = grid && { width: grid.width * side, height: grid.height * side };
      return cutInto(image, { kind, whole: square, cut, part: { width: side, height: side } });
    }
    case "slices":
      return cutSlices(image, config, kind);
  }
}

/** Parts are as many as squares would fill the image, and each is about as large as one. */
function cutSlices(image: Raster, config: ImageConfig, kind: ImageKind): ImageTiles {
  const { imageSize, patchSize, mergeSide, pixelsMax } = config;
  const align = patchSize * mergeSide;
  const sizeOf = (of: Size) =>
    sizeLikeSquare(of, { side: imageSize, align, pixelsMax: pixelsMax! });
  const whole = sizeOf(image);
  const grid = slicesOf(image, imageSize);
  if (grid === null) return cutInto(image, { kind, whole, cut: null, part: whole });
  const share = (length: number, count: number) =>
    Math.floor(Math.max(count, Math.round(Math.fround(length / count)) * count) / count);
  const part = sizeOf({
    width: share(image.width, grid.width),
    height: share(image.height, grid.height),
  });
  const cut = { width: grid.width * part.width, height: grid.height * part.height };
  return cutInto(image, { kind, whole, cut, part });
}

function ownSize(image: Size, config: ImageConfig): Size {
  const { patchSize, mergeSide, windowSide, pixelsMin, pixelsMax } = config;
  return sizeWithinPixels(image, {
    align: patchSize * (windowSide ?? mergeSide),
    pixelsMin: pixelsMin!,
    pixelsMax: pixelsMax!,
  });
}

/** The best of some sizes; null: a small image is not cut. */
function bestCut(image: Size, config: ImageConfig, kind: ImageKind): Size | null {
  const isSmall = Math.max(image.width, image.height) <= config.imageSize;
  return isSmall && kind.cut === "bestSize" ? null : bestSize(image, candidates(config, kind));
}

/** Sizes that a file lists, or all of whole tiles. */
function candidates(
  { gridSizes, imageSize, tilesMin, tilesMax }: ImageConfig,
  { tilesOfSides }: ImageKind,
): Size[] {
  if (tilesOfSides !== undefined) return sizesOfSides(tilesOfSides, imageSize);
  if (gridSizes.length > 0) return gridSizes.map(([width, height]) => ({ width, height }));
  const [least, most] = [tilesMin ?? INTERNVL_TILES.min, tilesMax ?? INTERNVL_TILES.max];
  const sizes: Size[] = [];
  for (let columns = least; columns <= most; columns++) {
    const first = Math.max(Math.ceil(least / columns), least);
    for (let rows = first; rows <= Math.floor(most / columns); rows++) {
      sizes.push({ width: columns * imageSize, height: rows * imageSize });
    }
  }
  return sizes;
}

/** All of so many tiles on a side at most but the one of a single tile. */
function sizesOfSides(most: number, side: number): Size[] {
  return Array.from({ length: most * most - 1 }, (_, i) => ({
    width: (1 + Math.floor((i + 1) / most)) * side,
    height: (1 + (i + 1) % most) * side,
  }));
}

function cutInto(
  image: Raster,
  { kind, whole, cut, part }: {
    readonly kind: ImageKind;
    readonly whole: Size;
    readonly cut: Size | null;
    readonly part: Size;
  },
): ImageTiles {
  const parts: Raster[][] = [];
  if (cut !== null) {
    const enlarged = resize(image, cut, kind.parts);
    for (let top = 0; top < cut.height; top += part.height) {
      const row: Raster[] = [];
      for (let left = 0; left < cut.width; left += part.width) {
        row.push(crop(enlarged, { left, top, ...part }));
      }
      parts.push(row);
    }
  }
  return { whole: resize(image, whole, kind.whole), parts };
}
