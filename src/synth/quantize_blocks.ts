/**
 * Floats to the bytes of a tensor type, bit for bit as ggml's reference does it. Works on rows;
 * knows nothing of tensors and files.
 */
import { check } from "../base/check.ts";
import { rowBytes } from "../model/dtypes.ts";

/** The types that floats can be packed into here. */
export type WeightType = "F32" | "F16" | "BF16" | "Q8_0" | "Q4_0";

/** Weights per block of Q8_0 and Q4_0. */
const BLOCK_WEIGHTS = 32;
const SCALE_BYTES = 2;

/**
 * Bytes of `weights` as a tensor of `type`: whole rows, so a multiple of 32 weights for the
 * quantised types.
 */
export function packWeights(type: WeightType, weights: Float32Array): Uint8Array {
  const bytes = new Uint8Array(rowBytes(type, weights.length));
  switch (type) {
    case "F32":
      bytes.set(new Uint8Array(weights.buffer, weights.byteOffset, weights.byteLength));
      break;
    case "F16":
      new Float16Array(bytes.buffer).set(weights);
      break;
    case "BF16":
      toBf16(weights, new Uint16Array(bytes.buffer));
      break;
    case "Q8_0":
      quantizeQ8_0(weights, bytes);
      break;
    case "Q4_0":
      quantizeQ4_0(weights, bytes);
      break;
  }
  return bytes;
}

/** Rounds to nearest, ties to even; NaN stays NaN. */
function toBf16(weights: Float32Array, into: Uint16Array): void {
  const bits = new Uint32Array(weights.length);
  new Float32Array(bits.buffer).set(weights);
  for (let i = 0; i < bits.length; i++) {
    into[i] = Number.isNaN(weights[i])
      ? bits[i] >>> 16 | 0x40
      : (bits[i] + 0x7fff + (bits[i] >>> 16 & 1)) >>> 16;
  }
}

/**
 * Q8_0: a block is an f16 scale d and 32 bytes q, weight = d · q.
 * d = max |w| / 127, q = w / d rounded half away from zero, with d before it is rounded to f16.
 */
export function quantizeQ8_0(weights: Float32Array, into: Uint8Array): void {
  const view = checkedView("Q8_0", weights, into);
  const blockBytes = SCALE_BYTES + BLOCK_WEIGHTS;
  for (let block = 0; block * BLOCK_WEIGHTS < weights.length; block++) {
    const begin = block * BLOCK_WEIGHTS;
    const at = block * blockBytes;
    const scale = Math.fround(Math.abs(largest(weights, begin)) / 127);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    view.setFloat16(at, scale, true);
    for (let i = 0; i < BLOCK_WEIGHTS; i++) {
      const quotient = Math.fround(weights[begin + i] * inverse);
      // A tie in the last bit of f32 cannot reach the next integer: quotients are at most 127.
      into[at + SCALE_BYTES + i] = Math.sign(quotient) * Math.floor(Math.abs(quotient) + 0.5);
    }
  }
}

/**
 * Q4_0: a block is an f16 scale d and 16 bytes; byte i holds weight i in its low and weight
 * 16 + i in its high nibble, weight = d · (q − 8). d = m / −8, where m is the weight of largest
 * magnitude with its sign; q = ⌊w / d + 8.5⌋, at most 15, with d before it is rounded to f16.
 */
export function quantizeQ4_0(weights: Float32Array, into: Uint8Array): void {
  const view = checkedView("Q4_0", weights, into);
  const half = BLOCK_WEIGHTS / 2;
  const blockBytes = SCALE_BYTES + half;
  for (let block = 0; block * BLOCK_WEIGHTS < weights.length; block++) {
    const begin = block * BLOCK_WEIGHTS;
    const at = block * blockBytes;
    const scale = Math.fround(largest(weights, begin) / -8);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    view.setFloat16(at, scale, true);
    for (let i = 0; i < half; i++) {
      const low = nibble(weights[begin + i], inverse);
      const high = nibble(weights[begin + half + i], inverse);
      into[at + SCALE_BYTES + i] = low | high << 4;
    }
  }
}

function nibble(weight: number, inverse: number): number {
  const shifted = Math.fround(Math.fround(weight * inverse) + 8.5);
  return Math.min(15, Math.trunc(shifted));
}

/** The weight of largest magnitude in a block; the first of equals. */
function largest(weights: Float32Array, begin: number): number {
  let best = 0;
  for (let i = begin; i < begin + BLOCK_WEIGHTS; i++) {
    if (Math.abs(weights[i]) > Math.abs(best)) best = weights[i];
  }
  return best;
}

function checkedView(type: WeightType, weights: Float32Array, into: Uint8Array): DataView {
  check(into.length === rowBytes(type, weights.length), `${into.length} bytes of ${type}`);
  return new DataView(into.buffer, into.byteOffset, into.byteLength);
}
