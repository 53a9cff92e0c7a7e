/**
 * ggml's types with blocks of 32 and evenly spaced levels. Where all weights count the same, bit
 * for bit as ggml's own quantiser: one scale per block from the extreme weights, every operation
 * rounded to f32. Else scales are searched, as those of the other types are. Layouts are described
 * at the decoders, in src/model/quants/dequantize_blocks.ts.
 */
import { type Candidates, type Fit, fitOffset, fitSigned, type Span, type Weighed } from "./fit.ts";

/** Weights of a block. */
const BLOCK = 32;
const HALF = BLOCK / 2;
/** Where scales are searched: as of Q4_K. */
const CANDIDATES: Candidates = { from: -1.6, to: 1.1, step: 0.3 };

/** The scale of 32 weights from `begin` on, not rounded to f16. */
type ScaleOf = (begin: number) => number;
/** The same, and the lowest level. */
type RangeOf = (begin: number) => Range;
interface Range {
  readonly scale: number;
  readonly minimum: number;
}

/** d = max |w| / 127; q = w / d rounded half away from zero, with d before it is rounded to f16. */
export function encodeQ8_0(weights: Float32Array, into: DataView): void {
  const quants = new Int8Array(into.buffer, into.byteOffset, into.byteLength);
  for (let begin = 0, at = 0; begin < weights.length; begin += BLOCK, at += 34) {
    const scale = Math.fround(Math.abs(largest(weights, begin)) / 127);
    const inverse = inverseOf(scale);
    into.setFloat16(at, scale, true);
    for (let i = 0; i < BLOCK; i++) {
      const quotient = Math.fround(weights[begin + i] * inverse);
      // What is stored is cut off towards zero. A tie in the last bit of f32 cannot reach the next
      // integer: quotients are at most 127.
      quants[at + 2 + i] = quotient < 0 ? quotient - 0.5 : quotient + 0.5;
    }
  }
}

/** d = m / −8, where m is the weight of largest magnitude with its sign; q = ⌊w / d + 8.5⌋. */
export function encodeQ4_0(weights: Float32Array, into: DataView): void {
  putQ4_0(weights, into, (begin) => Math.fround(largest(weights, begin) / -8));
}

/** The same with the scale that makes the smallest error. */
export function searchQ4_0(from: Weighed, into: DataView): void {
  putQ4_0(from.weights, into, scaleSearch(from, 8));
}

function putQ4_0(weights: Float32Array, into: DataView, scaleOf: ScaleOf): void {
  for (let begin = 0, at = 0; begin < weights.length; begin += BLOCK, at += 18) {
    const scale = scaleOf(begin);
    const inverse = inverseOf(scale);
    into.setFloat16(at, scale, true);
    for (let i = 0; i < HALF; i++) {
      const low = shifted(weights[begin + i], inverse, 8);
      const high = shifted(weights[begin + HALF + i], inverse, 8);
      into.setUint8(at + 2 + i, low | high << 4);
    }
  }
}

/** As Q4_0 with five bits: d = m / −16; q = ⌊w / d + 16.5⌋. */
export function encodeQ5_0(weights: Float32Array, into: DataView): void {
  putQ5_0(weights, into, (begin) => Math.fround(largest(weights, begin) / -16));
}

/** The same with the scale that makes the smallest error. */
export function searchQ5_0(from: Weighed, into: DataView): void {
  putQ5_0(from.weights, into, scaleSearch(from, 16));
}

function putQ5_0(weights: Float32Array, into: DataView, scaleOf: ScaleOf): void {
  for (let begin = 0, at = 0; begin < weights.length; begin += BLOCK, at += 22) {
    const scale = scaleOf(begin);
    const inverse = inverseOf(scale);
    into.setFloat16(at, scale, true);
    let fifths = 0;
    for (let i = 0; i < HALF; i++) {
      const low = shifted(weights[begin + i], inverse, 16);
      const high = shifted(weights[begin + HALF + i], inverse, 16);
      fifths |= low >> 4 << i | high >> 4 << HALF + i;
      into.setUint8(at + 6 + i, low & 15 | (high & 15) << 4);
    }
    into.setUint32(at + 2, fifths, true);
  }
}

/** d = (max − min) / 15; q = ⌊(w − min) / d + 0.5⌋. */
export function encodeQ4_1(weights: Float32Array, into: DataView): void {
  putQ4_1(weights, into, (begin) => rangeOf(weights, begin, 15));
}

/** The same with the scale and the minimum that make the smallest error. */
export function searchQ4_1(from: Weighed, into: DataView): void {
  putQ4_1(from.weights, into, rangeSearch(from, 15));
}

function putQ4_1(weights: Float32Array, into: DataView, range: RangeOf): void {
  for (let begin = 0, at = 0; begin < weights.length; begin += BLOCK, at += 20) {
    const { minimum, inverse } = putRange(range(begin), into, at);
    for (let i = 0; i < HALF; i++) {
      const low = above(weights[begin + i], minimum, inverse);
      const high = above(weights[begin + HALF + i], minimum, inverse);
      into.setUint8(at + 4 + i, Math.min(15, low) | Math.min(15, high) << 4);
    }
  }
}

/** As Q4_1 with five bits: d = (max − min) / 31. */
export function encodeQ5_1(weights: Float32Array, into: DataView): void {
  putQ5_1(weights, into, (begin) => rangeOf(weights, begin, 31));
}

/** The same with the scale and the minimum that make the smallest error. */
export function searchQ5_1(from: Weighed, into: DataView): void {
  putQ5_1(from.weights, into, rangeSearch(from, 31));
}

function putQ5_1(weights: Float32Array, into: DataView, range: RangeOf): void {
  for (let begin = 0, at = 0; begin < weights.length; begin += BLOCK, at += 24) {
    const { minimum, inverse } = putRange(range(begin), into, at);
    let fifths = 0;
    for (let i = 0; i < HALF; i++) {
      const low = Math.min(31, above(weights[begin + i], minimum, inverse));
      const high = Math.min(31, above(weights[begin + HALF + i], minimum, inverse));
      fifths |= low >> 4 << i | high >> 4 << HALF + i;
      into.setUint8(at + 8 + i, low & 15 | (high & 15) << 4);
    }
    into.setUint32(at + 4, fifths, true);
  }
}

/** The weight of largest magnitude in a block; the first of equals. */
function largest(weights: Float32Array, begin: number): number {
  let best = 0;
  let most = 0;
  for (let i = begin; i < begin + BLOCK; i++) {
    const size = Math.abs(weights[i]);
    if (size <= most || size !== size) continue;
    most = size;
    best = weights[i];
  }
  return best;
}

function inverseOf(scale: number): number {
  return scale === 0 ? 0 : Math.fround(1 / scale);
}

/** ⌊w / d + zero + ½⌋, below twice `zero`. */
function shifted(weight: number, inverse: number, zero: number): number {
  const level = Math.fround(Math.fround(weight * inverse) + (zero + 0.5));
  return Math.max(0, Math.min(2 * zero - 1, Math.trunc(level)));
}

/** ⌊(w − min) / d + ½⌋. */
function above(weight: number, minimum: number, inverse: number): number {
  const quotient = Math.fround(Math.fround(weight - minimum) * inverse);
  return Math.max(0, Math.trunc(Math.fround(quotient + 0.5)));
}

/** Levels 0 … `most` from the least weight of a block to the largest. */
function rangeOf(weights: Float32Array, begin: number, most: number): Range {
  let minimum = weights[begin];
  let maximum = minimum;
  for (let i = begin + 1; i < begin + BLOCK; i++) {
    if (weights[i] < minimum) minimum = weights[i];
    if (weights[i] > maximum) maximum = weights[i];
  }
  return { scale: Math.fround(Math.fround(maximum - minimum) / most), minimum };
}

/** Writes them. */
function putRange(
  { scale, minimum }: Range,
  into: DataView,
  at: number,
): { minimum: number; inverse: number } {
  into.setFloat16(at, scale, true);
  into.setFloat16(at + 2, minimum, true);
  return { minimum, inverse: inverseOf(scale) };
}

/** Scales of levels −half … half − 1, as f16 holds them. */
function scaleSearch(from: Weighed, half: number): ScaleOf {
  const span: Span = { ...from, begin: 0, end: 0 };
  const found: Fit = { scale: 0, minimum: 0 };
  return (begin) => {
    span.begin = begin;
    span.end = begin + BLOCK;
    fitSigned(span, { half, candidates: CANDIDATES, bothEnds: true }, found);
    return Math.f16round(found.scale);
  };
}

/** Scales and minima of levels 0 … most, as f16 holds them. */
function rangeSearch(from: Weighed, most: number): RangeOf {
  const span: Span = { ...from, begin: 0, end: 0 };
  const found: Fit = { scale: 0, minimum: 0 };
  return (begin) => {
    span.begin = begin;
    span.end = begin + BLOCK;
    fitOffset(span, { most, candidates: CANDIDATES, anyMinimum: true }, found);
    return { scale: Math.f16round(found.scale), minimum: Math.f16round(-found.minimum) };
  };
}
