/**
 * PNG's pixels: unpacked by zlib, each row then as differences from its neighbours. What the file
 * says of its size is all that is unpacked of it.
 */
import { Buffer } from "node:buffer";
import { inflateSync } from "node:zlib";
import { messageOf } from "../../base/errors.ts";
import type { PngHeader } from "../headers/png.ts";
import { damaged } from "../image_error.ts";
import type { Raster } from "../types.ts";
import { layOnWhite } from "./lay_on_white.ts";
import { throughPalette } from "./palette.ts";

const SAMPLES = { grey: 1, rgb: 3, palette: 1, greyAlpha: 2, rgbAlpha: 4 } as const;
/** Interlaced: first row and column of each pass, and the steps to the next ones. */
const PASSES = [
  [0, 0, 8, 8],
  [0, 4, 8, 8],
  [4, 0, 8, 4],
  [0, 2, 4, 4],
  [2, 0, 4, 2],
  [0, 1, 2, 2],
  [
    ...[1, 0, 2, 1],
  ],
];

/** Every so many-th pixel of every so many-th row. */
interface Pass {
  readonly top: number;
  readonly left: number;
  readonly rowStep: number;
  readonly columnStep: number;
  readonly rows: number;
  readonly columns: number;
  /** Of a row, without the byte before it that says how it is to be read. */
  readonly rowBytes: number;
}

/** @throws {RequestError} 400 when its pixels are fewer or more than it says, or damaged. */
export function decodePng(header: PngHeader): Raster {
  const { width, height, bits, colours } = header;
  const pixelBits = bits * SAMPLES[colours];
  const passes = passesOf(header, pixelBits);
  const bytes = unpack(header, passes);
  const pixelBytes = Math.ceil(pixelBits / 8);
  let at = 0;
  for (const pass of passes) {
    unfilter(bytes.subarray(at), pass, pixelBytes);
    at += pass.rows * (pass.rowBytes + 1);
  }
  let raster: Raster = {
    ...{ width, height, bytes, start: 1, rowStride: passes[0].rowBytes + 1 },
    ...{ pixelStride: pixelBytes, channels: channelsOf(header) },
  };
  if (bits < 8 || header.isInterlaced) {
    const rowStride = width * pixelBytes;
    raster = { ...raster, bytes: gather(bytes, header, passes), start: 0, rowStride };
  }
  if (bits < 8 || colours === "palette") return throughPalette(raster, paletteOf(header));
  const sampleBytes = bits / 8;
  if (colours === "greyAlpha" || colours === "rgbAlpha") {
    layOnWhite(raster, (SAMPLES[colours] - 1) * sampleBytes);
  } else if (header.seenThrough.length > 0) {
    whiten(raster, keyOf(header));
  }
  return raster;
}

function channelsOf({ bits, colours }: PngHeader): Raster["channels"] {
  if (colours !== "rgb" && colours !== "rgbAlpha") return [0, 0, 0];
  // Of 16 bits the upper eight come first.
  return bits === 16 ? [0, 2, 4] : [0, 1, 2];
}

function passesOf({ width, height, isInterlaced }: PngHeader, pixelBits: number): Pass[] {
  const steps = isInterlaced ? PASSES : [[0, 0, 1, 1]];
  return steps.map(([top, left, rowStep, columnStep]) => {
    const rows = Math.ceil((height - top) / rowStep);
    const columns = Math.ceil((width - left) / columnStep);
    const rowBytes = Math.ceil(columns * pixelBits / 8);
    return { top, left, rowStep, columnStep, rows, columns, rowBytes };
  }).filter(({ rows, columns }) => rows > 0 && columns > 0);
}

function unpack({ compressed }: PngHeader, passes: readonly Pass[]): Uint8Array {
  const length = passes.reduce((sum, { rows, rowBytes }) => sum + rows * (rowBytes + 1), 0);
  let bytes: Uint8Array;
  try {
    bytes = inflateSync(Buffer.concat(compressed), { maxOutputLength: length });
  } catch (error) {
    const reason = messageOf(error);
    throw damaged("png", `its pixels cannot be unpacked (${reason})`);
  }
  if (bytes.length === length) return bytes;
  throw damaged("png", `it has ${bytes.length} bytes of pixels of ${length}`);
}

/** Makes colours of differences, in place. */
function unfilter(bytes: Uint8Array, { rows, rowBytes }: Pass, pixelBytes: number): void {
  for (let y = 0; y < rows; y++) {
    const start = y * (rowBytes + 1);
    const row = bytes.subarray(start + 1, start + 1 + rowBytes);
    const above = y === 0 ? new Uint8Array(rowBytes) : bytes.subarray(start - rowBytes, start);
    unfilterRow(bytes[start], row, above, pixelBytes);
  }
}

function unfilterRow(
  filter: number,
  row: Uint8Array,
  above: Uint8Array,
  pixelBytes: number,
): void {
  if (filter > 4) throw damaged("png", `a row of its pixels is of kind ${filter}`);
  if (filter === 0) return;
  const first = Math.min(pixelBytes, row.length);
  // There is nothing to the left of the first pixel.
  for (let i = 0; i < first; i++) {
    row[i] += filter === 3 ? above[i] >> 1 : filter === 1 ? 0 : above[i];
  }
  if (filter === 1) {
    for (let i = first; i < row.length; i++) row[i] += row[i - pixelBytes];
  } else if (filter === 2) {
    for (let i = first; i < row.length; i++) row[i] += above[i];
  } else if (filter === 3) {
    for (let i = first; i < row.length; i++) row[i] += row[i - pixelBytes] + above[i] >> 1;
  } else {
    for (let i = first; i < row.length; i++) {
      row[i] += nearest(row[i - pixelBytes], above[i], above[i - pixelBytes]);
    }
  }
}

/** Paeth's choice: which neighbour is nearest to left + up - corner. */
function nearest(left: number, up: number, corner: number): number {
  const toLeft = Math.abs(up - corner);
  const toUp = Math.abs(left - corner);
  const toCorner = Math.abs(left + up - 2 * corner);
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

/** All passes' pixels in their places; of samples below 8 bits a byte each. */
function gather(bytes: Uint8Array, { width, height, bits, colours }: PngHeader, passes: Pass[]) {
  const pixelBytes = Math.ceil(bits * SAMPLES[colours] / 8);
  const pixels = new Uint8Array(width * height * pixelBytes);
  const mask = 2 ** bits - 1;
  let start = 0;
  for (const { top, left, rowStep, columnStep, rows, columns, rowBytes } of passes) {
    for (let y = 0; y < rows; y++, start += rowBytes + 1) {
      const row = bytes.subarray(start + 1, start + 1 + rowBytes);
      let to = ((top + y * rowStep) * width + left) * pixelBytes;
      for (let x = 0; x < columns; x++, to += columnStep * pixelBytes) {
        if (bits >= 8) {
          for (let i = 0; i < pixelBytes; i++) pixels[to + i] = row[x * pixelBytes + i];
        } else {
          const bit = x * bits;
          pixels[to] = row[bit >> 3] >> 8 - bits - (bit & 7) & mask;
        }
      }
    }
  }
  return pixels;
}

/** R, G and B of what samples say, on white. */
function paletteOf({ colours, bits, palette, seenThrough }: PngHeader): Uint8Array {
  const count = 2 ** bits;
  const rgb = new Uint8Array(3 * count);
  for (let i = 0; i < count; i++) {
    if (colours === "grey") {
      const isSeenThrough = seenThrough.length > 1 && seenThrough[1] === i;
      rgb.fill(isSeenThrough ? 255 : Math.round(255 * i / (count - 1)), 3 * i, 3 * i + 3);
      continue;
    }
    const alpha = seenThrough[i] ?? 255;
    for (let c = 3 * i; c < 3 * i + 3; c++) {
      rgb[c] = Math.round(((palette[c] ?? 0) * alpha + 255 * (255 - alpha)) / 255);
    }
  }
  return rgb;
}

/** The colour that is seen through, as pixels have it. */
function keyOf({ bits, seenThrough }: PngHeader): Uint8Array {
  return bits === 16 ? seenThrough : seenThrough.filter((_, i) => i % 2 === 1);
}

function whiten({ bytes, width, height, start, rowStride, pixelStride }: Raster, key: Uint8Array) {
  if (key.length !== pixelStride) return;
  for (let y = 0; y < height; y++) {
    const row = start + y * rowStride;
    for (let at = row; at < row + width * pixelStride; at += pixelStride) {
      if (key.every((byte, i) => bytes[at + i] === byte)) bytes.fill(255, at, at + pixelStride);
    }
  }
}
