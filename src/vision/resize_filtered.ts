/**
 * Other sizes of images by cubics that are as wide as what becomes one pixel, in whole numbers: as
 * Pillow has it, for models that were trained with that.
 */
import type { Raster } from "./types.ts";

/** Bits behind the point of a weight: with 8 of a colour and 2 for sums they are 32. */
const WEIGHT_BITS = 22;
/** Places on a side that a cubic reaches. */
const REACH = 2;
/** How far cubics swing. */
const SWING = -0.5;

/** For each place of a target: its first place of the source, and weights from there on. */
interface Taps {
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** [targets, most] */
  readonly weights: Int32Array;
  readonly most: number;
}

/** Columns first, rounded to colours, and then rows; a side that stays as it is stays. */
export function writeFiltered(source: Raster, target: Raster): void {
  const wide = widen(source, target.width);
  const { rowStride, bytes, start } = target;
  const row = 3 * target.width;
  if (source.height === target.height) {
    for (let y = 0; y < target.height; y++) {
      bytes.set(wide.subarray(y * row, (y + 1) * row), start + y * rowStride);
    }
    return;
  }
  const { first, count, weights, most } = tapsOf(source.height, target.height);
  for (let y = 0; y < target.height; y++) {
    for (let i = 0; i < row; i++) {
      let sum = 1 << (WEIGHT_BITS - 1);
      for (let k = 0, from = first[y] * row + i; k < count[y]; k++, from += row) {
        sum += wide[from] * weights[y * most + k];
      }
      bytes[start + y * rowStride + i] = colourOf(sum);
    }
  }
}

/** [height, width, 3], as high as the source. */
function widen(source: Raster, width: number): Uint8Array {
  const { height, bytes, start, rowStride, pixelStride, channels } = source;
  const wide = new Uint8Array(height * width * 3);
  const isSame = source.width === width;
  const { first, count, weights, most } = tapsOf(source.width, width);
  let to = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) {
        let from = start + y * rowStride + channels[c] + (isSame ? x : first[x]) * pixelStride;
        if (isSame) {
          wide[to++] = bytes[from];
          continue;
        }
        let sum = 1 << (WEIGHT_BITS - 1);
        for (let k = 0; k < count[x]; k++, from += pixelStride) {
          sum += bytes[from] * weights[x * most + k];
        }
        wide[to++] = colourOf(sum);
      }
    }
  }
  return wide;
}

function colourOf(sum: number): number {
  return Math.min(Math.max(sum >> WEIGHT_BITS, 0), 255);
}

function tapsOf(sourceCount: number, targetCount: number): Taps {
  const scale = sourceCount / targetCount;
  const stretch = Math.max(scale, 1);
  const narrow = 1 / stretch;
  const reach = REACH * stretch;
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
      own[k] = cubicWeight((k + first[i] - centre + 0.5) * narrow);
      all += own[k];
    }
    for (let k = 0; k < count[i]; k++) {
      const weight = (all === 0 ? own[k] : own[k] / all) * 2 ** WEIGHT_BITS;
      weights[i * most + k] = roundAway(weight + (weight < 0 ? -0.5 : 0.5));
    }
  }
  return { first, count, weights, most };
}

/** Halves away from 0. */
function roundAway(value: number): number {
  return Math.sign(value) * Math.floor(Math.abs(value) + 0.5);
}

function cubicWeight(distance: number): number {
  const x = Math.abs(distance);
  if (x < 1) return ((SWING + 2) * x - (SWING + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * SWING : 0;
}
