/**
 * Other sizes of images, as models' users have them made: bilinear and bicubic between the nearest
 * pixels, without a filter. In single precision where that decides what comes out, since what a
 * model sees should not depend on who shows it.
 */
import { writeFiltered } from "./resize_filtered.ts";
import type { Raster } from "./types.ts";

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** How an image becomes one of another size. */
export interface Resizing {
  readonly filter: keyof typeof WRITE;
  /** Colour around an image that keeps its shape; null: it is stretched. */
  readonly around: readonly [red: number, green: number, blue: number] | null;
}

const { fround } = Math;

const WRITE = {
  ...{ bilinear: writeBilinear, bicubic: writeBicubic, bicubicAntialias: writeFiltered },
} as const;

/** An image of that size; of the size that it has, the image itself. */
export function resize(source: Raster, size: Size, { filter, around }: Resizing): Raster {
  if (source.width === size.width && source.height === size.height) return source;
  const target = blankRaster(size);
  const write = WRITE[filter];
  if (around === null) {
    write(source, target);
    return target;
  }
  for (let at = 0; at < target.bytes.length; at += 3) target.bytes.set(around, at);
  const inner = sizeWithin(source, size);
  write(
    source,
    crop(target, {
      left: Math.floor((size.width - inner.width) / 2),
      top: Math.floor((size.height - inner.height) / 2),
      ...inner,
    }),
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

/** The largest size of an image's shape in a frame, rounded up. */
function sizeWithin({ width, height }: Size, frame: Size): Size {
  const scale = Math.min(fround(frame.width / width), fround(frame.height / height));
  return {
    width: Math.min(Math.ceil(fround(width * scale)), frame.width),
    height: Math.min(Math.ceil(fround(height * scale)), frame.height),
  };
}

/** Corners meet corners; what lies between two colours is rounded down. */
function writeBilinear(source: Raster, target: Raster): void {
  const columns = bilinearPlaces(source.width, target.width);
  const rows = bilinearPlaces(source.height, target.height);
  const { bytes, pixelStride } = source;
  for (let y = 0; y < target.height; y++) {
    const above = source.start + rows.first[y] * source.rowStride;
    const below = source.start + rows.second[y] * source.rowStride;
    const down = rows.part[y];
    let to = target.start + y * target.rowStride;
    for (let x = 0; x < target.width; x++, to += 3) {
      const left = columns.first[x] * pixelStride;
      const right = columns.second[x] * pixelStride;
      const across = columns.part[x];
      for (let c = 0; c < 3; c++) {
        const channel = source.channels[c];
        const top = between(
          bytes[above + left + channel],
          bytes[above + right + channel],
          across,
        );
        const bottom = between(
          bytes[below + left + channel],
          bytes[below + right + channel],
          across,
        );
        target.bytes[to + c] = between(top, bottom, down);
      }
    }
  }
}

/** Each step rounded: what is exactly a colour is not to become the one below. */
function between(from: number, to: number, part: number): number {
  return fround(from + fround(fround(to - from) * part));
}

/** For each place of a target: two places of the source, and how far it lies towards the second. */
function bilinearPlaces(sourceCount: number, targetCount: number) {
  const ratio = targetCount > 1 ? fround((sourceCount - 1) / (targetCount - 1)) : 0;
  const first = new Int32Array(targetCount);
  const second = new Int32Array(targetCount);
  const part = new Float32Array(targetCount);
  for (let i = 0; i < targetCount; i++) {
    const at = fround(i * ratio);
    first[i] = Math.min(Math.trunc(at), sourceCount - 1);
    second[i] = Math.min(first[i] + 1, sourceCount - 1);
    part[i] = at - first[i];
  }
  return { first, second, part };
}

/** Cubics through four pixels of rows, and through what four rows have in a place. */
function writeBicubic(source: Raster, target: Raster): void {
  const columns = bicubicPlaces(source.width, target.width);
  const rows = bicubicPlaces(source.height, target.height);
  // Rows that follow one another share most of those that they are made of.
  const ready = new Map<number, Float32Array>();
  for (let y = 0; y < target.height; y++) {
    const [above, at, below, last] = [0, 1, 2, 3].map((k) => {
      const row = rows.places[4 * y + k];
      const values = ready.get(row) ?? bicubicRow(source, row, columns);
      ready.set(row, values);
      return values;
    });
    const to = target.start + y * target.rowStride;
    for (let i = 0; i < 3 * target.width; i++) {
      const value = cubic(above[i], at[i], below[i], last[i], rows.part[y]);
      target.bytes[to + i] = Math.min(Math.max(Math.round(value), 0), 255);
    }
    for (const row of ready.keys()) if (row < rows.places[4 * y]) ready.delete(row);
  }
}

function bicubicRow(
  { bytes, start, rowStride, pixelStride, channels }: Raster,
  row: number,
  { places, part }: ReturnType<typeof bicubicPlaces>,
): Float32Array {
  const values = new Float32Array(3 * part.length);
  for (let c = 0; c < 3; c++) {
    const first = start + row * rowStride + channels[c];
    for (let x = 0; x < part.length; x++) {
      values[3 * x + c] = cubic(
        bytes[first + places[4 * x] * pixelStride],
        bytes[first + places[4 * x + 1] * pixelStride],
        bytes[first + places[4 * x + 2] * pixelStride],
        bytes[first + places[4 * x + 3] * pixelStride],
        part[x],
      );
    }
  }
  return values;
}

/** Places one before, at, one behind and two behind, and how far it lies behind "at". */
function bicubicPlaces(sourceCount: number, targetCount: number) {
  const ratio = fround(sourceCount / targetCount);
  const places = new Int32Array(4 * targetCount);
  const part = new Float32Array(targetCount);
  for (let i = 0; i < targetCount; i++) {
    const at = Math.trunc(fround(ratio * i));
    for (let k = 0; k < 4; k++) {
      places[4 * i + k] = Math.min(Math.max(at - 1 + k, 0), sourceCount - 1);
    }
    part[i] = fround(ratio * i) - at;
  }
  return { places, part };
}

/** Of values at -1, 0, 1 and 2, what a cubic through them has at x. */
function cubic(before: number, at: number, behind: number, last: number, x: number): number {
  const d0 = fround(before - at);
  const d2 = fround(behind - at);
  const d3 = fround(last - at);
  const a1 = fround(-1 / 3 * d0 + d2 - 1 / 6 * d3);
  const a2 = fround(1 / 2 * d0 + 1 / 2 * d2);
  const a3 = fround(-1 / 6 * d0 - 1 / 2 * d2 + 1 / 6 * d3);
  const square = fround(fround(a2 * x) * x);
  const cube = fround(fround(fround(a3 * x) * x) * x);
  return fround(fround(fround(at + fround(a1 * x)) + square) + cube);
}
