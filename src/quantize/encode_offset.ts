/**
 * ggml's types with superblocks of 256 whose blocks have a scale and a minimum: Q2_K, Q4_K, Q5_K.
 * Layouts are described at the decoders, in src/model/quants/dequantize_superblocks.ts.
 */
import { type Candidates, type Fit, fitOffset, ROUNDER, type Span, type Weighed } from "./fit.ts";

/** Weights of a superblock. */
const SUPERBLOCK = 256;

/** How a superblock is cut, and how large its integers may be. */
interface Format {
  /** Weights per block. */
  readonly block: number;
  /** The largest quant. */
  readonly most: number;
  /** The largest scale, and the largest minimum. */
  readonly scaleMost: number;
  readonly candidates: Candidates;
}

const Q2_K: Format = {
  block: 16,
  most: 3,
  scaleMost: 15,
  candidates: { from: -0.9, to: 1.1, step: 0.1 },
};
const Q4_K: Format = {
  block: 32,
  most: 15,
  scaleMost: 63,
  candidates: { from: -1.6, to: 1.1, step: 0.3 },
};
const Q5_K: Format = { ...Q4_K, most: 31 };

/** A superblock as integers: weight i = d · scale · q[i] − dmin · minimum. */
class OffsetSuperblock {
  d = 0;
  dmin = 0;
  readonly scales = new Uint8Array(16);
  readonly minima = new Uint8Array(16);
  readonly q = new Uint8Array(SUPERBLOCK);
  readonly #exact: Fit[] = Array.from({ length: 16 }, () => ({ scale: 0, minimum: 0 }));

  /** Finds the integers for the 256 weights from `begin` on. */
  find(from: Weighed, begin: number, format: Format): void {
    const { block, scaleMost } = format;
    const blockCount = SUPERBLOCK / block;
    const span: Span = { ...from, begin, end: begin + block };
    let largestScale = 0;
    let largestMinimum = 0;
    for (let b = 0; b < blockCount; b++) {
      const exact = this.#exact[b];
      fitOffset(span, format, exact);
      if (exact.scale > largestScale) largestScale = exact.scale;
      if (exact.minimum > largestMinimum) largestMinimum = exact.minimum;
      span.begin += block;
      span.end += block;
    }
    this.d = Math.f16round(largestScale / scaleMost);
    this.dmin = Math.f16round(largestMinimum / scaleMost);
    for (let b = 0; b < blockCount; b++) {
      const { scale, minimum } = this.#exact[b];
      this.scales[b] = nearest(scale, this.d, scaleMost);
      this.minima[b] = nearest(minimum, this.dmin, scaleMost);
      span.begin = begin + b * block;
      span.end = span.begin + block;
      this.#settle(span, b, format);
      this.#round(from.weights, begin, { b, format });
    }
  }

  /** Moves scale and minimum of block b to neighbours that make a smaller error, if any. */
  #settle({ weights, importance, begin, end }: Span, b: number, { most, scaleMost }: Format): void {
    const { d, dmin } = this;
    const scale0 = this.scales[b];
    const minimum0 = this.minima[b];
    let least = Infinity;
    for (let scale = Math.max(1, scale0 - 1); scale <= Math.min(scaleMost, scale0 + 1); scale++) {
      const step = d * scale;
      const inverse = 1 / step;
      const last = Math.min(scaleMost, minimum0 + 1);
      for (let minimum = Math.max(0, minimum0 - 1); minimum <= last; minimum++) {
        const offset = dmin * minimum;
        let error = 0;
        for (let i = begin; i < end; i++) {
          const x = weights[i] + offset;
          let q = x * inverse + ROUNDER - ROUNDER;
          q = q < 0 ? 0 : q > most ? most : q;
          const difference = q * step - x;
          error += importance[i] * difference * difference;
        }
        if (error < least) {
          least = error;
          this.scales[b] = scale;
          this.minima[b] = minimum;
        }
      }
    }
  }

  /** The nearest quants of block b for its scale and minimum as they are stored. */
  #round(
    weights: Float32Array,
    begin: number,
    { b, format: { block, most } }: { b: number; format: Format },
  ): void {
    const scale = this.d * this.scales[b];
    const minimum = this.dmin * this.minima[b];
    const inverse = scale === 0 ? 0 : 1 / scale;
    for (let i = b * block; i < (b + 1) * block; i++) {
      const q = (weights[begin + i] + minimum) * inverse + ROUNDER - ROUNDER;
      this.q[i] = q < 0 ? 0 : q > most ? most : q;
    }
  }
}

/** 0 … `most` times `unit` next to `value`. */
function nearest(value: number, unit: number, most: number): number {
  return unit === 0 ? 0 : Math.min(most, Math.round(value / unit));
}

/** Four bits of scale and minimum per 16 weights, two bits a weight. */
export function encodeQ2K(from: Weighed, into: DataView): void {
  const found = new OffsetSuperblock();
  const { q, scales, minima } = found;
  for (let begin = 0, at = 0; begin < from.weights.length; begin += SUPERBLOCK, at += 84) {
    found.find(from, begin, Q2_K);
    for (let b = 0; b < 16; b++) into.setUint8(at + b, scales[b] | minima[b] << 4);
    for (let i = 0; i < 64; i++) {
      const first = 128 * (i >> 5) + i % 32;
      const four = q[first] | q[first + 32] << 2 | q[first + 64] << 4 | q[first + 96] << 6;
      into.setUint8(at + 16 + i, four);
    }
    into.setFloat16(at + 80, found.d, true);
    into.setFloat16(at + 82, found.dmin, true);
  }
}

/** Six bits of scale and minimum per 32 weights, four bits a weight. */
export function encodeQ4K(from: Weighed, into: DataView): void {
  const found = new OffsetSuperblock();
  for (let begin = 0, at = 0; begin < from.weights.length; begin += SUPERBLOCK, at += 144) {
    found.find(from, begin, Q4_K);
    putScalesAndMinima(found, into, at);
    putNibbles(found.q, into, at + 16);
  }
}

/** Six bits of scale and minimum per 32 weights, five bits a weight. */
export function encodeQ5K(from: Weighed, into: DataView): void {
  const found = new OffsetSuperblock();
  for (let begin = 0, at = 0; begin < from.weights.length; begin += SUPERBLOCK, at += 176) {
    found.find(from, begin, Q5_K);
    putScalesAndMinima(found, into, at);
    for (let j = 0; j < 32; j++) {
      let fifths = 0;
      for (let b = 0; b < 8; b++) fifths |= found.q[32 * b + j] >> 4 << b;
      into.setUint8(at + 16 + j, fifths);
    }
    putNibbles(found.q, into, at + 48);
  }
}

/** d, dmin and eight pairs of six bits in 12 bytes. */
function putScalesAndMinima(found: OffsetSuperblock, into: DataView, at: number): void {
  const { scales, minima } = found;
  into.setFloat16(at, found.d, true);
  into.setFloat16(at + 2, found.dmin, true);
  for (let b = 0; b < 4; b++) {
    into.setUint8(at + 4 + b, scales[b] | scales[4 + b] >> 4 << 6);
    into.setUint8(at + 8 + b, minima[b] | minima[4 + b] >> 4 << 6);
    into.setUint8(at + 12 + b, scales[4 + b] & 15 | (minima[4 + b] & 15) << 4);
  }
}

/** The low four bits: two blocks of 32 share 32 bytes. */
function putNibbles(q: Uint8Array, into: DataView, at: number): void {
  for (let i = 0; i < 128; i++) {
    const first = 64 * (i >> 5) + i % 32;
    into.setUint8(at + i, q[first] & 15 | (q[first + 32] & 15) << 4);
  }
}
