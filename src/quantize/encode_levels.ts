/**
 * ggml's four-bit types whose levels are not evenly spaced: IQ4_NL, IQ4_XS, MXFP4. Layouts are
 * described at the decoders, dequantize_blocks.ts and dequantize_superblocks.ts of
 * src/model/quants.
 */
import { FP4_LEVELS, IQ4_LEVELS } from "../model/quants/dequantize_blocks.ts";
import { IMPROVEMENTS_MAX, type Weighed } from "./fit.ts";

/** Weights of a block and of a superblock. */
const BLOCK = 32;
const SUPERBLOCK = 256;
/** Scales of IQ4_XS are −32 … 31. */
const SCALE_HALF = 32;
/** The extreme weight is tried on places around the lowest level and around the highest. */
const PLACES: readonly number[] = [-20, -16, -12, -8, -4, 0, 4, 8, 12, 16, 20]
  .flatMap((t) => [t - 127, t + 113]);

/** Index of the level next to k / 2, at k + 256. */
const NEAREST_LEVEL = Uint8Array.from({ length: 513 }, (_, index) => {
  const value = (index - 256) / 2;
  let best = 0;
  for (let i = 1; i < 16; i++) {
    if (Math.abs(IQ4_LEVELS[i] - value) < Math.abs(IQ4_LEVELS[best] - value)) best = i;
  }
  return best;
});

function nearestLevel(value: number): number {
  const half = Math.round(2 * value);
  return NEAREST_LEVEL[half < -256 ? 0 : half > 256 ? 512 : half + 256];
}

/** f16 scale per 32 weights. */
export function encodeIq4Nl(from: Weighed, into: DataView): void {
  const { weights } = from;
  for (let begin = 0, at = 0; begin < weights.length; begin += BLOCK, at += 18) {
    const scale = Math.f16round(fitLevels(from, begin));
    into.setFloat16(at, scale, true);
    putLevels(weights, begin, { scale, into, at: at + 2 });
  }
}

/** Six bits of scale per 32 weights. */
export function encodeIq4Xs(from: Weighed, into: DataView): void {
  const { weights } = from;
  const exact = new Float64Array(SUPERBLOCK / BLOCK);
  for (let begin = 0, at = 0; begin < weights.length; begin += SUPERBLOCK, at += 136) {
    let largest = 0;
    for (let b = 0; b < exact.length; b++) {
      exact[b] = fitLevels(from, begin + b * BLOCK);
      if (Math.abs(exact[b]) > Math.abs(largest)) largest = exact[b];
    }
    const d = Math.f16round(largest / -SCALE_HALF);
    let highs = 0;
    for (let b = 0; b < exact.length; b++) {
      const wanted = d === 0 ? 0 : Math.round(exact[b] / d);
      const scale = Math.max(-SCALE_HALF, Math.min(SCALE_HALF - 1, wanted));
      const stored = scale + SCALE_HALF;
      highs |= stored >> 4 << 2 * b;
      const before = b % 2 === 0 ? 0 : into.getUint8(at + 4 + (b >> 1));
      into.setUint8(at + 4 + (b >> 1), before | (stored & 15) << 4 * (b % 2));
      putLevels(weights, begin + b * BLOCK, { scale: d * scale, into, at: at + 8 + 16 * b });
    }
    into.setFloat16(at, d, true);
    into.setUint16(at + 2, highs, true);
  }
}

/** The scale, of either sign, with which the levels come nearest to 32 weights. */
function fitLevels({ weights, importance }: Weighed, begin: number): number {
  let extreme = 0;
  for (let i = begin; i < begin + BLOCK; i++) {
    if (Math.abs(weights[i]) > Math.abs(extreme)) extreme = weights[i];
  }
  if (extreme === 0) return 0;
  let scale = 0;
  let most = 0;
  const consider = (inverse: number): boolean => {
    let sumLL = 0;
    let sumLX = 0;
    for (let i = begin; i < begin + BLOCK; i++) {
      const level = IQ4_LEVELS[nearestLevel(weights[i] * inverse)];
      const part = importance[i] * level;
      sumLL += part * level;
      sumLX += part * weights[i];
    }
    if (!(sumLX * sumLX > most * sumLL)) return false;
    most = sumLX * sumLX / sumLL;
    scale = sumLX / sumLL;
    return true;
  };
  for (const place of PLACES) consider(place / extreme);
  for (let i = 0; i < IMPROVEMENTS_MAX && scale !== 0; i++) {
    if (!consider(1 / scale)) break;
  }
  return scale;
}

/** 32 weights as indices of levels, 16 bytes. */
function putLevels(
  weights: Float32Array,
  begin: number,
  { scale, into, at }: { scale: number; into: DataView; at: number },
): void {
  const inverse = scale === 0 ? 0 : 1 / scale;
  for (let j = 0; j < 16; j++) {
    const low = nearestLevel(weights[begin + j] * inverse);
    const high = nearestLevel(weights[begin + 16 + j] * inverse);
    into.setUint8(at + j, low | high << 4);
  }
}

/**
 * One exponent per 32 weights: that of the largest weight less 2, because the largest FP4 number is
 * 1.5 · 2². Weights beyond 6 become 6: ggml's rule, and that of OCP's MX.
 */
export function encodeMxfp4(weights: Float32Array, into: DataView): void {
  for (let begin = 0, at = 0; begin < weights.length; begin += BLOCK, at += 17) {
    let largest = 0;
    for (let i = begin; i < begin + BLOCK; i++) largest = Math.max(largest, Math.abs(weights[i]));
    const exponent = largest === 0 ? 0 : Math.max(0, Math.floor(Math.log2(largest)) - 2 + 127);
    into.setUint8(at, exponent);
    const inverse = 2 ** (127 - exponent);
    for (let j = 0; j < 16; j++) {
      const low = nearestFp4(weights[begin + j] * inverse);
      const high = nearestFp4(weights[begin + 16 + j] * inverse);
      into.setUint8(at + 1 + j, low | high << 4);
    }
  }
}

/** Index of the FP4 number next to `value`; of two equally near the one nearer to zero. */
export function nearestFp4(value: number): number {
  const size = Math.abs(value);
  let best = 0;
  while (best < 7 && size > (FP4_LEVELS[best] + FP4_LEVELS[best + 1]) / 2) best++;
  return best !== 0 && value < 0 ? best + 8 : best;
}
