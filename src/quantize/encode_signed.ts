/**
 * ggml's types with superblocks of 256 whose levels lie on both sides of zero: Q3_K, Q6_K. Layouts
 * are described at the decoders, in src/model/quants/dequantize_superblocks.ts.
 */
import { type Candidates, type Fit, fitSigned, ROUNDER, type Span, type Weighed } from "./fit.ts";

/** Weights of a superblock and of its blocks. */
const SUPERBLOCK = 256;
const BLOCK = 16;
const BLOCK_COUNT = SUPERBLOCK / BLOCK;

/** How large a superblock's integers may be. */
interface Format {
  /** Quants are −half … half − 1. */
  readonly half: number;
  /** Scales are −scaleHalf … scaleHalf − 1. */
  readonly scaleHalf: number;
  readonly candidates: Candidates;
  readonly bothEnds: boolean;
}

const Q3_K: Format = {
  half: 4,
  scaleHalf: 32,
  candidates: { from: -1.3, to: 0.9, step: 0.1 },
  bothEnds: true,
};
const Q6_K: Format = {
  half: 32,
  scaleHalf: 128,
  candidates: { from: -1.5, to: 1, step: 0.25 },
  bothEnds: false,
};

/** A superblock as integers: weight i = d · scale · (q[i] − half). */
class SignedSuperblock {
  d = 0;
  readonly scales = new Int8Array(BLOCK_COUNT);
  readonly q = new Uint8Array(SUPERBLOCK);
  readonly #exact = new Float64Array(BLOCK_COUNT);
  readonly #fit: Fit = { scale: 0, minimum: 0 };

  /** Finds the integers for the 256 weights from `begin` on. */
  find(from: Weighed, begin: number, format: Format): void {
    const { half, scaleHalf } = format;
    const span: Span = { ...from, begin, end: begin + BLOCK };
    let largest = 0;
    for (let b = 0; b < BLOCK_COUNT; b++) {
      fitSigned(span, format, this.#fit);
      const { scale } = this.#fit;
      this.#exact[b] = scale;
      if (Math.abs(scale) > Math.abs(largest)) largest = scale;
      span.begin += BLOCK;
      span.end += BLOCK;
    }
    this.d = Math.f16round(largest / -scaleHalf);
    for (let b = 0; b < BLOCK_COUNT; b++) {
      const wanted = this.d === 0 ? 0 : Math.round(this.#exact[b] / this.d);
      this.scales[b] = Math.max(-scaleHalf, Math.min(scaleHalf - 1, wanted));
      const scale = this.d * this.scales[b];
      const inverse = scale === 0 ? 0 : 1 / scale;
      for (let i = b * BLOCK; i < (b + 1) * BLOCK; i++) {
        const q = from.weights[begin + i] * inverse + ROUNDER - ROUNDER;
        this.q[i] = half + (q < -half ? -half : q >= half ? half - 1 : q);
      }
    }
  }
}

/** Six bits of scale per 16 weights, three bits a weight. */
export function encodeQ3K(from: Weighed, into: DataView): void {
  const found = new SignedSuperblock();
  const { q } = found;
  for (let begin = 0, at = 0; begin < from.weights.length; begin += SUPERBLOCK, at += 110) {
    found.find(from, begin, Q3_K);
    for (let j = 0; j < 32; j++) {
      let thirds = 0;
      for (let b = 0; b < 8; b++) thirds |= q[32 * b + j] >> 2 << b;
      into.setUint8(at + j, thirds);
    }
    putBitPairs(q, 0, { into, at: at + 32 });
    putScalesQ3K(found.scales, into, at + 96);
    into.setFloat16(at + 108, found.d, true);
  }
}

/** Eight bits of scale per 16 weights, six bits a weight. */
export function encodeQ6K(from: Weighed, into: DataView): void {
  const found = new SignedSuperblock();
  const { q } = found;
  for (let begin = 0, at = 0; begin < from.weights.length; begin += SUPERBLOCK, at += 210) {
    found.find(from, begin, Q6_K);
    for (let i = 0; i < 128; i++) {
      const first = 128 * (i >> 6) + i % 64;
      into.setUint8(at + i, q[first] & 15 | (q[first + 64] & 15) << 4);
    }
    putBitPairs(q, 4, { into, at: at + 128 });
    for (let b = 0; b < BLOCK_COUNT; b++) into.setInt8(at + 192 + b, found.scales[b]);
    into.setFloat16(at + 208, found.d, true);
  }
}

/** Two bits of each quant, from bit `shift` on: a byte holds those of four weights, 32 apart. */
function putBitPairs(
  q: Uint8Array,
  shift: number,
  { into, at }: { into: DataView; at: number },
): void {
  const pair = (i: number) => q[i] >> shift & 3;
  for (let i = 0; i < 64; i++) {
    const first = 128 * (i >> 5) + i % 32;
    const four = pair(first) | pair(first + 32) << 2 | pair(first + 64) << 4 |
      pair(first + 96) << 6;
    into.setUint8(at + i, four);
  }
}

/** Sixteen scales plus 32: low nibbles in 8 bytes, high pairs in 4. */
function putScalesQ3K(scales: Int8Array, into: DataView, at: number): void {
  const stored = (b: number) => scales[b] + 32;
  for (let i = 0; i < 8; i++) into.setUint8(at + i, stored(i) & 15 | (stored(8 + i) & 15) << 4);
  for (let i = 0; i < 4; i++) {
    const four = stored(i) >> 4 | stored(4 + i) >> 4 << 2 | stored(8 + i) >> 4 << 4 |
      stored(12 + i) >> 4 << 6;
    into.setUint8(at + 8 + i, four);
  }
}
