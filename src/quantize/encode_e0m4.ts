/**
 * Our own type E0M4: 32 weights as scale · q + offset, both f16, q in 0 … 15. The layout is
 * described at the decoder, in src/model/quants/dequantize_blocks.ts.
 *
 * From floats, scale and offset are searched for the smallest squared error. Blocks of ggml's types
 * with the same levels need no search: they are moved over, and no weight changes.
 */
import { type Fit, fitOffset, ROUNDER, type Span, type Weighed } from "./fit.ts";

const BLOCK = 32;
const BLOCK_BYTES = 20;
/** The largest code. */
const MOST = 15;
/** The largest f16. */
const F16_MAX = 65504;
/** As of Q4_K; twice as many candidates make the error 0.2 % smaller and take twice the time. */
const SEARCH = {
  most: MOST,
  candidates: { from: -1.6, to: 1.1, step: 0.3 },
  anyMinimum: true,
};

/** Floats to blocks; the smallest squared error that the search finds. */
export function encodeE0m4(from: Weighed, into: DataView): void {
  const { weights } = from;
  const span: Span = { ...from, begin: 0, end: BLOCK };
  const found: Fit = { scale: 0, minimum: 0 };
  const stored: Stored = { scale: 0, offset: 0, error: 0 };
  const codes = new Uint8Array(BLOCK);
  for (let at = 0; span.begin < weights.length; at += BLOCK_BYTES) {
    stored.error = Infinity;
    spanEnds(span, found);
    consider(span, f16(found.scale), f16(-found.minimum), stored);
    fitOffset(span, SEARCH, found);
    settle(span, found, stored);
    const inverse = stored.scale === 0 ? 0 : 1 / stored.scale;
    for (let i = 0; i < BLOCK; i++) {
      codes[i] = nearest((weights[span.begin + i] - stored.offset) * inverse);
    }
    into.setFloat16(at, stored.scale, true);
    into.setFloat16(at + 2, stored.offset, true);
    putCodes(codes, into, at + 4);
    span.begin += BLOCK;
    span.end += BLOCK;
  }
}

/** The best f16 numbers of a block so far, and the sum of squared errors that they make. */
interface Stored {
  scale: number;
  offset: number;
  error: number;
}

/** Levels from the lowest weight to the highest. */
function spanEnds({ weights, begin, end }: Span, found: Fit): void {
  let low = weights[begin];
  let high = low;
  for (let i = begin + 1; i < end; i++) {
    if (weights[i] < low) low = weights[i];
    if (weights[i] > high) high = weights[i];
  }
  found.scale = (high - low) / MOST;
  found.minimum = -low;
}

/**
 * The f16 numbers around a fit that make the smallest error, if it is smaller than what is stored:
 * rounding both to their nearest does not, because codes make up for part of it.
 */
function settle(span: Span, { scale, minimum }: Fit, stored: Stored): void {
  const step = f16Step(minimum);
  for (let o = -1; o <= 1; o++) {
    const offset = f16(o * step - minimum);
    consider(span, f16(bestScale(span, scale, offset)), offset, stored);
  }
}

/** The scale of least squares for the codes that `scale` gives with that offset. */
function bestScale(
  { weights, importance, begin, end }: Span,
  scale: number,
  offset: number,
): number {
  const inverse = scale === 0 ? 0 : 1 / scale;
  let sumQQ = 0;
  let sumQX = 0;
  for (let i = begin; i < end; i++) {
    const x = weights[i] - offset;
    const q = nearest(x * inverse);
    const part = importance[i] * q;
    sumQQ += part * q;
    sumQX += part * x;
  }
  return sumQQ > 0 ? sumQX / sumQQ : scale;
}

function consider(
  { weights, importance, begin, end }: Span,
  scale: number,
  offset: number,
  stored: Stored,
): void {
  const inverse = scale === 0 ? 0 : 1 / scale;
  let error = 0;
  for (let i = begin; i < end; i++) {
    const x = weights[i] - offset;
    const difference = nearest(x * inverse) * scale - x;
    error += importance[i] * difference * difference;
  }
  // What is no number is stored, too, for want of anything better.
  if (error >= stored.error) return;
  stored.error = error;
  stored.scale = scale;
  stored.offset = offset;
}

/** The nearest code, ties to even; 0 of what is no number. */
function nearest(quotient: number): number {
  const q = quotient + ROUNDER - ROUNDER;
  return q > 0 ? Math.min(q, MOST) : 0;
}

/** The nearest f16 that is finite. */
function f16(value: number): number {
  return Math.f16round(Math.max(-F16_MAX, Math.min(F16_MAX, value)));
}

/** The distance of neighbouring f16 numbers at `value`. */
function f16Step(value: number): number {
  const exponent = Math.floor(Math.log2(Math.abs(value)));
  return 2 ** (Math.max(-14, Number.isFinite(exponent) ? exponent : -14) - 10);
}

/** Codes [32] into four words. */
function putCodes(codes: Uint8Array, into: DataView, at: number): void {
  for (let j = 0; j < 4; j++) {
    for (let b = 0; b < 4; b++) {
      into.setUint8(at + 4 * j + b, codes[4 * b + j] | codes[16 + 4 * b + j] << 4);
    }
  }
}

/** Types whose blocks become E0M4 without a change of any weight. */
const SAME_LEVELS = { Q4_0: 18, Q4_1: 20 } as const;
/** Their names. */
export type SameLevels = keyof typeof SAME_LEVELS;

/** True when blocks of `type` can be moved over. */
export function hasLevelsOfE0m4(type: string): type is SameLevels {
  return Object.hasOwn(SAME_LEVELS, type);
}

/**
 * Blocks of `type` to as many of E0M4. Of Q4_0, offset = −8 · scale, which f16 holds as exactly as
 * it holds the scale. Returns the index of the first block whose offset is beyond f16, or whose
 * scale or offset is no number at all; −1 where there is none.
 */
export function moveToE0m4(type: SameLevels, from: Uint8Array, to: Uint8Array): number {
  const blockBytes = SAME_LEVELS[type];
  const nibblesAt = blockBytes - 16;
  const blocks = from.length / blockBytes;
  const source = new DataView(from.buffer, from.byteOffset, from.byteLength);
  const target = new DataView(to.buffer, to.byteOffset, to.byteLength);
  for (let block = 0; block < blocks; block++) {
    const [begin, at] = [block * blockBytes, block * BLOCK_BYTES];
    const scale = source.getFloat16(begin, true);
    const offset = type === "Q4_0" ? -8 * scale : source.getFloat16(begin + 2, true);
    if (!(Math.abs(scale) <= F16_MAX && Math.abs(offset) <= F16_MAX)) return block;
    target.setFloat16(at, scale, true);
    target.setFloat16(at + 2, offset, true);
    // Bytes of ggml's order, as four by four, with rows and columns exchanged.
    for (let i = 0; i < 16; i++) {
      to[at + 4 + 4 * (i & 3) + (i >> 2)] = from[begin + nibblesAt + i];
    }
  }
  return -1;
}
