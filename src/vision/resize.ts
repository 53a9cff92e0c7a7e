/**
 * Other sizes of images, stretched or within a frame. Which size an image's shape has in a frame is
 * told in single precision, as elsewhere: what a model sees should not depend on who shows it.
 */
import { type CURVES, writeFiltered } from "./resize_filtered.ts";
import type { Raster } from "./types.ts";

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** How an image becomes one of another size. */
export interface Resizing {
  readonly filter: keyof typeof CURVES;
  /** Colour around an image that keeps its shape; null: it is stretched. */
  readonly around: readonly [red: number, green: number, blue: number] | null;
  /** Sizes and edges within a frame are rounded. Left out: sizes up, edges down. */
  readonly isRounded?: true;
}

const { fround } = Math;

/** An image of that size; of the size that it has, the image itself. */
export function resize(
  source: Raster,
  size: Size,
  { filter, around, isRounded }: Resizing,
): Raster {
  if (source.width === size.width && source.height === size.height) return source;
  const target = blankRaster(size);
  if (around === null) {
    writeFiltered(source, target, filter);
    return target;
  }
  for (let at = 0; at < target.bytes.length; at += 3) target.bytes.set(around, at);
  const inner = sizeWithin(source, size, isRounded ? Math.round : Math.ceil);
  const half = (length: number) => isRounded ? Math.round(length / 2) : Math.floor(length / 2);
  writeFiltered(
    source,
    crop(target, {
      left: half(size.width - inner.width),
      top: half(size.height - inner.height),
      ...inner,
    }),
    filter,
  );
  return target;
}

/** A part of an image, in the same memory. */
export function crop(
  raster: Raster,
  { left, top, width, height }: Size & { readonly left: number; readonly top: number },
): Raster {
  const start = raster.start + top * raster.rowStride + left * raster.pixelStride;
  return { ...raster, width, height, start };
}

/** A black image. */
function blankRaster({ width, height }: Size): Raster {
  return {
    ...{ width, height, bytes: new Uint8Array(width * height * 3), start: 0 },
    ...{ rowStride: width * 3, pixelStride: 3, channels: [0, 1, 2] },
  };
}

/** The largest size of an image's shape in a frame, rounded. */
function sizeWithin(
  { width, height }: Size,
  frame: Size,
  round: (length: number) => number,
): Size {
  const scale = Math.min(fround(frame.width / width), fround(frame.height / height));
  return {
    width: Math.max(1, Math.min(round(fround(width * scale)), frame.width)),
    height: Math.max(1, Math.min(round(fround(height * scale)), frame.height)),
  };
}
