/**
 * Other sizes of images by curves that are as wide as what becomes one pixel, in whole numbers: as
 * Pillow has it, with which models' users prepare what they train with.
 */
import type { Raster } from "./types.ts";

/** Bits behind the point of a weight: with 8 of a colour and 2 for sums they are 32. */
const WEIGHT_BITS = 22;
/** What rounds a sum. */
const HALF = 1 << (WEIGHT_BITS - 1);
/** How far cubics swing. */
const SWING = -0.5;

/** A curve's weights by the distance from its middle, and how far it reaches on a side. */
interface Curve {
  readonly reach: number;
  readonly weight: (distance: number) => number;
}

export const CURVES = {
  bilinear: { reach: 1, weight: (distance) => Math.max(1 - Math.abs(distance), 0) },
  bicubic: { reach: 2, weight: cubicWeight },
  lanczos: { reach: 3, weight: lanczosWeight },
} as const satisfies Record<string, Curve>;

/** For each place of a target: its first place of the source, and weights from there on. */
interface Taps {
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** [targets, most] */
  readonly weights: Int32Array;
  readonly most: number;
}

/** Columns first, rounded to colours, and then rows; a side that stays as it is stays. */
export function writeFiltered(
  source: Raster,
  target: Raster,
  filter: keyof typeof CURVES,
): void {
  const curve = CURVES[filter];
  const wide = widen(source, target.width, curve);
  const { rowStride, bytes, start } = target;
  const row = 3 * target.width;
  if (source.height === target.height) {
    for (let y = 0; y < target.height; y++) {
      bytes.set(wide.subarray(y * row, (y + 1) * row), start + y * rowStride);
    }
    return;
  }
  const { first, count, weights, most } = tapsOf(source.height, target.height, curve);
  const sums = new Int32Array(row);
  for (let y = 0; y < target.height; y++) {
    sums.fill(HALF);
    for (let k = 0, from = first[y] * row; k < count[y]; k++, from += row) {
      const weight = weights[y * most + k];
      for (let i = 0; i < row; i++) {
        sums[i] = (sums[i] + Math.imul(wide[from + i], weight)) | 0;
      }
    }
    for (let i = 0; i < row; i++) bytes[start + y * rowStride + i] = colourOf(sums[i]);
  }
}

/** [height, width, 3], as high as the source. */
function widen(source: Raster, width: number, curve: Curve): Uint8Array {
  const { height, bytes, start, rowStride, pixelStride, channels } = source;
  const wide = new Uint8Array(height * width * 3);
  const [red, green, blue] = channels;
  const isSame = source.width === width;
  const { first, count, weights, most } = tapsOf(source.width, width, curve);
  let to = 0;
  for (let y = 0; y < height; y++) {
    const row = start + y * rowStride;
    for (let x = 0; x < width; x++, to += 3) {
      let from = row + (isSame ? x : first[x]) * pixelStride;
      if (isSame) {
        for (let c = 0; c < 3; c++) wide[to + c] = bytes[from + channels[c]];
        continue;
      }
      // Whole numbers of 32 bits, and the compiler is told so.
      let r = HALF, g = HALF, b = HALF;
      for (let k = x * most, end = k + count[x]; k < end; k++, from += pixelStride) {
        const weight = weights[k];
        r = (r + Math.imul(bytes[from + red], weight)) | 0;
        g = (g + Math.imul(bytes[from + green], weight)) | 0;
        b = (b + Math.imul(bytes[from + blue], weight)) | 0;
      }
      wide[to] = colourOf(r);
      wide[to + 1] = colourOf(g);
      wide[to + 2] = colourOf(b);
    }
  }
  return wide;
}

function colourOf(sum: number): number {
  return Math.min(Math.max(sum >> WEIGHT_BITS, 0), 255);
}

function tapsOf(sourceCount: number, targetCount: number, curve: Curve): Taps {
  const scale = sourceCount / targetCount;
  const stretch = Math.max(scale, 1);
  const narrow = 1 / stretch;
  const reach = curve.reach * stretch;
  const most = 2 * Math.ceil(reach) + 1;
  const first = new Int32Array(targetCount);
  const count = new Int32Array(targetCount);
  const weights = new Int32Array(targetCount * most);
  const own = new Float64Array(most);
  for (let i = 0; i < targetCount; i++) {
    const centre = (i + 0.5) * scale;
    first[i] = Math.max(Math.trunc(centre - reach + 0.5), 0);
    count[i] = Math.min(Math.trunc(centre + reach + 0.5), sourceCount) - first[i];
    let all = 0;
    for (let k = 0; k < count[i]; k++) {
      own[k] = curve.weight((k + first[i] - centre + 0.5) * narrow);
      all += own[k];
    }
    for (let k = 0; k < count[i]; k++) {
      const weight = (all === 0 ? own[k] : own[k] / all) * 2 ** WEIGHT_BITS;
      weights[i * most + k] = Math.trunc(weight + (weight < 0 ? -0.5 : 0.5));
    }
  }
  return { first, count, weights, most };
}

function cubicWeight(distance: number): number {
  const x = Math.abs(distance);
  if (x < 1) return ((SWING + 2) * x - (SWING + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * SWING : 0;
}

function lanczosWeight(x: number): number {
  return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}
